"""How fast the API answers, beside the FastAPI program that it replaces.

    .venv/bin/python -m pip install -r tests/benchmarks/requirements.txt
    python -m tests.with_postgres python -m tests.benchmarks.api_speed [SECONDS]

Real servers with one and with two workers on PostgreSQL; a user with 25 bots, 500
trades and 40 backtests that hold 1.5 MB of JSON; 16 connections that ask again as soon
as they are answered. Prints requests per second, the median and the 99th percentile of
the waits, and the memory of a worker.

The figures of the old program were measured in the same way, with uvloop, on another
machine of the same size: it is not here to be measured anew. What is, one route after
the other in the same minute, is a program of the same parts (``fastapi_peer``).
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.models import User  # noqa: E402
from accounts.tokens import token_issue  # noqa: E402
from bots.models import BotConfig  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.factories import make_backtest, make_bot, make_trade, make_user  # noqa: E402
from tests.processes import SECRETS, Server, database_url, free_port, serving  # noqa: E402

CONNECTIONS = 16
WORKERS = (1, 2)
# Path, and the requests per second of the old program with one and two workers.
PATHS = {
    "me": ("/api/v1/auth/me", (463, 781)),
    "25 bots": ("/api/v1/bot-configs/", (182, 215)),
    "500 trades": ("/api/v1/trades/", (39, 77)),
    "40 backtests": ("/api/v1/backtest/list", (18, 39)),
}
OLD_MEMORY_MB = (162, 219)


def fill() -> User:
    """Store the rows that are asked for; return their owner."""
    user = make_user("speed@example.com")
    for number in range(25):
        make_bot(
            user,
            name=f"Bot {number}",
            initial_capital=Decimal("1234.56789"),
            trailing_stop_perc=Decimal("0.5"),
        )
    bot = BotConfig.objects.filter(user=user).latest("id")
    for number in range(500):
        make_trade(
            bot,
            Decimal("50000.12345678") + number,
            binance_order_id=str(number),
            commission_amount=Decimal("0.00012345"),
            commission_asset="USDT",
            realized_pnl=Decimal("-1.25"),
        )
    days = [
        {"date": f"2025-01-{n % 28 + 1:02}", "capital": 1000 + n / 7, "pnl_pct": n / 3}
        for n in range(560)
    ]
    for _ in range(40):
        make_backtest(user, daily_results=days)
    return user


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What clients saw: requests per second, waits in ms."""

    rate: float
    p50_ms: float
    p99_ms: float

    def __str__(self) -> str:
        return f"{self.rate:7.0f}/s {self.p50_ms:7.1f} {self.p99_ms:7.1f}"


def ask(
    port: int,
    path: str,
    token: str,
    seconds: float,
    connections: int = CONNECTIONS,
) -> Speed:
    """Ask for a path on all connections for so many seconds.

    Exits where an answer is not 200.
    """
    head = f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}"
    request = "\r\n".join([*head, "", ""]).encode()
    waits: list[float] = []
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            state = _State(connection, time.perf_counter())
            selector.register(connection, selectors.EVENT_READ, state)
        began = time.perf_counter()
        while (now := time.perf_counter()) < began + seconds:
            for key, _ in selector.select(timeout=1):
                state = key.data
                if state.read():
                    now = time.perf_counter()
                    waits.append(now - state.began)
                    state.began = now
                    state.connection.sendall(request)
        for key in list(selector.get_map().values()):
            key.data.connection.close()
    waits.sort()
    return Speed(
        rate=len(waits) / (now - began),
        p50_ms=1000 * waits[len(waits) // 2],
        p99_ms=1000 * waits[len(waits) * 99 // 100],
    )


class _State:
    """A connection whose answer is being read."""

    def __init__(self, connection: socket.socket, began: float) -> None:
        self.connection, self.began = connection, began
        self._received = bytearray()
        self._size = 0  # of the answer that is being read, once its head is known

    def read(self) -> bool:
        """Read what has come; return whether the answer is complete."""
        received = self._received
        received += self.connection.recv(1 << 16)
        if not self._size:
            head = received.find(b"\r\n\r\n")
            if head < 0:
                return False
            if not received.startswith(b"HTTP/1.1 200"):
                sys.exit(received.decode(errors="replace"))
            fields = bytes(received[:head]).lower()
            length = fields.index(b"content-length:") + 15
            self._size = head + 4 + int(fields[length:].partition(b"\r\n")[0])
        if len(received) < self._size:
            return False
        self._size = 0
        received.clear()
        return True


def memory_mb(server: Server) -> float:
    """Return the resident memory of the largest worker."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    return max(
        int(line.split()[1]) / 1024
        for child in children.read_text().split()
        for line in Path(f"/proc/{child}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    )


@contextmanager
def server(url: str, workers: int, kind: str = "wsgi") -> Iterator[Server]:
    settings = {
        "HTTPS_ONLY": "false",
        "WEB_CONCURRENCY": str(workers),
        "WEB_WORKER": kind,
    }
    gunicorn = str(Path(sys.executable).parent / "gunicorn")
    command = [gunicorn, "-c", "tradebot/gunicorn_config.py"]
    with _serving(url, command, **settings) as running:
        running.get("/health")
        yield running
        running.stop()


@contextmanager
def peer(url: str, workers: int) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.benchmarks.fastapi_peer:app"]
    command += ["--no-access-log", "--loop", "uvloop", "--http", "httptools"]
    command += ["--workers", str(workers), "--port", str(port)]
    with _serving(url, command) as running:
        running.port = port
        running.get("/health")
        yield running


@contextmanager
def _serving(url: str, command: list[str], **settings: str) -> Iterator[Server]:
    settings |= {**SECRETS, "DATABASE_URL": url}
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder), command, **settings) as running,
    ):
        yield running


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with scratch_database() as connection:
        call_command("migrate", database=connection.alias, verbosity=0)
        connections["default"].close()
        default, connections["default"] = connections["default"], connection
        user = fill()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
        connections["default"] = default
        token = token_issue(user=user, remember=False, now=timezone.now())
        url = database_url(connection)
        for index, workers in enumerate(WORKERS):
            with server(url, workers) as ours, peer(url, workers) as other:
                idle = memory_mb(ours)
                for name, (path, old) in PATHS.items():
                    speed, beside = (
                        measure(running, path, token, seconds)
                        for running in (ours, other)
                    )
                    sys.stdout.write(
                        f"{workers} worker(s), {name:14} {speed}   old program "
                        f"{old[index]:4}/s: {speed.rate / old[index]:5.1f} ×   "
                        f"FastAPI {beside}: {speed.rate / beside.rate:5.1f} ×\n"
                    )
                    sys.stdout.flush()
                sys.stdout.write(
                    f"memory of a worker: {idle:.0f} MB idle, {memory_mb(ours):.0f} "
                    f"MB after; old program {OLD_MEMORY_MB[0]} and {OLD_MEMORY_MB[1]}\n"
                )


def measure(running: Server, path: str, token: str, seconds: float) -> Speed:
    ask(running.port, path, token, 1)
    return ask(running.port, path, token, seconds)


if __name__ == "__main__":
    main()
