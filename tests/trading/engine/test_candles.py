"""Candles: what is let in, and what is said of the rest."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.trading.engine.bars import FLAT_BAR, NEW_YEAR_MS, candles
from trading.engine import indicators
from trading.engine.candles import Candles
from trading.engine.types import EngineError

pytestmark = pytest.mark.sqlite  # no database

COLUMNS: dict[str, list[Any]] = {
    "open_time": [NEW_YEAR_MS, NEW_YEAR_MS + 60_000, NEW_YEAR_MS + 120_000],
    "open": [10, 11, 12],
    "high": [12, 13, 14],
    "low": [9, 10, 11],
    "close": [11, 12, 13],
    "volume": [1, 0, 3],
}


def with_second(**values: Any) -> dict[str, Any]:
    return {
        name: [column[0], values.get(name, column[1]), column[2]]
        for name, column in COLUMNS.items()
    }


def test_candles_take_decimals_exactly_as_far_as_floats_do() -> None:
    prices = {name: [Decimal("0.1")] for name in ("open", "high", "low", "close")}
    made = Candles.of(interval="1h", open_time=[0], volume=[Decimal(7)], **prices)
    assert (made.open[0], made.volume[0], made.interval_ms) == (0.1, 7, 3_600_000)


def test_candles_cannot_be_changed() -> None:
    made = candles(FLAT_BAR)
    with pytest.raises(ValueError, match="read-only"):
        made.close[0] = 1


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            with_second(low=11.5),
            "(2022-01-01T00:01:00.000Z): low 11.5 is above open 11.0.",
        ),
        (
            with_second(low=12.5, open=13),
            "(2022-01-01T00:01:00.000Z): low 12.5 is above close 12.0.",
        ),
        (
            with_second(high=11.5),
            "(2022-01-01T00:01:00.000Z): high 11.5 is below close 12.0.",
        ),
        (
            with_second(close=math.nan),
            "(2022-01-01T00:01:00.000Z): close is nan, no number.",
        ),
        (
            with_second(high=math.inf),
            "(2022-01-01T00:01:00.000Z): high is inf, no number.",
        ),
        (
            with_second(low=0),
            "(2022-01-01T00:01:00.000Z): low is 0.0; prices are above 0.",
        ),
        (
            with_second(volume=-1),
            "(2022-01-01T00:01:00.000Z): volume is -1.0; it cannot be negative.",
        ),
        (with_second(open_time=NEW_YEAR_MS), "does not open one interval (1m) after"),
        (
            with_second(open_time=NEW_YEAR_MS + 180_000),
            "Bar 1 (2022-01-01T00:03:00.000Z): it does not open",
        ),
        (
            {**COLUMNS, "volume": [1]},
            "open_time 3, open 3, high 3, low 3, close 3, volume 1",
        ),
        ({name: [] for name in COLUMNS}, "There are no candles"),
        ({**COLUMNS, "open": ["a", "b", "c"]}, "not of numbers"),
        ({**COLUMNS, "interval": "7m"}, "interval is '7m'; expected one of 1m, 3m"),
    ],
)
def test_candles_refuse_what_cannot_be_and_name_the_bar(
    columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineError) as caught:
        Candles.of(**{"interval": "1m", **columns})
    assert message in str(caught.value)


def test_candles_name_the_first_bar_whatever_is_wrong_with_it() -> None:
    columns = with_second(volume=-1) | {"open": [10, 11, math.nan]}
    with pytest.raises(EngineError, match=r"Bar 1 .*: volume is -1"):
        Candles.of(interval="1m", **columns)


def test_digest_tells_candles_apart() -> None:
    made = candles(FLAT_BAR, FLAT_BAR)
    assert made.digest() == candles(FLAT_BAR, FLAT_BAR).digest()
    others = [
        candles(FLAT_BAR),
        candles(FLAT_BAR, (100, 100.5, 100, 100)),
        candles(FLAT_BAR, FLAT_BAR, interval="3m"),
        candles(FLAT_BAR, FLAT_BAR, volume=np.array([1, 2])),
    ]
    assert len({made.digest(), *(other.digest() for other in others)}) == 5


def test_indicators_computed_last_are_shared_and_old_ones_go() -> None:
    bars = candles(*[FLAT_BAR] * 60)

    first = bars.computed(indicators.ema, "close", 2)

    assert bars.computed(indicators.ema, "close", 2) is first
    assert bars.computed(indicators.ema, "open", 2) is not first
    assert bars.computed(indicators.sma, "close", 2) is not first
    for period in range(3, 50):
        bars.computed(indicators.ema, "close", period)
    again = bars.computed(indicators.ema, "close", 2)
    assert again is not first
    np.testing.assert_array_equal(again, first)
