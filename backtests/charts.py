"""The picture of a backtest: the price with the trades on it, equity and drawdown."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from backtests.models import Backtest
from backtests.shapes import Areas, Label, Line, Picture, Point
from trading.candles import EPOCH, series_find
from trading.models import Candle

_WIDTH = 960
_LEFT, _RIGHT = 80, 12  # of the panels
_TOP = 48  # below the title
_GAP = 36  # between panels, for their names
_PRICE_HEIGHT, _EQUITY_HEIGHT, _DRAWDOWN_HEIGHT = 260, 180, 110
_TIMES = 6  # labels along the time
_TICKS = 4  # about, in a panel
_MARK = 5  # pixels, half of a triangle

Curve = list[tuple[int, float]]  # times in ms UTC, and values


@dataclass(slots=True, kw_only=True)
class _Panel:
    """Where times and values are in a picture, whose shapes it collects."""

    top: float
    height: float
    times: tuple[int, int]
    values: tuple[float, float]
    shapes: list[Line | Areas] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def x(self, time: int) -> float:
        first, last = self.times
        return _LEFT + (time - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        low, high = self.values
        return self.top + (high - value) / (high - low) * self.height

    def points(self, curve: Curve) -> list[Point]:
        return [(self.x(time), self.y(value)) for time, value in curve]

    def grid(self, name: str, spell: Callable[[float], str]) -> None:
        self.labels.append(Label(text=name, at=(_LEFT, self.top - 8)))
        for value in _ticks(*self.values):
            y = self.y(value)
            self.shapes.append(
                Line(kind="grid", points=[(_LEFT, y), (_WIDTH - _RIGHT, y)])
            )
            self.labels.append(
                Label(text=spell(value), at=(_LEFT - 8, y + 4), anchor="end")
            )


def prices_find(backtest: Backtest) -> Curve | None:
    """Return the closes at the times of the equity; None where one is not stored."""
    times = [time for time, _ in backtest.equity_curve or ()]
    series = series_find(
        market=backtest.market_type,
        symbol=backtest.symbol,
        interval=backtest.interval,
        seed=backtest.seed,
    )
    rows = Candle.objects.filter(
        series_id=series.pk,
        open_time__in=[EPOCH + dt.timedelta(milliseconds=time) for time in times],
    ).order_by("open_time")
    closes = [float(close) for close in rows.values_list("close", flat=True)]
    if not times or len(closes) < len(times):
        return None
    return list(zip(times, closes, strict=True))


def picture_draw(backtest: Backtest, prices: Curve | None) -> Picture | None:
    """Return the picture of a backtest; None for one whose equity is not stored.

    Without prices it is that of equity and drawdown alone.
    """
    equity: Curve = [(time, value) for time, value in backtest.equity_curve or ()]
    if not equity:
        return None
    first = equity[0][0]
    times = first, max(equity[-1][0], first + 1)
    panels, top = [], float(_TOP)
    if prices:
        panels.append(_price_panel(top, times, prices, backtest.trades or []))
        top += _PRICE_HEIGHT + _GAP
    panels.append(_equity_panel(top, times, equity))
    top += _EQUITY_HEIGHT + _GAP
    panels.append(_drawdown_panel(top, times, equity, backtest.initial_capital))
    bottom = top + _DRAWDOWN_HEIGHT
    title = (
        f"{backtest.symbol} {backtest.interval} ({backtest.market_type}), "
        f"{backtest.strategy}, {backtest.start_date} to {backtest.end_date}"
    )
    if backtest.seed is not None:
        title += f", candles MADE UP from seed {backtest.seed}"
    return Picture(
        width=_WIDTH,
        height=math.ceil(bottom) + 28,
        title=title,
        description=(
            "From top to bottom: the price, where it is known, with entries as "
            "triangles and exits as diamonds, green for gains and red for losses; the "
            "equity in the quote asset; the drawdown in percent."
        ),
        shapes=[shape for panel in panels for shape in panel.shapes],
        labels=[
            Label(text=title, at=(_LEFT, 18)),
            *(label for panel in panels for label in panel.labels),
            *_time_labels(panels[0], bottom + 18),
        ],
    )


def _price_panel(
    top: float, times: tuple[int, int], prices: Curve, trades: list[dict[str, Any]]
) -> _Panel:
    values = [value for _, value in prices]
    values += [
        trade[name] for trade in trades for name in ("entry_price", "exit_price")
    ]
    panel = _panel(top, _PRICE_HEIGHT, times, values)
    panel.grid("Price", lambda value: f"{value:,.10g}")
    panel.shapes.append(Line(kind="price", points=panel.points(prices)))
    marks: dict[str, list[list[Point]]] = {"entry": [], "gain": [], "loss": []}
    for trade in trades:
        up = 1 if trade["side"] == "LONG" else -1
        x, y = panel.x(trade["entry_time"]), panel.y(trade["entry_price"])
        marks["entry"].append(
            [(x, y), (x - _MARK, y + 2 * up * _MARK), (x + _MARK, y + 2 * up * _MARK)]
        )
        x, y = panel.x(trade["exit_time"]), panel.y(trade["exit_price"])
        marks["gain" if trade["pnl_usdt"] > 0 else "loss"].append(
            [(x, y - _MARK), (x + _MARK, y), (x, y + _MARK), (x - _MARK, y)]
        )
    panel.shapes += [
        Areas(kind=kind, polygons=polygons)
        for kind, polygons in marks.items()
        if polygons
    ]
    return panel


def _equity_panel(top: float, times: tuple[int, int], equity: Curve) -> _Panel:
    panel = _panel(top, _EQUITY_HEIGHT, times, [value for _, value in equity])
    panel.grid("Equity", lambda value: f"{value:,.10g}")
    panel.shapes.append(Line(kind="equity", points=panel.points(equity)))
    return panel


def _drawdown_panel(
    top: float, times: tuple[int, int], equity: Curve, capital: float
) -> _Panel:
    peaks = accumulate((value for _, value in equity), max, initial=capital)
    next(peaks)  # the capital, of which every later one is at least as much
    curve = [
        (time, (value / peak - 1) * 100)
        for (time, value), peak in zip(equity, peaks, strict=True)
    ]
    panel = _panel(top, _DRAWDOWN_HEIGHT, times, [0.0, *(value for _, value in curve)])
    area = panel.points([(times[0], 0.0), *curve, (curve[-1][0], 0.0)])
    panel.shapes.append(Areas(kind="drawdown", polygons=[area]))
    panel.grid("Drawdown", lambda value: f"{value:.10g} %")
    return panel


def _panel(
    top: float, height: float, times: tuple[int, int], values: list[float]
) -> _Panel:
    low, high = min(values), max(values)
    if low == high:
        margin = abs(low) / 100 or 1.0
        low, high = low - margin, high + margin
    return _Panel(top=top, height=height, times=times, values=(low, high))


def _time_labels(panel: _Panel, y: float) -> Iterator[Label]:
    first, last = panel.times
    days = (last - first) / 86_400_000
    spelling = "%Y-%m-%d" if days > _TIMES else "%m-%d %H:%M"
    for number in range(_TIMES):
        time = first + (last - first) * number // (_TIMES - 1)
        anchor = {0: "start", _TIMES - 1: "end"}.get(number, "middle")
        moment = EPOCH + dt.timedelta(milliseconds=time)
        yield Label(
            text=format(moment, spelling),
            at=(panel.x(time), y),
            anchor=anchor,  # type: ignore[arg-type]  # one of the three
        )


def _ticks(low: float, high: float) -> Iterator[float]:
    """Yield round values in a range: multiples of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * one for one in (1, 2, 5, 10) if power * one >= raw)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    for number in range(first, last + 1):
        yield round(number * step, 12)
