"""Bots run by real processes: the command and Celery, until they are asked to end."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from bots.models import BotConfig, BotRun, BotState
from tests.databases import as_default, url_of
from tests.processes import ROOT, SECRETS, environment
from tests.trading.running.replay import make_running_bot
from trading.candles import Period
from trading.models import CandleSeries
from trading.synthetic import candles_make

pytestmark = pytest.mark.alike

REDIS = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/15")


def _redis_answers() -> bool:
    url = urlsplit(REDIS)
    try:
        socket.create_connection((url.hostname, url.port or 6379), timeout=1).close()
    except OSError:
        return False
    return True


COMMANDS = {
    "runbots": [sys.executable, "manage.py", "runbots"],
    "celery": [
        *(sys.executable, "-m", "celery", "-A", "tradebot.celery", "worker"),
        *("--beat", "--concurrency", "1", "--schedule"),
    ],
}


@pytest.fixture
def bots(migrated_database: BaseDatabaseWrapper) -> Iterator[list[BotConfig]]:
    """Make bots on made-up candles, which need no network."""
    with as_default(migrated_database):
        now = timezone.now()
        end = now.replace(second=0, microsecond=0)
        series = CandleSeries(
            market="spot",
            symbol="BTCUSDT",
            interval="1m",
            source="synthetic",
            seed=7,
            base_price=Decimal(100),
        )
        candles_make(series, Period(end - dt.timedelta(hours=6), end), now=now)
        first = make_running_bot(candle_seed=7)
        others = [make_running_bot(candle_seed=7, user=first.user) for _ in range(4)]
        yield [first, *others]


@pytest.mark.parametrize("name", COMMANDS)
def test_bots_are_run_until_the_process_is_asked_to_end(
    name: str,
    bots: list[BotConfig],
    migrated_database: BaseDatabaseWrapper,
    tmp_path: Path,
) -> None:
    command = list(COMMANDS[name])
    if name == "celery":
        if not _redis_answers():
            pytest.skip(f"no Redis at {REDIS}; TEST_REDIS_URL names another")
        command.append(str(tmp_path / "beat"))
    settings = {
        **SECRETS,
        "DATABASE_URL": url_of(migrated_database),
        "CELERY_BROKER_URL": REDIS,
        "HOME": str(tmp_path),
    }
    migrated_database.close()
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**settings),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + 60
        looked_at = BotState.objects.filter(status__in=["waiting", "running"])
        while looked_at.count() < len(bots) and time.monotonic() < until:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.2)
        assert looked_at.count() == len(bots), (tmp_path / "log").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, (tmp_path / "log").read_text()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # Nothing is left in the hands of a process that has ended.
    assert not BotRun.objects.filter(leased_until__isnull=False).exists()
