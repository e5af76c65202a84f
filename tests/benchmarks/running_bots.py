"""How many bots one machine can run: ticks a second, how late they are, what they ask.

    python -m tests.with_postgres python -m tests.benchmarks.running_bots [BOTS [S]]

Bots on paper (10,000) for S seconds, each looked at every minute, on 25 series of
made-up minute candles, with two sets of parameters, in two processes. A tick is one
look at one bot; it is late by the time from when it was due to when it was taken.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import django
import numpy as np

from tests.databases import scratch_database

PROCESSES = 2
SERIES = 25
_BATCH = 1000


def main(bots: int, seconds: float) -> None:
    from django.core.management import call_command

    from tests.databases import as_default

    with scratch_database() as database, as_default(database):
        call_command("migrate", verbosity=0, database=database.alias)
        name = database.settings_dict["NAME"]
        _make(bots)
        database.close()
        context = multiprocessing.get_context("spawn")
        results: Any = context.Queue()
        workers = [
            context.Process(target=_work, args=(name, seconds, results))
            for _ in range(PROCESSES)
        ]
        for worker in workers:
            worker.start()
        parts = [results.get() for _ in workers]
        for worker in workers:
            worker.join()
        _report(bots, parts)


def _make(bots: int) -> None:
    import datetime as dt
    import random

    from django.utils import timezone

    from bots.models import BotConfig, BotRun
    from tests.factories import BOT, make_user
    from trading.candles import Period
    from trading.models import CandleSeries
    from trading.synthetic import candles_make

    now = timezone.now()
    for seed in range(SERIES):
        series = CandleSeries(
            market="spot",
            symbol="BTCUSDT",
            interval="1m",
            source="synthetic",
            seed=seed,
            base_price=Decimal(100),
        )
        end = now.replace(second=0, microsecond=0)
        candles_make(series, Period(end - dt.timedelta(hours=10), end), now=now)
    user = make_user()
    for begin in range(0, bots, _BATCH):
        made = BotConfig.objects.bulk_create(
            BotConfig(
                **{
                    **BOT,
                    "user": user,
                    "timeframe": "1m",
                    "strategy": "ema",
                    "is_active": True,
                    "initial_capital": Decimal(1000),
                    "position_size_perc": Decimal(50),
                    "candle_seed": number % SERIES,
                    "ema_fast": 5 + number % 2,
                    "stop_loss_perc": Decimal("0.5"),
                    "take_profit_perc": Decimal(1),
                }
            )
            for number in range(begin, min(begin + _BATCH, bots))
        )
        BotRun.objects.bulk_create(
            BotRun(
                bot=bot,
                due_at=now + dt.timedelta(seconds=random.uniform(15, 75)),  # noqa: S311
            )
            for bot in made
        )


def _work(database: str, seconds: float, results: Any) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from django.conf import settings
    from django.db import connection
    from django.utils import timezone

    settings.DATABASES["default"]["NAME"] = database
    connection.settings_dict["NAME"] = database
    from trading.running.feed import LiveFeed
    from trading.running.runner import Runner

    late: list[float] = []
    queries = 0

    class Measured(Runner):
        def look(self, runs: Any) -> None:
            now = timezone.now()
            late.extend((now - run.due_at).total_seconds() for run in runs)
            super().look(runs)

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal queries
        queries += 1
        return execute(*arguments)

    runner = Measured(feed=LiveFeed(), threads=1)
    until = time.monotonic() + seconds
    with connection.execute_wrapper(count):
        while time.monotonic() < until:
            if not runner.step():
                time.sleep(0.1)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((late, queries, time.process_time(), memory))


def _report(bots: int, parts: list[Any]) -> None:
    from bots.models import BotState
    from trading.models import Order

    late = np.concatenate([np.array(part[0]) for part in parts])
    ticks, queries = len(late), sum(part[1] for part in parts)
    cpu = sum(part[2] for part in parts)
    by_status = dict(Counter(BotState.objects.values_list("status", flat=True)))
    lines = [
        f"{bots:,} bots, {PROCESSES} processes: {ticks:,} ticks",
        f"capacity: {ticks / cpu * PROCESSES:,.0f} ticks/s of {PROCESSES} processors",
        "late: "
        + ", ".join(
            f"p{share} {np.percentile(late, share):.2f} s" for share in (50, 95, 99)
        ),
        f"queries: {queries / ticks:.2f} a tick",
        f"orders: {Order.objects.count():,}; bots: {by_status}",
        f"memory: {max(part[3] for part in parts):.0f} MB a process",
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 10_000,
        float(sys.argv[2]) if len(sys.argv) > 2 else 180,
    )
