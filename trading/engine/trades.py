"""The trades of a run: columns as the kernel wrote them, and rounded records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Context, Decimal
from typing import Any, Self

import numpy as np

from trading.engine.candles import Candles
from trading.engine.kernel import Ledger
from trading.engine.types import Floats, Ints, Reason

# What a float surely holds; 1e-12 of an amount is not seen by anyone.
_ROUNDED = Context(prec=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeRecord:
    """One trade: entry and exit, in the order of their exits.

    Bars are indexes into the candles of the run, times are when they opened, in
    milliseconds UTC. Amounts are in the quote asset and ``units`` in the base asset,
    rounded to 12 digits. ``direction`` is 1 for long, -1 for short. ``pnl`` is after
    both commissions, ``slippage`` is what it has cost (prices have it in them).
    """

    entry_bar: int
    exit_bar: int
    entry_time: int
    exit_time: int
    direction: int
    reason: Reason
    units: Decimal
    entry_price: Decimal
    exit_price: Decimal
    entry_fee: Decimal
    exit_fee: Decimal
    slippage: Decimal
    pnl: Decimal
    capital: Decimal  # realised, after the trade


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trades:
    """The same as columns, unrounded."""

    entry_bar: Ints
    exit_bar: Ints
    direction: Ints
    reason: Ints
    units: Floats
    entry_price: Floats
    exit_price: Floats
    entry_fee: Floats
    exit_fee: Floats
    slippage: Floats
    pnl: Floats
    capital: Floats

    @classmethod
    def of(cls, ledger: Ledger, count: int) -> Self:
        """Return a copy of the first rows of a ledger."""
        return cls(
            **{
                name: np.array(getattr(ledger, name)[:count], dtype)
                for name, dtype in COLUMNS.items()
            }
        )

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return all of them in one piece."""
        return cls(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in COLUMNS
            }
        )

    def __len__(self) -> int:
        return len(self.pnl)

    def records(self, candles: Candles) -> Iterator[TradeRecord]:
        """Yield the trades one by one; ``candles`` are those of the run."""
        rows = zip(*(getattr(self, f.name).tolist() for f in fields(self)), strict=True)
        for entry_bar, exit_bar, direction, reason, *amounts in rows:
            yield TradeRecord(
                entry_bar=entry_bar,
                exit_bar=exit_bar,
                entry_time=int(candles.open_time[entry_bar]),
                exit_time=int(candles.open_time[exit_bar]),
                direction=direction,
                reason=Reason(reason),
                **{
                    name: _ROUNDED.create_decimal_from_float(amount)
                    for name, amount in zip(_AMOUNTS, amounts, strict=True)
                },
            )


_WHOLE = ("entry_bar", "exit_bar", "direction", "reason")
_AMOUNTS = tuple(f.name for f in fields(Trades) if f.name not in _WHOLE)
COLUMNS: dict[str, Any] = {
    f.name: np.int64 if f.name in _WHOLE else np.float64 for f in fields(Trades)
}
