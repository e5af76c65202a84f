"""Those who use a table while it is migrated, and what they notice of it."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

RATE_HZ = 50
CONNECTIONS = 50


class Load:
    """Readers and writers in a thread; remembers when each query began and its wait.

    ``read`` gets the id of one of the ``rows``; ``write`` has no parameters. Each is
    started ``rate_hz`` times a second.
    """

    def __init__(
        self,
        url: str,
        *,
        read: LiteralString,
        write: LiteralString,
        rows: int,
        rate_hz: float = RATE_HZ,
    ) -> None:
        self.url, self.read, self.write, self.rows = url, read, write, rows
        self.rate_hz = rate_hz
        self.waits: list[tuple[float, float]] = []
        self.written = 0
        self.errors: list[str] = []
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

    async def _connect(self) -> psycopg.AsyncConnection:
        # As Django does: a prepared statement would fail where a column gets a type.
        return await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, prepare_threshold=None
        )

    async def _run(self) -> None:
        pools = [[await self._connect()] for _ in range(2)]
        tasks: set[asyncio.Task[None]] = set()
        while not self._stop.is_set():
            for free, statement, arguments in (
                (pools[0], self.read, [random.randint(1, self.rows)]),  # noqa: S311
                (pools[1], self.write, []),
            ):
                task = asyncio.create_task(self._query(free, statement, arguments))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(1 / self.rate_hz)
        await asyncio.gather(*tasks)
        for connection in (each for pool in pools for each in pool):
            await connection.close()

    async def _query(
        self, free: list[Any], statement: LiteralString, arguments: list[int]
    ) -> None:
        # A query that is due does not wait for the one before it, if it can be helped.
        began = time.monotonic()
        async with self._room:
            connection = free.pop() if free else await self._connect()
            try:
                await connection.execute(statement, arguments)
                self.written += statement == self.write
            except psycopg.Error as error:
                self.errors.append(str(error))
            free.append(connection)
        self.waits.append((began, time.monotonic() - began))


@contextmanager
def watching(url: str, table: str) -> Iterator[list[float]]:
    """Measure for how long ACCESS EXCLUSIVE on a table is held at a stretch, in ms."""
    held: list[float] = [0.0]
    stop = threading.Event()

    def watch() -> None:
        since: dict[int, float] = {}
        with psycopg.connect(url, autocommit=True) as connection:
            while not stop.is_set():
                now = time.monotonic()
                rows = connection.execute(
                    "SELECT pid FROM pg_locks WHERE relation = to_regclass(%s) "
                    "AND granted AND mode = 'AccessExclusiveLock'",
                    [table],
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


def stranger(url: str, table: str, seconds: float) -> threading.Thread:
    """Read a table in a transaction that stays open."""
    ready = threading.Event()

    def hold() -> None:
        with psycopg.connect(url) as connection:
            query = sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.Identifier(table))
            connection.execute(query)
            ready.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait()
    return thread
