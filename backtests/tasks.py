"""The tasks of Celery: work on the runs and the pieces of sweeps that wait.

A message says no more than that there may be work. What a worker works on it claims in
the database, as ``manage.py runworker`` does, and beside it: a message that is lost, or
comes twice, or finds nothing, does no harm.
"""

from __future__ import annotations

import logging
from functools import cache

from celery import shared_task

from backtests.work import Worker

# Of its own: whoever looks at bots does not wait until a backtest is finished.
QUEUE = "backtests"
# More than any run or piece takes: what is killed begins anew.
_TIME_LIMIT_S = 24 * 60 * 60

logger = logging.getLogger(__name__)


@shared_task(name="backtests.call_worker")  # type: ignore[untyped-decorator]
def call_worker() -> None:
    """Call for one more worker, unless a call waits already.

    So no more than one waits where nobody listens, or all are at work.
    """
    with work.app.connection_or_acquire() as connection:
        waiting = connection.default_channel.queue_declare(QUEUE).message_count
    if not waiting:
        _call()


@shared_task(name="backtests.work", time_limit=_TIME_LIMIT_S)  # type: ignore[untyped-decorator]
def work() -> None:
    """Work on one run or piece, and go on with the next in another message."""
    if _worker().work():
        _call()


def _call() -> None:
    work.apply_async(queue=QUEUE)


@cache
def _worker() -> Worker:
    """Return the worker of this process, which keeps the candles of a sweep."""
    return Worker(tell=logger.info, complain=logger.warning)
