"""What a strategy is, and the parameters that most of them have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from trading.engine.candles import Candles
from trading.engine.types import EngineError, Floats, Mask

Inputs = tuple[Floats, ...]  # a named tuple, so that decide can name them


class Strategy(Protocol):
    """Decides by what it sees of closed candles; has parameters and no state."""

    name: ClassVar[str]

    @property
    def warmup(self) -> int:
        """How many candles before the first decision make it independent of them."""

    def inputs(self, candles: Candles) -> Inputs:
        """Return the columns that decisions are made of, as a named tuple."""

    def decide(self, now: Any, before: Any) -> tuple[Mask, Mask]:
        """Return where to be long, and where to be short or at least flat.

        ``now`` and ``before`` are inputs of the same bars and of those one earlier. No
        decision is taken where one of them is not defined.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EmaRsiParameters:
    """Periods in bars, thresholds of the RSI in its points, 0 to 100."""

    ema_fast: int = 8
    ema_slow: int = 21
    rsi_period: int = 7
    rsi_oversold: float = 35.0
    rsi_overbought: float = 65.0

    def __post_init__(self) -> None:
        for name, high in (("ema_fast", 200), ("ema_slow", 200), ("rsi_period", 100)):
            value = getattr(self, name)
            if type(value) is not int or not 2 <= value <= high:
                raise EngineError(
                    f"{name} is {value!r}; expected a whole number from 2 to {high}."
                )
        if self.ema_fast >= self.ema_slow:
            raise EngineError(
                f"ema_fast is {self.ema_fast}; it must be below ema_slow, "
                f"{self.ema_slow}."
            )
        if not 0 < self.rsi_oversold < self.rsi_overbought < 100:
            raise EngineError(
                f"rsi_oversold is {self.rsi_oversold} and rsi_overbought "
                f"{self.rsi_overbought}; expected 0 < oversold < overbought < 100."
            )

    @property
    def warmup(self) -> int:
        # What came before weighs less than 1/10,000 then. Wilder's average of n forgets
        # as slowly as an EMA of 2n - 1.
        return max(200, 5 * self.ema_slow, 10 * self.rsi_period) + 1
