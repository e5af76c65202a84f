"""Candles for the tests of the engine, and a strategy that decides as it is told."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from trading.engine.backtest import BacktestResult, run_backtest
from trading.engine.candles import INTERVALS_MS, Candles
from trading.engine.rules import Rules
from trading.engine.types import DAY_MS, Floats, Mask

NEW_YEAR_MS = 18_993 * DAY_MS  # 2022-01-01
REAL_MINUTES = Path(__file__).parent / "data" / "btc-perpetual-1m-2022-01.csv.gz"

Bar = tuple[float, float, float, float]  # open, high, low, close
FLAT_BAR: Bar = (100, 100, 100, 100)

FREE: dict[str, Any] = {
    "maker_fee": Decimal(0),
    "taker_fee": Decimal(0),
    "slippage": Decimal(0),
}


def candles(
    *bars: Bar,
    interval: str = "1m",
    start_ms: int = NEW_YEAR_MS,
    volume: Any = None,
) -> Candles:
    """Return candles of these bars, one after the other."""
    columns = np.array(bars, dtype=np.float64).T
    return Candles.of(
        interval=interval,
        open_time=start_ms + INTERVALS_MS[interval] * np.arange(len(bars)),
        open=columns[0],
        high=columns[1],
        low=columns[2],
        close=columns[3],
        volume=np.ones(len(bars)) if volume is None else volume,
    )


@cache
def real_minutes() -> Candles:
    """Return each minute of January 2022 of a Bitcoin future; see data/README.md."""
    with gzip.open(REAL_MINUTES, "rt") as lines:
        rows = [tuple(map(float, row)) for row in list(csv.reader(lines))[1:]]
    ranges = np.array([high - low for _, high, low, _ in rows])
    return candles(*rows, volume=ranges)  # type: ignore[arg-type]


class Script(NamedTuple):
    """The column of ``Scripted``."""

    decided: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """Decides 1, -1 or 0 at each bar as written; 0 after the end of the script."""

    decisions: tuple[int, ...]
    name: ClassVar[str] = "scripted"

    @property
    def warmup(self) -> int:
        return 1

    def inputs(self, candles: Candles) -> Script:
        decided = np.zeros(len(candles))
        script = self.decisions[: len(candles)]
        decided[: len(script)] = script
        return Script(decided)

    def decide(self, now: Script, before: Script) -> tuple[Mask, Mask]:
        return now.decided > 0, now.decided < 0


def run(
    bars: list[Bar], decisions: list[int], *, interval: str = "1m", **rules: Any
) -> BacktestResult:
    """Run a script over bars; without costs and targets where ``rules`` name none."""
    return run_backtest(
        Scripted(decisions=tuple(decisions)),
        Rules(**{**FREE, **rules}),
        candles(*bars, interval=interval),
    )
