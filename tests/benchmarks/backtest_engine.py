"""How many bars a second backtests take, beside backtesting.py.

    python -m tests.benchmarks.backtest_engine

A year of minutes, made of the real month of the tests, with the strategy ``ema`` from
its indicators to its trades. Prints a line for each of: compiled by numba; how many
times as fast that is as backtesting.py, which is told the signals and has no indicator
to compute; without numba; and 100 configurations with their figures on two threads.
Each is the best of a few runs one after the other, so that what else the machine does
counts little; the second line is of two measurements side by side.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from unittest import mock

import numpy as np

from tests.trading.engine.bars import candles, real_minutes
from tests.trading.engine.test_peer import peer_trades
from trading.engine.backtest import run_backtest
from trading.engine.candles import Candles
from trading.engine.metrics import metrics
from trading.engine.rules import Rules
from trading.engine.strategies.ema import Ema

YEAR = 365 * 1440  # bars
RULES = Rules(max_daily_trades=None)


def year_of_minutes() -> Candles:
    """Return the real month, twelve times on end."""
    month = real_minutes()
    columns = np.array([month.open, month.high, month.low, month.close])
    bars = np.tile(columns, 12)[:, :YEAR].T
    return candles(*map(tuple, bars), volume=np.tile(month.volume, 12)[:YEAR])


def best_s(work: Callable[[], object], *, times: int) -> float:
    """Return how many seconds the quickest of several runs took."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spans.append(time.perf_counter() - began)
    return min(spans)


def hundred(bars: Candles) -> None:
    """Run 100 configurations, on two threads."""

    def figures(periods: tuple[int, int]) -> object:
        strategy = Ema(ema_fast=periods[0], ema_slow=periods[1])
        return metrics(run_backtest(strategy, RULES, bars))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(figures, product(range(5, 15), range(20, 40, 2))))


def report(what: str, measured: str, target: str) -> None:
    print(f"{what:<34}{measured:>16}   target {target}")  # noqa: T201 -- its output


def main() -> None:
    bars = year_of_minutes()

    def ours() -> object:
        return run_backtest(Ema(), RULES, bars)

    ours()  # compiles
    compiled = YEAR / best_s(ours, times=15)
    report("compiled", f"{compiled / 1e6:.1f} M bars/s", "20 M bars/s")

    peer = len(real_minutes()) / best_s(
        lambda: peer_trades(Ema(), stop=0.005, target=0.015, shorts=False), times=3
    )
    report("… beside backtesting.py", f"{compiled / peer:.0f} ×", "50 ×")

    with mock.patch.dict(sys.modules, {"numba": None}):
        plain = YEAR / best_s(ours, times=3)
    report("without numba", f"{plain / 1e3:.0f} k bars/s", "300 k bars/s")

    seconds = best_s(lambda: hundred(bars), times=2)
    report("100 configurations, two threads", f"{seconds:.2f} s", "3 s")


if __name__ == "__main__":
    main()
