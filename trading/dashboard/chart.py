"""A series of amounts as bars: where each is in an SVG picture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_PITCH = 20  # pixels from bar to bar
_GAP = 5
_HEIGHT = 160
_MARGIN = 8
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day; in pixels. A loss hangs down from the line of zero."""

    day: dt.date
    amount: Decimal
    x: int
    y: str
    width: int
    height: str

    @property
    def kind(self) -> str:
        return "loss" if self.amount < 0 else "gain"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """All that is drawn, in pixels."""

    width: int
    height: int
    zero: str
    """Where the line of zero is."""
    bars: tuple[Bar, ...]


def draw_bars(series: Sequence[tuple[dt.date, Decimal]]) -> BarChart:
    """Return the bars of a series; the highest and the lowest fill the height."""
    amounts = [amount for _, amount in series]
    highest, lowest = max(amounts, default=_ZERO), min(amounts, default=_ZERO)
    top, bottom = max(highest, _ZERO), min(lowest, _ZERO)
    # Not with floats, which end at 1e308: the amounts are what someone has typed.
    scale = (_HEIGHT - 2 * _MARGIN) / (top - bottom) if top > bottom else _ZERO
    zero = _MARGIN + top * scale if scale else Decimal(_HEIGHT // 2)
    return BarChart(
        width=_PITCH * len(series),
        height=_HEIGHT,
        zero=f"{zero:.1f}",
        bars=tuple(
            Bar(
                day=day,
                amount=amount,
                x=_PITCH * number + _GAP // 2,
                y=f"{zero - max(amount, _ZERO) * scale:.1f}",
                width=_PITCH - _GAP,
                height=f"{abs(amount) * scale:.1f}",
            )
            for number, (day, amount) in enumerate(series)
        ),
    )
