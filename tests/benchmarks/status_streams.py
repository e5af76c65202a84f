"""What 200 open event streams cost those who ask for something else.

    python -m tests.with_postgres python -m tests.benchmarks.status_streams [N [S]]

N streams, S seconds a measurement. As in compose, one server with threads answers
requests and one with ASGI holds the streams; here it answers requests too. Prints the
waits of one client that asks for ``me`` without a pause, of either server, without and
with streams; how long a change takes to all who watch; and memory and connections to
the database.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.tokens import token_issue  # noqa: E402
from bots.api.stream import MOST_OF_A_USER  # noqa: E402
from bots.models import BotState  # noqa: E402
from tests.benchmarks.api_speed import ask, memory_mb, server  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.factories import make_bot, make_user  # noqa: E402
from tests.processes import database_url  # noqa: E402

ME = "/api/v1/auth/me"


@contextmanager
def streams(
    port: int, watched: dict[int, str], count: int
) -> Iterator[selectors.BaseSelector]:
    """Open streams, some for each bot, and read their first events.

    ``watched`` are ids of bots, with a token of their owners.
    """
    bots = list(watched.items())
    with selectors.DefaultSelector() as selector:
        for number in range(count):
            bot_id, token = bots[number % len(bots)]
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            head = (
                f"GET /api/v1/bots/{bot_id}/status-stream HTTP/1.1",
                "Host: 127.0.0.1",
                f"Authorization: Bearer {token}",
            )
            connection.sendall("\r\n".join([*head, "", ""]).encode())
            received = b""
            while b"data: " not in received:
                received += connection.recv(65536)
                if not received.startswith(b"HTTP/1.1 200"):
                    sys.exit(received.decode())
            selector.register(connection, selectors.EVENT_READ)
        yield selector
        for key in list(selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # all are sockets


def wait_for_all(selector: selectors.BaseSelector, count: int) -> list[float]:
    """Return after how many seconds each stream has an event that has just begun."""
    began = time.perf_counter()
    told: dict[int, float] = {}
    while len(told) < count:
        for key, _ in selector.select(timeout=30):
            if b"data: " in key.fileobj.recv(65536):  # type: ignore[union-attr]
                told.setdefault(key.fd, time.perf_counter() - began)
    return sorted(told.values())


def say(name: str, port: int, token: str, seconds: float) -> None:
    speed = ask(port, ME, token, seconds, connections=1)
    sys.stdout.write(f"{name:42} p50 {speed.p50_ms:6.1f} ms, p99 {speed.p99_ms:6.1f}\n")
    sys.stdout.flush()


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    with scratch_database() as connection:
        call_command("migrate", database=connection.alias, verbosity=0)
        default, connections["default"] = connections["default"], connection
        # No more than half of what one may have open.
        owners = -(-count // (MOST_OF_A_USER // 2))
        bots = [make_bot(make_user(f"{n}@example.com")) for n in range(owners)]
        BotState.objects.bulk_create(BotState(bot_config=bot) for bot in bots)
        watched = {
            bot.pk: token_issue(user=bot.user, remember=False, now=timezone.now())
            for bot in bots
        }
        token = watched[bots[0].pk]
        url = database_url(connection)
        with (
            server(url, 1, "wsgi") as web,
            server(url, 1, "asgi") as stream,
        ):
            for name, one in (("threads", web), ("ASGI", stream)):
                say(f"{name}, no stream", one.port, token, seconds)
            before = memory_mb(stream)
            with streams(stream.port, watched, count) as selector:
                say(f"threads, {count} streams beside", web.port, token, seconds)
                say(f"ASGI, {count} streams in it", stream.port, token, seconds)
                BotState.objects.update(status="running")
                waits = wait_for_all(selector, count)
                sys.stdout.write(
                    f"a change was told after {statistics.median(waits):.2f} s "
                    f"(median), to all after {waits[-1]:.2f} s\n"
                )
                with connection.cursor() as cursor:
                    cursor.execute(
                        "SELECT count(*) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                    (sessions,) = cursor.fetchone()
                sys.stdout.write(
                    f"memory of the ASGI worker: {before:.0f} MB without streams, "
                    f"{memory_mb(stream):.0f} MB with; connections of both servers to "
                    f"the database: {sessions}\n"
                )
        connections["default"] = default


if __name__ == "__main__":
    main()
