"""Backtests that were asked for: they wait in the database for whoever works.

A worker claims the oldest that is free and says now and then that it is still at it.
One that has said nothing for a minute is taken for dead, and its run begins anew; not
where it is the third that has not come back. Only who has the claim can finish a run,
so that one is never finished twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import get_language, gettext, override

from accounts.models import User
from backtests.models import Backtest, BacktestRun
from tradebot.errors import ConflictError, TradeBotError

logger = logging.getLogger(__name__)

Status = BacktestRun.Status
OPEN = (Status.QUEUED, Status.RUNNING)
OPEN_PER_USER = 2
LOST_AFTER = dt.timedelta(minutes=1)
WAITS_LONG = dt.timedelta(minutes=1)
SAY_EVERY_S = 0.5
MOST_ATTEMPTS = 3
LONGEST_S = 600.0


class RunError(TradeBotError):
    """A run cannot lead to a result; the message tells its user why.

    ``code`` is ``refused`` for what was asked, ``missing_candles`` where there is no
    data for it.
    """

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


class RunCancelled(Exception):
    """Its user does not want the run any more."""


class RunLost(Exception):
    """Another worker has taken the run over: this one was taken for dead."""


def queue_state(*, now: dt.datetime) -> tuple[str, str]:
    """Return how the queue and its workers are.

    The queue is ``behind`` where a run has waited for a minute, and ``ok`` otherwise;
    then the workers are ``missing`` where none works on another run either.
    """
    runs = BacktestRun.objects.all()
    waiting = runs.filter(status=Status.QUEUED, created_at__lt=now - WAITS_LONG)
    if not waiting.exists():
        return "ok", "ok"
    at_work = runs.filter(status=Status.RUNNING, beat_at__gte=now - LOST_AFTER)
    return "behind", "ok" if at_work.exists() else "missing"


def run_create(*, user: User, request: Mapping[str, Any]) -> BacktestRun:
    """Queue a run; raises ConflictError where the user has as many as may be open."""
    with transaction.atomic():
        # One request at a time counts and writes.
        User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
        if user.backtest_runs.filter(status__in=OPEN).count() >= OPEN_PER_USER:
            raise ConflictError(
                gettext(
                    "You have %(count)s backtests waiting or running. Wait for one of "
                    "them, or cancel it."
                )
                % {"count": OPEN_PER_USER}
            )
        return BacktestRun.objects.create(
            user=user, request=dict(request), language=get_language()
        )


def run_cancel(*, run: BacktestRun) -> None:
    """Cancel a run: at once where it waits, soon where it is running.

    Raises ConflictError where it has ended already.
    """
    now = timezone.now()
    mine = BacktestRun.objects.filter(pk=run.pk)
    waiting = mine.filter(status=Status.QUEUED)
    if waiting.update(status=Status.CANCELLED, finished_at=now):
        return
    if not mine.filter(status=Status.RUNNING).update(cancel_asked=True):
        raise ConflictError(gettext("This run has ended already."))


def run_claim(*, worker: str) -> BacktestRun | None:
    """Take the oldest run that waits or whose worker is dead; None without any."""
    now = timezone.now()
    lost = Q(status=Status.RUNNING, beat_at__lt=now - LOST_AFTER)
    runs = BacktestRun.objects.filter(Q(status=Status.QUEUED) | lost).order_by("pk")
    if not runs.exists():  # mostly; the transaction of SQLite would stop who writes
        return None
    with transaction.atomic():
        return _run_claim(runs, worker=worker, now=now)


def _run_claim(
    runs: QuerySet[BacktestRun], *, worker: str, now: dt.datetime
) -> BacktestRun | None:
    if connection.features.has_select_for_update_skip_locked:
        runs = runs.select_for_update(skip_locked=True)
    while (run := runs.first()) and run.attempts >= MOST_ATTEMPTS:
        BacktestRun.objects.filter(pk=run.pk).update(
            status=Status.FAILED,
            finished_at=now,
            error=given_up(run.language),
            error_code="server",
        )
    if run is None:
        return None
    run.status, run.worker, run.progress = Status.RUNNING, worker, 0
    run.started_at = run.beat_at = now
    run.attempts += 1
    run.save(
        update_fields=[
            *("status", "worker", "progress", "started_at", "beat_at", "attempts")
        ]
    )
    return run


def run_execute(run: BacktestRun, work: Callable[..., Backtest]) -> None:
    """Work on a run that was claimed, until there is a result or an error.

    ``work`` gets the run and a function that it calls with its progress, and returns
    the result, not stored yet. Raises RunLost.
    """
    began, said = time.monotonic(), 0.0

    def say(progress: float) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < SAY_EVERY_S:
            return
        if now - began > LONGEST_S:
            raise RunError(
                gettext("It took longer than %(minutes)s minutes. Try fewer candles.")
                % {"minutes": f"{LONGEST_S / 60:g}"},
                code="refused",
            )
        said = now
        _say(run, progress)

    try:
        with override(run.language):
            backtest = work(run, say)
    except RunCancelled:
        _finish(run, Status.CANCELLED)
    except RunError as error:
        _finish(run, Status.FAILED, error=str(error), error_code=error.code)
    except Exception as error:
        if isinstance(error, RunLost):
            raise
        logger.exception("Backtest run %s failed", run.pk)
        told = server_failed(run.language)
        _finish(run, Status.FAILED, error=told, error_code="server")
    else:
        with transaction.atomic():
            backtest.save()
            _finish(run, Status.DONE, backtest=backtest, progress=1.0)


def run_release(run: BacktestRun) -> None:
    """Let another worker have a run: this one ends."""
    _claimed(run).update(
        status=Status.QUEUED,
        worker=None,
        beat_at=None,
        progress=0,
        attempts=F("attempts") - 1,
    )


def server_failed(language: str) -> str:
    """Return what the user is told where it is not their fault."""
    with override(language):
        return gettext("The server failed. Its operator finds the cause in the log.")


def given_up(language: str) -> str:
    """Return what the user is told of what no worker comes back from."""
    with override(language):
        return gettext(
            "%(count)s workers have begun it and not come back. Its operator finds the "
            "cause in the log, often that there was too little memory."
        ) % {"count": MOST_ATTEMPTS}


def _say(run: BacktestRun, progress: float) -> None:
    if not _claimed(run).update(progress=progress, beat_at=timezone.now()):
        raise RunLost
    if BacktestRun.objects.filter(pk=run.pk, cancel_asked=True).exists():
        raise RunCancelled


def _finish(run: BacktestRun, status: Status, **values: Any) -> None:
    now = timezone.now()
    if not _claimed(run).update(status=status, finished_at=now, **values):
        raise RunLost


def _claimed(run: BacktestRun) -> Any:
    return BacktestRun.objects.filter(
        pk=run.pk,
        status=Status.RUNNING,
        worker=run.worker,
        started_at=run.started_at,
    )
