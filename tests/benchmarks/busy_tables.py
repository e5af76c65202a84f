"""How long readers and writers of a large table wait while it is migrated.

    python -m tests.with_postgres python -m tests.benchmarks.busy_tables [ROWS [S]]

``trades`` gets 5,000,000 rows at the documented head. 50 reads and 50 writes a second
go on, and a stranger's transaction that has read the table stays open for 30 seconds,
while the migrations of ``trading`` run: once by our executor, once by Django's own.
Prints for each migration the longest wait of a query while it ran, beside the longest
one without migrations; for how long ACCESS EXCLUSIVE was held at a stretch; and how
long after the stranger left the run ended.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

import psycopg  # noqa: E402
from django.core.management import call_command  # noqa: E402

from tests.databases import scratch_database  # noqa: E402
from tests.processes import ROOT, database_url, environment  # noqa: E402
from tests.schema.starts import DJANGOS, OURS  # noqa: E402

RATE_HZ = 50
CONNECTIONS = 50
TARGETS = [
    ("backtests", "0003"),
    ("bots", "0006"),
    ("apikeys", "0001"),
    ("trading", "0002"),
]
FILL = """
    INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, price,
                        quantity_filled, quote_quantity_filled, timestamp)
    SELECT 1, 1, 'BTCUSDT', 'BUY', 'MARKET', 50000.5, 0.001, 50.0005,
           timestamp '2025-01-01' + n * interval '1 second'
    FROM generate_series(1, %s) n
"""
READ = "SELECT price FROM trades WHERE id = %s"
WRITE = """
    INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, price,
                        quantity_filled, quote_quantity_filled)
    VALUES (1, 1, 'BTCUSDT', 'SELL', 'MARKET', 1, 1, %s)
"""


class Load:
    """Readers and writers in a thread; remembers when each query began and its wait."""

    def __init__(self, url: str, rows: int) -> None:
        self.url, self.rows = url, rows
        self.waits: list[tuple[float, float]] = []
        self._stop = threading.Event()
        self._room = asyncio.Semaphore(CONNECTIONS)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def longest_ms(self, since: float, until: float) -> float:
        """Return the longest wait of the queries that were open in a stretch."""
        return 1000 * max(
            (wait for at, wait in self.waits if at < until and at + wait > since),
            default=0.0,
        )

    async def _run(self) -> None:
        pools = [
            [await psycopg.AsyncConnection.connect(self.url, autocommit=True)]
            for _ in range(2)
        ]
        tasks: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            for free, statement, argument in (
                (pools[0], READ, random.randint(1, self.rows)),  # noqa: S311
                (pools[1], WRITE, 1),
            ):
                task = asyncio.create_task(self._query(free, statement, argument))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / RATE_HZ)
        await asyncio.gather(*tasks)
        for connection in (each for pool in pools for each in pool):
            await connection.close()

    async def _query(self, free: list[Any], statement: str, argument: Any) -> None:
        # A query that is due does not wait for the one before it, if it can be helped.
        began = time.monotonic()
        async with self._room:
            connection = (
                free.pop()
                if free
                else await psycopg.AsyncConnection.connect(self.url, autocommit=True)
            )
            await connection.execute(statement, [argument])
            free.append(connection)
        self.waits.append((began, time.monotonic() - began))


@contextmanager
def watching(url: str) -> Iterator[list[float]]:
    """Measure for how long ACCESS EXCLUSIVE on trades is held at a stretch, in ms."""
    held: list[float] = [0.0]
    stop = threading.Event()

    def watch() -> None:
        since: dict[int, float] = {}
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                now = time.monotonic()
                rows = connection.execute(
                    "SELECT pid FROM pg_locks WHERE relation = to_regclass('trades') "
                    "AND granted AND mode = 'AccessExclusiveLock'"
                ).fetchall()
                since = {pid: since.get(pid, now) for (pid,) in rows}
                held[0] = max([held[0], *(1000 * (now - at) for at in since.values())])
                time.sleep(0.003)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield held
    finally:
        stop.set()
        thread.join()


def migrate(url: str, command: list[str]) -> list[tuple[str, float, float]]:
    """Run the migrations of trading; return each with its start and end."""
    process = subprocess.Popen(
        [sys.executable, "-u", *command, "trading"],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="tests.settings", DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdout is not None
    text, stretches, began, name = b"", [], 0.0, ""
    while byte := process.stdout.read(1):
        text += byte
        if text.endswith(b"..."):
            name, began = text.split()[-1].decode().strip("."), time.monotonic()
        elif text.endswith(b"OK\n") and name:
            stretches.append((name, began, time.monotonic()))
            name = ""
    if process.wait() != 0:
        sys.exit(text.decode())
    return stretches


def stranger(url: str, seconds: float) -> threading.Thread:
    """Read the table in a transaction that stays open."""
    ready = threading.Event()

    def hold() -> None:
        with psycopg.connect(url) as connection:
            connection.execute("SELECT 1 FROM trades LIMIT 1")
            ready.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    return thread


def measure(url: str, name: str, command: list[str], rows: int, seconds: float) -> None:
    with Load(url, rows) as load, watching(url) as held:
        began = time.monotonic()
        time.sleep(min(20, seconds))
        control = load.longest_ms(began, time.monotonic())
        thread = stranger(url, seconds)
        left = time.monotonic() + seconds
        stretches = migrate(url, command)
        after = time.monotonic() - left
        thread.join()
        time.sleep(1)
    sys.stdout.write(
        f"{name}: longest wait without migrations {control:.0f} ms; ACCESS EXCLUSIVE "
        f"held for {held[0]:.0f} ms at most; ended {after:.1f} s after the stranger\n"
    )
    for migration, start, end in stretches:
        sys.stdout.write(
            f"    {migration:45} {end - start:7.1f} s, longest wait "
            f"{load.longest_ms(start, end):8.0f} ms\n"
        )
    sys.stdout.flush()


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    with scratch_database() as connection:
        for target in TARGETS:
            call_command("migrate", *target, database=connection.alias, verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO users (email, hashed_password) VALUES ('a', '')"
            )
            cursor.execute(
                "INSERT INTO bot_configs (user_id, name, symbol, timeframe, "
                "stop_loss_perc, take_profit_perc, ema_fast, ema_slow, rsi_period, "
                "rsi_oversold, rsi_overbought, strategy) VALUES "
                "(1, 'a', 'BTCUSDT', '1h', 1, 1, 9, 21, 14, 30, 70, 'ema')"
            )
            cursor.execute(FILL, [rows])
            cursor.execute("VACUUM ANALYZE trades")
        sys.stdout.write(f"trades has {rows:,} rows\n")
        template = str(connection.settings_dict["NAME"])
        url = database_url(connection)
        connection.close()
        for name, command in (("ours", OURS), ("Django's executor", DJANGOS)):
            copy = f"scratch_{uuid.uuid4().hex}"
            with psycopg.connect(
                url.replace(template, "postgres"), autocommit=True
            ) as c:
                c.execute(f"CREATE DATABASE {copy} TEMPLATE {template}")
                try:
                    measure(url.replace(template, copy), name, command, rows, seconds)
                finally:
                    with suppress(psycopg.Error):
                        c.execute(f"DROP DATABASE {copy} WITH (FORCE)")


if __name__ == "__main__":
    main()
