"""Backtests by Celery: messages that call for work, and a worker that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.db.backends.base.base import BaseDatabaseWrapper

from accounts.models import User
from backtests.api.requests import BacktestRequest
from backtests.api.sweep_serializers import SweepRequest
from backtests.models import BacktestRun, Sweep, SweepPiece
from backtests.runs import run_create
from backtests.sweeps import sweep_create
from backtests.tasks import QUEUE, call_worker, work
from tests.backtests.conftest import make_candles
from tests.databases import as_default, url_of
from tests.factories import make_user
from tests.workers import celery_command, redis_url, working

ASKED: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "interval": "1h",
    "start_date": "2025-01-31",
    "end_date": "2025-02-09",
    "parameters": {"strategy": "ema", "rsi_overbought": 95},
}
GRID = {"ema_fast": [3, 5, 8], "stop_loss": [0.5, 1]}
Waiting = Callable[[], list[Any]]

pytestmark = pytest.mark.alike


def ask_for_a_run(user: User) -> BacktestRun:
    asked = BacktestRequest(data=ASKED)
    asked.is_valid(raise_exception=True)
    return run_create(user=user, request=asked.validated_data)


def ask_for_a_sweep(user: User) -> Sweep:
    asked = SweepRequest(data={**ASKED, "grid": GRID})
    asked.is_valid(raise_exception=True)
    return sweep_create(user=user, request=asked.validated_data)


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    """Take what waits in the queue, of a broker in memory."""
    with Celery("tests", broker="memory://") as app, app.connection() as connection:
        channel = connection.default_channel

        def take() -> list[Any]:
            return list(iter(lambda: channel.basic_get(QUEUE, no_ack=True), None))

        yield take


def test_worker_is_called_once_where_nobody_comes(waiting: Waiting) -> None:
    for _ in range(3):
        call_worker()

    assert [message.headers["task"] for message in waiting()] == ["backtests.work"]


@pytest.mark.usefixtures("candles")
def test_each_piece_of_work_calls_for_the_next_until_there_is_none(
    user: User, waiting: Waiting
) -> None:
    run, sweep = ask_for_a_run(user), ask_for_a_sweep(user)

    for _ in range(3):
        work()
        (message,) = waiting()
        # Longer than a look at a bot: what is killed would begin anew, for ever.
        assert message.headers["timelimit"] == [24 * 60 * 60, None]
    work()

    assert waiting() == []
    run.refresh_from_db()
    sweep.refresh_from_db()
    assert (run.status, sweep.status) == ("done", "done")


def test_worker_of_celery_alone_finishes_runs_and_sweeps(
    migrated_database: BaseDatabaseWrapper, tmp_path: Path
) -> None:
    settings = {
        "DATABASE_URL": url_of(migrated_database),
        "CELERY_BROKER_URL": redis_url(14),
    }
    command = celery_command(tmp_path, "--queues", f"celery,{QUEUE}")
    with as_default(migrated_database):
        make_candles()
        user = make_user()
        run, sweep = ask_for_a_run(user), ask_for_a_sweep(user)

        def are_done() -> bool:
            run.refresh_from_db()
            sweep.refresh_from_db()
            return (run.status, sweep.status) == ("done", "done")

        with working(tmp_path, command, **settings) as worker:
            worker.work_until(are_done)
            worker.stop()

        assert run.backtest is not None
        assert sweep.results.count() == 6
        assert set(SweepPiece.objects.values_list("worker", flat=True)) == {run.worker}
