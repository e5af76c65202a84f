"""Bots run by real processes: the command and Celery, until they are asked to end."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from bots.models import BotConfig, BotRun, BotState
from tests.databases import as_default, url_of
from tests.trading.running.replay import make_running_bot
from tests.workers import celery_command, redis_url, working
from trading.candles import Period
from trading.models import CandleSeries
from trading.synthetic import candles_make

pytestmark = pytest.mark.alike


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


@pytest.mark.parametrize("name", ["runbots", "celery"])
def test_bots_are_run_until_the_process_is_asked_to_end(
    name: str,
    bots: list[BotConfig],
    migrated_database: BaseDatabaseWrapper,
    tmp_path: Path,
) -> None:
    settings = {"DATABASE_URL": url_of(migrated_database)}
    command = [sys.executable, "manage.py", "runbots"]
    if name == "celery":
        settings["CELERY_BROKER_URL"] = redis_url(15)
        command = celery_command(tmp_path)
    migrated_database.close()
    looked_at = BotState.objects.filter(status__in=["waiting", "running"])

    with working(tmp_path, command, **settings) as worker:
        worker.work_until(lambda: looked_at.count() == len(bots))
        worker.stop()

    # Nothing is left in the hands of a process that has ended.
    assert not BotRun.objects.filter(leased_until__isnull=False).exists()
