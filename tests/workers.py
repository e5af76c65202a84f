"""Workers that are started as processes, and the Redis of those of Celery."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.processes import ROOT, SECRETS, environment

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379")


def celery_command(folder: Path, *options: str) -> list[str]:
    """Return the command of a worker that is its own beat."""
    return [
        *(sys.executable, "-m", "celery", "-A", "tradebot.celery", "worker"),
        *("--beat", "--concurrency", "1", "--schedule", str(folder / "beat")),
        *options,
    ]


def redis_url(database: int) -> str:
    """Return the URL of a database in Redis; skip the test where none answers."""
    url = urlsplit(REDIS)
    try:
        socket.create_connection((url.hostname, url.port or 6379), timeout=1).close()
    except OSError:
        pytest.skip(f"no Redis at {REDIS}; TEST_REDIS_URL names another")
    return url._replace(path=f"/{database}").geturl()


class Worker:
    """A worker that was started; its output goes to ``log``."""

    def __init__(self, process: subprocess.Popen[bytes], log_file: Path) -> None:
        self.process = process
        self._log_file = log_file

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    def work_until(self, is_done: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not is_done():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < until, self.log
            time.sleep(0.2)

    def stop(self) -> None:
        """Ask it to end, which it has to do in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0, self.log


@contextmanager
def working(folder: Path, command: list[str], **settings: str) -> Iterator[Worker]:
    """Start a worker; whatever is left of it ends with the block."""
    log_file = folder / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**SECRETS, HOME=str(folder), **settings),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Worker(process, log_file)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
