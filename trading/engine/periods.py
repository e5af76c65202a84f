"""Results by UTC day and by month, in the documented JSON shapes.

A trade counts where it ends, as in the list of trades: what it made is money from then
on. So the results of days add up to that of the run, and so do those of months.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

import numpy as np

from trading.engine.backtest import BacktestResult
from trading.engine.candles import Candles
from trading.engine.types import DAY_MS, Ints


class Month(TypedDict):
    """What the trades that ended in it made of the capital before them, in percent."""

    pnl_pct: float
    trades: int


class Day(Month):
    """The same of one UTC day, and the capital after it."""

    date: str  # YYYY-MM-DD
    capital: float


def day_ends(candles: Candles) -> Ints:
    """Return for each UTC day the index just behind its last bar."""
    # Bars have no gaps, and every interval divides the day.
    since_midnight = int(candles.open_time[0]) % DAY_MS
    first = -(-(DAY_MS - since_midnight) // candles.interval_ms)
    ends = np.arange(first, len(candles), DAY_MS // candles.interval_ms)
    return np.append(ends, len(candles))


def daily_results(backtest: BacktestResult) -> list[Day]:
    """Return the UTC days on which trades ended; figures rounded to 8 places."""
    return [
        Day(date=day, **made, capital=round(capital, 8))
        for day, made, capital in _results(backtest, "D")
    ]


def monthly_results(backtest: BacktestResult) -> dict[str, Month]:
    """Return the months in which trades ended, by YYYY-MM; rounded to 8 places."""
    return {month: made for month, made, _ in _results(backtest, "M")}


def _results(backtest: BacktestResult, unit: str) -> Iterator[tuple[str, Month, float]]:
    """Yield the date of each day or month with trades, its result, the capital then."""
    trades = backtest.trades
    ended = backtest.candles.open_time[trades.exit_bar].astype("datetime64[ms]")
    dates = ended.astype(f"datetime64[{unit}]")
    last = np.flatnonzero(np.append(dates[1:] != dates[:-1], len(dates) > 0))
    before, so_far = float(backtest.equity[0]), 0
    for trade in last.tolist():
        capital = float(trades.capital[trade])
        pnl_pct = round((capital / before - 1) * 100, 8)
        made = Month(pnl_pct=pnl_pct, trades=trade + 1 - so_far)
        yield str(dates[trade]), made, capital
        before, so_far = capital, trade + 1
