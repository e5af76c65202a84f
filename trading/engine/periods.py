"""Results by UTC day and by month, in the documented JSON shapes."""

from __future__ import annotations

from typing import TypedDict

import numpy as np

from trading.engine.backtest import BacktestResult
from trading.engine.candles import Candles
from trading.engine.types import DAY_MS, Ints


class Day(TypedDict):
    """One UTC day: what it made of equity, in percent, the entries and the equity."""

    date: str  # YYYY-MM-DD
    pnl_pct: float
    trades: int
    capital: float


class Month(TypedDict):
    """One month: what it made of equity, in percent, and the entries."""

    pnl_pct: float
    trades: int


def day_ends(candles: Candles) -> Ints:
    """Return for each UTC day the index just behind its last bar."""
    # Bars have no gaps, and every interval divides the day.
    since_midnight = int(candles.open_time[0]) % DAY_MS
    first = -(-(DAY_MS - since_midnight) // candles.interval_ms)
    ends = np.arange(first, len(candles), DAY_MS // candles.interval_ms)
    return np.append(ends, len(candles))


def daily_results(backtest: BacktestResult) -> list[Day]:
    """Return every UTC day of a run, idle ones too; figures rounded to 8 places."""
    ends = day_ends(backtest.candles)
    days = _labels(backtest.candles, ends, "D")
    capital = backtest.equity[ends]
    before = np.append(backtest.equity[0], capital[:-1])
    return [
        Day(
            date=day,
            pnl_pct=round(float(pnl_pct), 8),
            trades=int(trades),
            capital=round(float(at_end), 8),
        )
        for day, pnl_pct, trades, at_end in zip(
            days,
            (capital / before - 1) * 100,
            _entries_until(backtest, ends),
            capital,
            strict=True,
        )
    ]


def monthly_results(backtest: BacktestResult) -> dict[str, Month]:
    """Return every month of a run by YYYY-MM; its days are compounded."""
    ends = day_ends(backtest.candles)
    months = np.array(_labels(backtest.candles, ends, "M"))
    ends = ends[np.append(months[1:] != months[:-1], True)]
    capital = backtest.equity[ends]
    before = np.append(backtest.equity[0], capital[:-1])
    return {
        month: Month(pnl_pct=round(float(pnl_pct), 8), trades=int(trades))
        for month, pnl_pct, trades in zip(
            _labels(backtest.candles, ends, "M"),
            (capital / before - 1) * 100,
            _entries_until(backtest, ends),
            strict=True,
        )
    }


def _labels(candles: Candles, ends: Ints, unit: str) -> list[str]:
    times = candles.open_time[ends - 1].astype("datetime64[ms]")
    labels: list[str] = times.astype(f"datetime64[{unit}]").astype(str).tolist()
    return labels


def _entries_until(backtest: BacktestResult, ends: Ints) -> Ints:
    """Return how many trades were entered in each stretch of bars."""
    return np.diff(np.searchsorted(backtest.trades.entry_bar, ends), prepend=0)
