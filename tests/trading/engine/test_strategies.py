"""Strategies: what they decide, and that a live bot and a backtest decide alike."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tests.trading.engine.bars import candles, real_minutes
from trading.engine.candles import Candles
from trading.engine.signals import last_signal, signals
from trading.engine.strategies import STRATEGIES
from trading.engine.strategies.base import Strategy
from trading.engine.strategies.ema import Ema, EmaInputs
from trading.engine.strategies.multi import Multi, MultiInputs
from trading.engine.types import EngineError, Floats

pytestmark = pytest.mark.sqlite  # no database

by_name = pytest.mark.parametrize("name", STRATEGIES)


def column(*values: float) -> Floats:
    return np.array(values, dtype=np.float64)


# Fast before, slow before, fast now, slow now, RSI now: long, short.
CROSSES = {
    "upwards": ((1, 2, 3, 2, 50), (True, False)),
    "upwards from equal": ((2, 2, 3, 2, 50), (True, False)),
    "upwards, overbought": ((1, 2, 3, 2, 65), (False, False)),
    "above, but was before": ((3, 2, 4, 2, 50), (False, False)),
    "to equal is no cross": ((1, 2, 2, 2, 50), (False, False)),
    "downwards": ((2, 1, 1, 2, 50), (False, True)),
    "downwards, oversold": ((2, 1, 1, 2, 35), (False, False)),
    "upwards, oversold": ((1, 2, 3, 2, 10), (True, False)),
    "downwards, overbought": ((2, 1, 1, 2, 90), (False, True)),
}


@pytest.mark.parametrize("name", CROSSES)
def test_ema_decides_at_a_cross_unless_the_rsi_forbids(name: str) -> None:
    (fast_before, slow_before, fast, slow, rsi), expected = CROSSES[name]
    now = EmaInputs(column(fast), column(slow), column(rsi))
    before = EmaInputs(column(fast_before), column(slow_before), column(50))
    long, short = Ema().decide(now, before)
    assert (long.item(), short.item()) == expected


# A bar of which every condition holds, and the one before it.
ALL: dict[str, float] = {
    "close": 101, "fast": 100.5, "slow": 100, "rsi": 50, "macd": 1, "band_middle": 100,
    "band_upper": 102, "band_width": 4, "volume_ratio": 1.3, "volatility": 1,
    "volatility_mean": 2,
}  # fmt: skip
BEFORE = {**ALL, "close": 100, "fast": 100.1, "rsi": 49, "macd": 0.5, "band_width": 3}
# What breaks one condition and no other.
PRIMARY: list[dict[str, float]] = [
    {"rsi": 34.9},
    {"macd": 0},
    {"band_upper": 101},
    {"volume_ratio": 1.2},
]


def votes(now: dict[str, float], before: dict[str, float]) -> bool:
    def of(values: dict[str, float]) -> MultiInputs:
        return MultiInputs(**{name: column(value) for name, value in values.items()})

    long, short = Multi().decide(of(now), of(before))
    assert not short.any()
    return bool(long.item())


@pytest.mark.parametrize("broken", [0, 1, 2, 3, 4])
def test_multi_needs_three_primary_votes_of_five(broken: int) -> None:
    now = ALL | {k: v for change in PRIMARY[:broken] for k, v in change.items()}
    assert votes(now, BEFORE) == (5 - broken >= 3)


def test_multi_primary_votes_can_come_from_any_three() -> None:
    # The trend is broken, and each pair of the other four with it.
    for first in range(4):
        for second in range(first + 1, 4):
            now = {**ALL, "slow": 100.6, **PRIMARY[first], **PRIMARY[second]}
            assert not votes(now, BEFORE)
        assert votes({**ALL, "slow": 100.6, **PRIMARY[first]}, BEFORE)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([], False),
        (["rsi"], False),
        (["rsi", "macd"], True),
        (["close", "volatility"], True),
        (["band_width", "fast"], True),
        (["volatility"], False),
    ],
)
def test_multi_needs_two_confirmations_of_seven(
    kept: list[str], expected: bool
) -> None:
    # Nothing confirms where the bar before was the same, the trend weak, prices wild.
    now = {**ALL, "fast": 100.15, "volatility": 3}
    before = dict(now)
    for name in kept:
        if name == "volatility":
            now["volatility"] = 1
        else:
            before[name] = now[name] * 0.999
    assert votes(now, before) == expected


@by_name
def test_last_signal_is_that_of_the_backtest(name: str) -> None:
    # Both from the same source: the live bot sees no more than its warm-up.
    strategy, bars = STRATEGIES[name](), real_minutes().slice(0, 3000)
    all_of_them = signals(strategy, bars)
    ends = [*np.flatnonzero(all_of_them)[:40].tolist(), 500, 1000, 2000]
    for end in ends:
        if end > strategy.warmup:
            seen = bars.slice(end + 1 - strategy.warmup, end + 1)
            assert last_signal(strategy, seen) == all_of_them[end]


@by_name
def test_signals_do_not_look_ahead(name: str) -> None:
    strategy, bars = STRATEGIES[name](), real_minutes().slice(0, 2000)
    known = signals(strategy, bars)
    for end in (1, 2, 50, 777, 1500):
        assert np.array_equal(signals(strategy, bars.slice(0, end)), known[:end])


@by_name
def test_inputs_are_the_same_to_the_bit_compiled_and_not(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy, bars = STRATEGIES[name](), real_minutes().slice(0, 5000)
    compiled = strategy.inputs(bars)
    monkeypatch.setitem(sys.modules, "numba", None)
    for one, other in zip(compiled, strategy.inputs(bars), strict=True):
        assert one.tobytes() == other.tobytes()


@by_name
def test_no_decision_before_all_inputs_are_defined(name: str) -> None:
    strategy, bars = STRATEGIES[name](), real_minutes().slice(0, 5000)
    inputs = np.array(strategy.inputs(bars))
    defined = np.isfinite(inputs).all(axis=0)
    begin = int(np.argmax(defined)) + 1
    assert not signals(strategy, bars)[:begin].any()


def test_ema_and_multi_decide_and_simple_never_does() -> None:
    bars = real_minutes().slice(0, 5000)
    seen = {name: set(signals(STRATEGIES[name](), bars)) for name in STRATEGIES}
    assert seen == {"ema": {-1, 0, 1}, "multi": {0, 1}, "simple": {0}}


def test_multi_does_not_decide_where_nothing_is_traded() -> None:
    real = real_minutes().slice(0, 1000)
    bars = np.array([real.open, real.high, real.low, real.close]).T
    idle: Candles = candles(*map(tuple, bars), volume=np.zeros(1000))
    assert not signals(Multi(), idle).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ema_fast": 1}, "ema_fast is 1; expected a whole number from 2 to 200."),
        ({"ema_slow": 201}, "ema_slow is 201; expected a whole number from 2 to 200."),
        ({"ema_fast": 8.0}, "ema_fast is 8.0; expected a whole number"),
        ({"ema_fast": 21}, "ema_fast is 21; it must be below ema_slow, 21."),
        ({"rsi_period": 101}, "rsi_period is 101; expected a whole number from 2"),
        ({"rsi_oversold": 65}, "expected 0 < oversold < overbought < 100."),
        ({"rsi_overbought": 100}, "expected 0 < oversold < overbought < 100."),
    ],
)  # fmt: skip
@pytest.mark.parametrize("strategy", [Ema, Multi])
def test_parameters_out_of_bounds_are_refused(
    strategy: type[Strategy], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(EngineError) as caught:
        strategy(**values)
    assert message in str(caught.value)
