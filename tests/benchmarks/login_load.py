"""How long ``/health`` takes alone and while people log in, and how many can.

    python -m tests.with_postgres python -m tests.benchmarks.login_load [SECONDS]

One worker of gunicorn with the settings it has by default, on PostgreSQL, and none for
backtests, which would begin meanwhile. Four connections log in, each as a user of its
own, with bcrypt at the cost of the product; a fifth asks ``/health`` twenty times a
second. Prints the waits of that one and the log-ins in a second; the environment's
WEB_WORKER, WEB_THREADS and PASSWORD_HASHER are handed on.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from accounts.models import User  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.processes import SECRETS, Server, database_url, manage, serving  # noqa: E402

CONNECTIONS = 4
RATE_HZ = 20
PASSWORD = "correct Horse 4"
COMMAND = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]


def health_waits(port: int, seconds: float) -> list[float]:
    """Ask for that long; return how long each answer took, in milliseconds."""
    waits = []
    until = time.monotonic() + seconds
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as http:
        while (began := time.monotonic()) < until:
            http.request("GET", "/health")
            http.getresponse().read()
            waits.append(1000 * (time.monotonic() - began))
            time.sleep(max(0.0, began + 1 / RATE_HZ - time.monotonic()))
    return waits


def log_in(port: int, email: str, stop: threading.Event, done: list[int]) -> None:
    body = json.dumps({"email": email, "password": PASSWORD})
    headers = {"Content-Type": "application/json"}
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as http:
        while not stop.is_set():
            http.request("POST", "/api/v1/auth/login", body, headers)
            response = http.getresponse()
            response.read()
            done.append(response.status)


def report(name: str, waits: list[float]) -> None:
    cuts = statistics.quantiles(waits, n=100)
    sys.stdout.write(
        f"/health {name}: p50 {cuts[49]:.1f} ms, p99 {cuts[98]:.1f} ms, "
        f"longest {max(waits):.1f} ms\n"
    )


def measure(server: Server, emails: list[str], seconds: float) -> None:
    server.get("/health")
    report("alone", health_waits(server.port, seconds))
    stop, done = threading.Event(), list[int]()
    threads = [
        threading.Thread(target=log_in, args=(server.port, email, stop, done))
        for email in emails
    ]
    for thread in threads:
        thread.start()
    try:
        waits = health_waits(server.port, seconds)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    report(f"while {CONNECTIONS} log in", waits)
    if set(done) != {200}:
        sys.exit(f"not all log-ins were let in: {set(done)}")
    sys.stdout.write(f"log-ins: {len(done) / seconds:.1f} a second\n")


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    emails = [f"user{number}@example.com" for number in range(CONNECTIONS)]
    with scratch_database() as connection, tempfile.TemporaryDirectory() as folder:
        settings = {
            **SECRETS,
            "DATABASE_URL": database_url(connection),
            "HTTPS_ONLY": "false",
            "WEB_CONCURRENCY": "1",
            "BACKTEST_WORKERS": "0",
            **{
                name: os.environ[name]
                for name in ("WEB_WORKER", "WEB_THREADS", "PASSWORD_HASHER")
                if name in os.environ
            },
        }
        manage("migrate", **settings).check_returncode()
        for email in emails:
            user = User(email=email)
            user.set_password(PASSWORD)
            user.save(using=connection.alias)
        with serving(Path(folder), COMMAND, **settings) as server:
            measure(server, emails, seconds)


if __name__ == "__main__":
    main()
