"""What a strategy decides: at all bars for a backtest, at the last for a live bot."""

from __future__ import annotations

from typing import Any

import numpy as np

from trading.engine.candles import Candles
from trading.engine.strategies.base import Strategy
from trading.engine.types import Signals


def signals(strategy: Strategy, candles: Candles) -> Signals:
    """Return the decision at the close of each bar: 1 long, -1 short or flat, 0 none.

    That of a bar depends on it and on earlier bars alone.
    """
    return _decided(strategy, strategy.inputs(candles))


def last_signal(strategy: Strategy, candles: Candles) -> int:
    """Return the decision at the close of the last candle.

    It is that of ``signals`` where the candles are ``strategy.warmup`` or more.
    """
    inputs: Any = strategy.inputs(candles)
    last_two = inputs._make(column[-2:] for column in inputs)
    return int(_decided(strategy, last_two)[-1])


def _decided(strategy: Strategy, inputs: Any) -> Signals:
    now = inputs._make(column[1:] for column in inputs)
    before = inputs._make(column[:-1] for column in inputs)
    long, short = strategy.decide(now, before)
    undefined = np.zeros(len(inputs[0]), dtype=bool)
    for column in inputs:
        undefined |= np.isnan(column)
    decided = np.zeros(len(inputs[0]), dtype=np.int8)
    decided[1:] = long.view(np.int8) - short.view(np.int8)
    decided[1:][undefined[1:] | undefined[:-1]] = 0
    return decided
