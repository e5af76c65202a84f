"""``ema``: two averages that cross, with the RSI as a gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from trading.engine import indicators
from trading.engine.candles import Candles
from trading.engine.strategies.base import EmaRsiParameters
from trading.engine.types import Floats, Mask


class EmaInputs(NamedTuple):
    """The columns that ``Ema`` decides by."""

    fast: Floats
    slow: Floats
    rsi: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Ema(EmaRsiParameters):
    """Long when the fast average crosses the slow one upwards and not overbought.

    Short, or flat, when it crosses downwards and is not oversold.
    """

    name: ClassVar[str] = "ema"

    def inputs(self, candles: Candles) -> EmaInputs:
        return EmaInputs(
            fast=candles.computed(indicators.ema, "close", self.ema_fast),
            slow=candles.computed(indicators.ema, "close", self.ema_slow),
            rsi=candles.computed(indicators.rsi, "close", self.rsi_period),
        )

    def decide(self, now: EmaInputs, before: EmaInputs) -> tuple[Mask, Mask]:
        upwards = (before.fast <= before.slow) & (now.fast > now.slow)
        downwards = (before.fast >= before.slow) & (now.fast < now.slow)
        return (
            upwards & (now.rsi < self.rsi_overbought),
            downwards & (now.rsi > self.rsi_oversold),
        )
