"""Indicators beside vectors that were computed independently, and their laws."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tests.trading.engine.bars import real_minutes
from trading.engine import indicators
from trading.engine.types import Floats

pytestmark = pytest.mark.sqlite  # no database

CLOSES = np.array(
    [
        round(100 + 6 * math.sin(i / 5) + 0.15 * i + (((37 * i) % 11) - 5) * 0.2, 2)
        for i in range(60)
    ]
)
VOLUMES = np.array([1000.0 + ((53 * i) % 17) * 40 for i in range(60)])

# What it is, the first bar that is defined, and the values there, at 40 and at 59.
Vector = tuple[Callable[[], Floats], int, tuple[float, float, float]]
VECTORS: dict[str, Vector] = {
    "ema 8": (
        lambda: indicators.ema(CLOSES, 8),
        7,
        (104.34476086, 109.7422989, 103.62545411),
    ),
    "ema 21": (
        lambda: indicators.ema(CLOSES, 21),
        20,
        (102.37972972, 106.19268367, 104.78377244),
    ),
    "rsi 7": (
        lambda: indicators.rsi(CLOSES, 7),
        6,
        (85.54536879, 79.21241453, 53.73721868),
    ),
    "macd": (
        lambda: indicators.macd_histogram(CLOSES),
        33,
        (0.94822461, 1.06044288, -0.39869264),
    ),
    "upper band": (
        lambda: indicators.bollinger(CLOSES)[2],
        19,
        (109.38330364, 114.98235895, 113.36358443),
    ),
    "middle band": (
        lambda: indicators.bollinger(CLOSES)[1],
        19,
        (104.0105, 104.0465, 106.164),
    ),
    "lower band": (
        lambda: indicators.bollinger(CLOSES)[0],
        19,
        (98.63769636, 93.11064105, 98.96441557),
    ),
    "volume": (lambda: indicators.sma(VOLUMES, 20), 19, (1284, 1332, 1356)),
    "volatility": (
        lambda: indicators.volatility(CLOSES),
        10,
        (0.01201013, 0.01079153, 0.01326302),
    ),
    "its mean": (
        lambda: indicators.sma(indicators.volatility(CLOSES), 20),
        29,
        (0.01192812, 0.01174684, 0.01120424),
    ),
}


def test_vectors_are_of_the_closes_that_were_published() -> None:
    assert CLOSES[:5].tolist() == [99.00, 101.14, 103.24, 103.04, 104.90]
    assert CLOSES[-1] == 104.69


@pytest.mark.parametrize("name", VECTORS)
def test_indicator_equals_its_vector(name: str) -> None:
    compute, first, expected = VECTORS[name]
    values = compute()
    assert len(values) == 60
    assert np.isnan(values[:first]).all()
    assert values[[first, 40, 59]] == pytest.approx(expected, abs=6e-9, rel=0)
    assert np.isfinite(values[first:]).all()


def test_rsi_of_prices_that_do_not_move_or_only_rise_is_100() -> None:
    assert indicators.rsi(np.full(20, 7.0), 5)[4:].tolist() == [100] * 16
    assert indicators.rsi(np.arange(1.0, 21), 5)[4:].tolist() == [100] * 16


def test_deviation_keeps_its_digits_at_high_prices() -> None:
    # Far more than the prices of any market: a sum of squares would be all rounding.
    closes = 1e9 + np.array([0.0, 1, 2, 1, 0, 1, 2, 1])
    lower, _, upper = indicators.bollinger(closes, period=4, width=1)
    assert (upper - lower)[3:] == pytest.approx(2 * math.sqrt(0.5), rel=1e-6)


@pytest.mark.parametrize("length", [1, 2, 19])
def test_indicators_of_few_candles_are_undefined_and_no_error(length: int) -> None:
    closes = CLOSES[:length]
    columns = [
        indicators.ema(closes, 21),
        indicators.rsi(closes, 20),
        indicators.macd_histogram(closes),
        *indicators.bollinger(closes),
        indicators.volatility(closes, 19),
    ]
    assert all(len(c) == length and np.isnan(c).all() for c in columns)


def test_indicators_do_not_look_ahead() -> None:
    closes = real_minutes().close[:3000]
    for compute in (
        lambda c: indicators.ema(c, 21),
        lambda c: indicators.rsi(c, 14),
        indicators.macd_histogram,
        lambda c: indicators.bollinger(c)[0],
        indicators.volatility,
    ):
        assert np.array_equal(
            compute(closes)[:2000], compute(closes[:2000]), equal_nan=True
        )
