"""A sum as it grows, as a line: where it goes in an SVG picture."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

_WIDTH = 600
_HEIGHT = 160
_MARGIN = 8
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineChart:
    """All that is drawn, in pixels."""

    width: int
    height: int
    zero: str
    """Where the line of zero is."""
    points: str
    """As an SVG polyline has them."""


def draw_line(series: Sequence[tuple[dt.datetime, Decimal]]) -> LineChart:
    """Return the line of a series in its order, by time; it begins at zero.

    The highest and the lowest value, and zero, fill the height.
    """
    amounts = [amount for _, amount in series]
    top, bottom = max(amounts, default=_ZERO), min(amounts, default=_ZERO)
    top, bottom = max(top, _ZERO), min(bottom, _ZERO)
    # Not with floats, which end at 1e308.
    scale = (_HEIGHT - 2 * _MARGIN) / (top - bottom) if top > bottom else _ZERO
    zero = _MARGIN + top * scale if scale else Decimal(_HEIGHT // 2)
    first, last = (series[0][0], series[-1][0]) if series else (None, None)
    span = last - first if first and last and last > first else dt.timedelta(1)
    points = [f"0,{zero:.1f}"]
    for time, amount in series:
        x = (time - series[0][0]) / span * _WIDTH
        points.append(f"{x:.1f},{zero - amount * scale:.1f}")
    return LineChart(
        width=_WIDTH, height=_HEIGHT, zero=f"{zero:.1f}", points=" ".join(points)
    )
