"""Sweeps that were asked for: their pieces wait in the database for whoever works.

As runs do, and under the same rules: a worker claims a piece, says that it is still at
it, and stores its results together with the end of the claim. Any number of workers, on
any number of machines, can be at the pieces of one sweep. What is stored stays: a sweep
whose workers have died goes on with the pieces that are left.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import get_language, gettext, ngettext, override

from accounts.models import User
from backtests.grids import DAY, combinations_of, days_of, grid_size, windows_of
from backtests.models import Sweep, SweepPiece, SweepResult
from backtests.parameters import filters_now
from backtests.runs import (
    LOST_AFTER,
    MOST_ATTEMPTS,
    SAY_EVERY_S,
    RunError,
    given_up,
    server_failed,
)
from tradebot.errors import ConflictError
from trading.models import Interval

logger = logging.getLogger(__name__)

Status = Sweep.Status
OPEN = (Status.QUEUED, Status.RUNNING)
OPEN_PER_USER = 2
# What a worker that dies may lose: some seconds of work.
_CANDLES_PER_PIECE = 10_000_000
_MOST_PER_PIECE = 50
_ENOUGH = 0.95  # of a probability

Found = list[SweepResult] | dict[str, Any]


class SweepEnded(Exception):
    """Nobody wants the results any more: it was cancelled, or has failed."""


class PieceLost(Exception):
    """Another worker has taken the piece over, or its sweep is gone."""


def sweep_create(*, user: User | None, request: Mapping[str, Any]) -> Sweep:
    """Queue a sweep; without a user it is the operator's.

    Raises ConflictError where the user has as many as may be open.
    """
    stored = {
        **request,
        # As they are now, for all workers and for as long as it takes.
        "filters": filters_now(request["market_type"], request["symbol"]),
    }
    combinations = len(combinations_of(stored))
    with transaction.atomic():
        if user is not None:
            _check_open(user)
        sweep = Sweep.objects.create(
            user=user,
            request=stored,
            combinations=combinations,
            language=get_language(),
        )
        size = _piece_size(stored)
        SweepPiece.objects.bulk_create(
            SweepPiece(sweep=sweep, start=start, stop=min(start + size, combinations))
            # The last one is empty, and sums up.
            for start in [*range(0, combinations, size), combinations]
        )
    return sweep


def _check_open(user: User) -> None:
    # One request at a time counts and writes.
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
    if Sweep.objects.filter(user=user, status__in=OPEN).count() >= OPEN_PER_USER:
        raise ConflictError(
            gettext(
                "You have %(count)s sweeps waiting or running. Wait for one of them, "
                "or cancel it."
            )
            % {"count": OPEN_PER_USER}
        )


def _piece_size(request: Mapping[str, Any]) -> int:
    """Return how many combinations are a piece."""
    periods = [days_of(request), *(window.train for window in windows_of(request))]
    a_day = DAY // Interval(request["interval"]).length
    candles = a_day * sum((last - first + DAY) // DAY for first, last in periods)
    return min(max(_CANDLES_PER_PIECE // candles, 1), _MOST_PER_PIECE)


def ranked(sweep: Sweep) -> QuerySet[SweepResult]:
    """Return what has been found, the best first; equal ones as in the grid."""
    return sweep.results.order_by(F("score").desc(nulls_last=True), "number")


def sweep_warnings(sweep: Sweep) -> list[str]:
    """Return what to know before anything is made of the best of many."""
    left_out = _left_out(sweep)
    return left_out if sweep.summary is None else [*left_out, *_doubts(sweep.summary)]


def _left_out(sweep: Sweep) -> list[str]:
    size = grid_size(sweep.request["grid"])
    count = size - sweep.combinations
    if not count:
        return []
    return [
        ngettext(
            "%(count)s of the %(size)s combinations of the grid is not tried: its "
            "parameters do not go together.",
            "%(count)s of the %(size)s combinations of the grid are not tried: their "
            "parameters do not go together.",
            count,
        )
        % {"count": count, "size": size}
    ]


def _doubts(summary: Mapping[str, Any]) -> list[str]:
    luck = summary["luck"]
    if luck is None:
        return [gettext("No combination has traded enough to say anything about it.")]
    warnings = [
        gettext(
            "The best of many is partly luck. The best of %(tries)s combinations "
            "without any skill would be expected to have a Sharpe ratio of %(lucky)s; "
            "this one has %(sharpe)s. The probability that it has any skill (deflated "
            "Sharpe ratio) is %(probability)s."
        )
        % {
            "tries": luck["tries"],
            "lucky": f"{luck['luckiest_sharpe']:.2f}",
            "sharpe": f"{luck['sharpe']:.2f}",
            "probability": f"{luck['deflated_sharpe']:.3f}",
        }
    ]
    if luck["deflated_sharpe"] < _ENOUGH:
        warnings.append(gettext("That is too little, below 0.95: take it for luck."))
    if summary["walk_forward"] is None:
        warnings.append(
            gettext(
                "The best was chosen by the same days that it was tried on. Ask for "
                "walk_forward, which tries it on others."
            )
        )
    return warnings


def sweep_cancel(*, sweep: Sweep) -> None:
    """Cancel a sweep; what is being worked on ends soon.

    Raises ConflictError where it has ended already.
    """
    if not _end(sweep.pk, Status.CANCELLED):
        raise ConflictError(gettext("This sweep has ended already."))


def piece_claim(*, worker: str, sweep: Sweep | None = None) -> SweepPiece | None:
    """Take the oldest piece that waits or whose worker is dead; None without any.

    Of one sweep where it is named. The summary waits for all other pieces.
    """
    now = timezone.now()
    lost = Q(status=SweepPiece.Status.RUNNING, beat_at__lt=now - LOST_AFTER)
    undone = SweepPiece.objects.filter(
        sweep=OuterRef("sweep"), start__lt=F("stop")
    ).exclude(status=SweepPiece.Status.DONE)
    pieces = (
        SweepPiece.objects.filter(Q(status=SweepPiece.Status.QUEUED) | lost)
        .filter(Q(start__lt=F("stop")) | ~Exists(undone), sweep__status__in=OPEN)
        .select_related("sweep")
        .order_by("pk")
    )
    if sweep is not None:
        pieces = pieces.filter(sweep=sweep)
    if not pieces.exists():  # mostly; the transaction of SQLite would stop who writes
        return None
    with transaction.atomic():
        return _piece_claim(pieces, worker=worker, now=now)


def _piece_claim(
    pieces: QuerySet[SweepPiece], *, worker: str, now: dt.datetime
) -> SweepPiece | None:
    if connection.features.has_select_for_update_skip_locked:
        pieces = pieces.select_for_update(skip_locked=True, of=("self",))
    while (piece := pieces.first()) and piece.attempts >= MOST_ATTEMPTS:
        told = given_up(piece.sweep.language)
        _end(piece.sweep_id, Status.FAILED, error=told, error_code="server")
    if piece is None:
        return None
    piece.status, piece.worker = SweepPiece.Status.RUNNING, worker
    piece.started_at = piece.beat_at = now
    piece.attempts += 1
    piece.save(update_fields=["status", "worker", "started_at", "beat_at", "attempts"])
    Sweep.objects.filter(pk=piece.sweep_id, status=Status.QUEUED).update(
        status=Status.RUNNING, started_at=now
    )
    return piece


def piece_execute(piece: SweepPiece, work: Callable[..., Found]) -> None:
    """Work on a piece that was claimed, and store what is found.

    ``work`` gets the piece and a function to call now and then, and returns the results
    or, for the last piece, the summary. Raises PieceLost.
    """
    said = 0.0

    def say() -> None:
        nonlocal said
        if time.monotonic() - said < SAY_EVERY_S:
            return
        said = time.monotonic()
        _say(piece)

    try:
        with override(piece.sweep.language):
            found = work(piece, say)
    except SweepEnded:
        return
    except RunError as error:
        _end(piece.sweep_id, Status.FAILED, error=str(error), error_code=error.code)
    except Exception as error:
        if isinstance(error, PieceLost):
            raise
        logger.exception("%s failed", piece)
        told = server_failed(piece.sweep.language)
        _end(piece.sweep_id, Status.FAILED, error=told, error_code="server")
    else:
        with transaction.atomic():
            if not _claimed(piece).update(status=SweepPiece.Status.DONE):
                raise PieceLost
            if isinstance(found, dict):
                _end(piece.sweep_id, Status.DONE, summary=found)
            else:
                SweepResult.objects.bulk_create(found, batch_size=100)


def piece_release(piece: SweepPiece) -> None:
    """Let another worker have a piece: this one ends."""
    _claimed(piece).update(
        status=SweepPiece.Status.QUEUED,
        worker=None,
        started_at=None,
        beat_at=None,
        attempts=F("attempts") - 1,
    )


def _say(piece: SweepPiece) -> None:
    if not _claimed(piece).update(beat_at=timezone.now()):
        raise PieceLost
    if not Sweep.objects.filter(pk=piece.sweep_id, status__in=OPEN).exists():
        raise SweepEnded


def _claimed(piece: SweepPiece) -> Any:
    return SweepPiece.objects.filter(
        pk=piece.pk,
        status=SweepPiece.Status.RUNNING,
        worker=piece.worker,
        started_at=piece.started_at,
    )


def _end(sweep_id: int, status: Status, **values: Any) -> int:
    """End a sweep that is open; return whether it was."""
    return Sweep.objects.filter(pk=sweep_id, status__in=OPEN).update(
        status=status, finished_at=timezone.now(), **values
    )
