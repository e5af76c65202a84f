"""``multi``: a vote of many indicators for entries; exits are those of the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from trading.engine import indicators
from trading.engine.candles import Candles
from trading.engine.strategies.base import EmaRsiParameters
from trading.engine.types import Floats, Mask, Signals

_PRIMARY = 3  # of 5
_CONFIRMATION = 2  # of 7


class MultiInputs(NamedTuple):
    """The columns that ``Multi`` decides by."""

    close: Floats
    fast: Floats
    slow: Floats
    rsi: Floats
    macd: Floats
    band_middle: Floats
    band_upper: Floats
    band_width: Floats
    volume_ratio: Floats
    volatility: Floats
    volatility_mean: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Multi(EmaRsiParameters):
    """Long when 3 of 5 primary and 2 of 7 confirming conditions hold."""

    name: ClassVar[str] = "multi"

    def inputs(self, candles: Candles) -> MultiInputs:
        lower, middle, upper = candles.computed(indicators.bollinger, "close")
        volatility = candles.computed(indicators.volatility, "close")
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where nothing was traded for 20 bars it is not defined.
            volume_ratio = candles.volume / candles.computed(
                indicators.sma, "volume", 20
            )
        return MultiInputs(
            close=candles.close,
            fast=candles.computed(indicators.ema, "close", self.ema_fast),
            slow=candles.computed(indicators.ema, "close", self.ema_slow),
            rsi=candles.computed(indicators.rsi, "close", self.rsi_period),
            macd=candles.computed(indicators.macd_histogram, "close"),
            band_middle=middle,
            band_upper=upper,
            band_width=upper - lower,
            volume_ratio=volume_ratio,
            volatility=volatility,
            volatility_mean=indicators.sma(volatility, 20),
        )

    def decide(self, now: MultiInputs, before: MultiInputs) -> tuple[Mask, Mask]:
        gap, gap_before = now.fast - now.slow, before.fast - before.slow
        primary = (
            (now.close > now.fast) & (now.fast > now.slow),
            (self.rsi_oversold <= now.rsi) & (now.rsi <= self.rsi_overbought),
            now.macd > 0,
            (now.band_middle < now.close) & (now.close < now.band_upper),
            now.volume_ratio > 1.2,
        )
        confirmation = (
            gap > gap_before,
            now.rsi > before.rsi,
            now.macd > before.macd,
            now.band_width > before.band_width,
            now.close > before.close * 1.0005,
            abs(gap) / now.slow * 100 > 0.2,
            now.volatility < now.volatility_mean,
        )
        enter = (_votes(primary) >= _PRIMARY) & (_votes(confirmation) >= _CONFIRMATION)
        return enter, np.zeros_like(enter)


def _votes(conditions: tuple[Mask, ...]) -> Signals:
    # Not sum of the masks: two that are added are or-ed.
    votes: Signals = np.add.reduce(conditions, dtype=np.int8)
    return votes
