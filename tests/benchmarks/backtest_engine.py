"""How fast backtests are, and how much memory they take, beside their targets.

    python -m tests.with_postgres python -m tests.benchmarks.backtest_engine

Minutes are the real month of the tests, again and again, with the strategy ``ema`` from
its indicators to its trades. First the engine alone on a year: compiled by numba; how
many times as fast that is as backtesting.py, which is told the signals and has no
indicator to compute, and as the program before this one, whose speed was measured once;
without numba. Each is the best of a few runs one after the other, so that what else the
machine does counts little; ratios are of measurements side by side.

Then from candles in PostgreSQL to results in it: a run over a year, from the request to
the stored row; a sweep of 100 combinations over it, by two workers that wait; the most
memory that ``manage.py backtest`` has for longer and longer runs, and how much more a
process has after 100 runs than after one.
"""

from __future__ import annotations

import datetime as dt
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402
from django.utils import timezone  # noqa: E402

from backtests.api.requests import BacktestRequest  # noqa: E402
from backtests.api.sweep_serializers import SweepRequest  # noqa: E402
from backtests.models import BacktestRun, Sweep  # noqa: E402
from backtests.runs import run_claim, run_create, run_execute  # noqa: E402
from backtests.simulation import simulate  # noqa: E402
from backtests.sweeps import OPEN, sweep_create  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.factories import make_user  # noqa: E402
from tests.processes import ROOT, SECRETS, database_url, environment  # noqa: E402
from tests.trading.engine.bars import candles, real_minutes  # noqa: E402
from tests.trading.engine.test_peer import peer_trades  # noqa: E402
from trading.candles import CandleRow, candle_row, candles_store  # noqa: E402
from trading.engine.backtest import run_backtest  # noqa: E402
from trading.engine.candles import Candles  # noqa: E402
from trading.engine.metrics import metrics  # noqa: E402
from trading.engine.rules import Rules  # noqa: E402
from trading.engine.strategies.ema import Ema  # noqa: E402
from trading.models import CandleSeries, CandleSource  # noqa: E402

YEAR = 365 * 1440  # bars
RULES = Rules(max_daily_trades=None)
PROGRAM_BEFORE = 17_000  # bars a second
FIRST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
REQUEST = {
    "symbol": "BENCHUSDT",
    "interval": "1m",
    "start_date": "2020-01-02",
    "end_date": "2020-12-31",
    "parameters": {"strategy": "ema", "max_daily_trades": 50},
}
GRID = {"ema_fast": list(range(5, 15)), "ema_slow": list(range(20, 40, 2))}
WITHOUT_LIMIT = {"most_candles": None}


def main() -> None:
    engine()
    with database() as settings:
        longest = len(real_minutes()) * 36
        store(longest)
        from_database()
        sweep(settings)
        memory_by_length(settings)
    memory_by_runs()


def engine() -> None:
    bars = year_of_minutes()

    def ours() -> object:
        # A slice has no indicators yet.
        return run_backtest(Ema(), RULES, bars.slice(0, YEAR))

    ours()  # compiles
    compiled = YEAR / best_s(ours, times=15)
    report("compiled", f"{compiled / 1e6:.1f} M bars/s", "20 M bars/s")
    peer = len(real_minutes()) / best_s(
        lambda: peer_trades(Ema(), stop=0.005, target=0.015, shorts=False), times=3
    )
    report("… beside backtesting.py", f"{compiled / peer:.0f} ×", "50 ×")
    report("… beside the program before", f"{compiled / PROGRAM_BEFORE:.0f} ×", "500 ×")
    with mock.patch.dict(sys.modules, {"numba": None}):
        plain = YEAR / best_s(ours, times=3)
    report("without numba", f"{plain / 1e3:.0f} k bars/s", "300 k bars/s")


def from_database() -> None:
    user = make_user()
    asked = BacktestRequest(data=REQUEST, context=WITHOUT_LIMIT)
    asked.is_valid(raise_exception=True)

    def run() -> None:
        made = run_create(user=user, request=asked.validated_data)
        claimed = run_claim(worker="benchmark")
        assert claimed
        run_execute(claimed, simulate)
        made.refresh_from_db()
        assert made.status == BacktestRun.Status.DONE, made.error

    report("a year, database to stored result", f"{best_s(run, times=3):.2f} s", "2 s")


def sweep(settings: dict[str, str]) -> None:
    asked = SweepRequest(data={**REQUEST, "grid": GRID}, context=WITHOUT_LIMIT)
    asked.is_valid(raise_exception=True)
    command = [sys.executable, "manage.py", "runworker"]
    quiet = environment(**settings, LOG_LEVEL="WARNING")
    workers = [subprocess.Popen(command, cwd=ROOT, env=quiet) for _ in range(2)]

    def tried() -> None:
        made = sweep_create(user=None, request=asked.validated_data)
        while Sweep.objects.filter(pk=made.pk, status__in=OPEN).exists():
            time.sleep(0.01)
        made.refresh_from_db()
        assert made.status == Sweep.Status.DONE, made.error

    try:
        tried()  # until both have come
        seconds = best_s(tried, times=5)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait()
    report("100 combinations, two workers", f"{seconds:.2f} s", "3 s")


def memory_by_length(settings: dict[str, str]) -> None:
    for name, end in (
        ("a month", "2020-02-01"),
        ("a year", "2021-01-01"),
        ("three", ""),
    ):
        command = [sys.executable, "manage.py", "backtest", "--symbol=BENCHUSDT"]
        end = end or f"{FIRST + 36 * 31 * 1440 * MINUTE:%Y-%m-%d}"
        process = subprocess.Popen(
            [*command, "--from=2020-01-02", f"--to={end}"],
            cwd=ROOT,
            env=environment(**settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Not by its usage, which begins with the memory of this process.
        most = 0
        while process.poll() is None:
            most = max(most, peak_kib(process.pid))
            time.sleep(0.005)
        assert process.returncode == 0
        report(f"at most in memory, {name}", f"{most / 1024:.0f} MiB", "")


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has had; 0 once it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def memory_by_runs() -> None:
    bars = year_of_minutes()

    def run() -> None:
        metrics(run_backtest(Ema(), RULES, bars.slice(0, YEAR)))

    run()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(100):
        run()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    report("more in memory after 100 runs", f"{grown / 1024:.0f} MiB", "0")


def year_of_minutes() -> Candles:
    """Return the real month, twelve times on end."""
    month = real_minutes()
    columns = np.array([month.open, month.high, month.low, month.close])
    bars = np.tile(columns, 12)[:, :YEAR].T
    return candles(*map(tuple, bars), volume=np.tile(month.volume, 12)[:YEAR])


@contextmanager
def database() -> Iterator[dict[str, str]]:
    """Let the default connection be to a database of its own; yield its settings."""
    default = connections["default"]
    with scratch_database() as connection:
        call_command("migrate", database=connection.alias, verbosity=0)
        connections["default"] = connection
        try:
            yield {**SECRETS, "DATABASE_URL": url_of(connection)}
        finally:
            connections["default"] = default


def url_of(connection: BaseDatabaseWrapper) -> str:
    assert connection.vendor == "postgresql", "run it with tests.with_postgres"
    return database_url(connection)


def store(count: int) -> None:
    """Store as many minutes, the real month again and again."""
    series = CandleSeries(
        market="spot", symbol="BENCHUSDT", interval="1m", source=CandleSource.IMPORTED
    )
    month = real_minutes()
    texts = [
        list(map(str, row))
        for row in zip(
            *(month.open, month.high, month.low, month.close, month.volume), strict=True
        )
    ]
    now = timezone.now()

    def rows() -> Iterator[CandleRow]:
        for number in range(count):
            yield candle_row(
                FIRST + number * MINUTE,
                texts[number % len(texts)],
                length=MINUTE,
                now=now,
            )

    candles_store(series, rows())


def best_s(work: Callable[[], object], *, times: int) -> float:
    """Return how many seconds the quickest of several runs took."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spans.append(time.perf_counter() - began)
    return min(spans)


def report(what: str, measured: str, target: str) -> None:
    told = f"   target {target}" if target else ""
    print(f"{what:<34}{measured:>16}{told}", flush=True)  # noqa: T201 -- its output


if __name__ == "__main__":
    main()
