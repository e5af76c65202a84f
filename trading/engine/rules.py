"""The rules of a run: sizes, exits, costs, limits and the filters of the exchange."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal

from trading.engine.types import EngineError

Market = Literal["spot", "futures"]
SizeBasis = Literal["quote", "equity", "risk"]

_ZERO = Decimal(0)
_ONE = Decimal(1)
# Field: above, up to, whether the lower bound itself is allowed.
_BOUNDS: dict[str, tuple[Decimal, Decimal, bool]] = {
    "initial_capital": (_ZERO, Decimal(10**9), False),
    "size": (_ZERO, Decimal(10**9), False),
    "stop_loss": (_ZERO, Decimal("0.5"), False),
    "take_profit": (_ZERO, Decimal(5), False),
    "trailing_stop": (_ZERO, _ONE, False),
    "leverage": (_ONE, Decimal(125), True),
    "maintenance": (_ZERO, _ONE, True),
    "maker_fee": (_ZERO, Decimal("0.05"), True),
    "taker_fee": (_ZERO, Decimal("0.05"), True),
    "slippage": (_ZERO, Decimal("0.1"), True),
    "max_daily_trades": (_ONE, Decimal(100), True),
    "max_daily_loss": (_ZERO, _ONE, False),
    "daily_target": (_ZERO, _ONE, False),
    "step": (_ZERO, Decimal(10**9), True),
    "min_units": (_ZERO, Decimal(10**9), True),
    "min_notional": (_ZERO, Decimal(10**9), True),
}
_WHOLE = {"leverage", "max_daily_trades"}
_OPTIONAL = {
    "stop_loss",
    "take_profit",
    "trailing_stop",
    "max_daily_trades",
    "max_daily_loss",
    "daily_target",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What holds for a whole run. Money is in the quote asset; the rest are ratios.

    0.005 is half a percent. None switches a stop, a target or a limit off. Raises
    EngineError for what is out of bounds or does not go together.
    """

    initial_capital: Decimal = Decimal(1000)
    market: Market = "spot"
    allow_short: bool = False
    leverage: int = 1
    maintenance: Decimal = Decimal("0.004")  # margin below which a future is closed
    # By "quote" and "equity" the size is the notional of an entry, by "risk" what is
    # lost at the stop.
    size_by: SizeBasis = "risk"
    size: Decimal = Decimal("0.02")
    stop_loss: Decimal | None = Decimal("0.005")
    take_profit: Decimal | None = Decimal("0.015")
    trailing_stop: Decimal | None = None
    maker_fee: Decimal = Decimal("0.0002")
    taker_fee: Decimal = Decimal("0.0004")
    slippage: Decimal = Decimal("0.0001")
    max_daily_trades: int | None = 5
    max_daily_loss: Decimal | None = None
    daily_target: Decimal | None = None
    close_at_day_end: bool = False
    # Filters of the exchange; 0 is none.
    step: Decimal = _ZERO
    min_units: Decimal = _ZERO
    min_notional: Decimal = _ZERO

    def __post_init__(self) -> None:
        for field in fields(self):
            if field.name in _BOUNDS:
                _check(field.name, getattr(self, field.name), *_BOUNDS[field.name])
        if self.market not in ("spot", "futures"):
            raise EngineError(f"market is {self.market!r}; expected spot or futures.")
        if self.size_by not in ("quote", "equity", "risk"):
            raise EngineError(
                f"size_by is {self.size_by!r}; expected quote, equity or risk."
            )
        if self.size_by != "quote" and self.size > 1:
            raise EngineError(
                f"size is {self.size}; by {self.size_by} it is a ratio, 1 at most."
            )
        if self.market == "spot" and self.leverage != 1:
            raise EngineError(
                f"leverage is {self.leverage}; on spot it must be 1. "
                "Choose the futures market for more."
            )
        if self.market == "spot" and self.allow_short:
            raise EngineError(
                "allow_short is on; what one does not own cannot be sold on spot. "
                "Choose the futures market for shorts."
            )
        if self.size_by == "risk" and self.stop_loss is None:
            raise EngineError(
                "stop_loss is off, so the risk of an entry is not known; "
                "set it, or choose another size_by."
            )
        if self.maintenance * self.leverage >= 1:
            raise EngineError(
                f"maintenance is {self.maintenance}; with leverage {self.leverage} it "
                f"must be below {_ONE / self.leverage:.4g}, or entries are liquidated "
                "at once."
            )


def _check(
    name: str,
    value: Decimal | int | None,
    low: Decimal,
    high: Decimal,
    low_allowed: bool,
) -> None:
    if value is None and name in _OPTIONAL:
        return
    kind = int if name in _WHOLE else Decimal
    if type(value) is not kind:
        expected = "a whole number" if kind is int else "a Decimal"
        raise EngineError(f"{name} is {value!r}; expected {expected}.")
    above = f"from {low}" if low_allowed else f"above {low}"
    inside = math.isfinite(value) and low <= value <= high
    if not inside or (value == low and not low_allowed):
        raise EngineError(f"{name} is {value}; expected {above} up to {high:f}.")
