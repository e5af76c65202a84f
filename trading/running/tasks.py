"""The tasks of Celery: hand out the bots that are due, look at those handed out.

Who hands a bot out takes its lease and sends its number along. A message that is lost,
or too late, is nothing lost: the lease ends, and the bot is handed out again.
"""

from __future__ import annotations

from functools import cache

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from bots.leases import LEASE_FOR, leases_claim, runs_create
from bots.models import BotRun
from trading.notifications.delivery import deliver_due
from trading.running.feed import LiveFeed
from trading.running.runner import ON_PAPER, Runner

_HANDED_OUT = 1000  # in one go
_PAPER_AT_ONCE = 50  # bots in a message; those on an exchange go one by one
_EXPIRES_S = LEASE_FOR.total_seconds() / 2


@shared_task(name="trading.dispatch_bots")  # type: ignore[untyped-decorator]
def dispatch_bots() -> None:
    """Hand out the bots that are due."""
    now = timezone.now()
    runs_create(now=now)
    for of, size in ((ON_PAPER, _PAPER_AT_ONCE), (~ON_PAPER, 1)):
        _dispatch(leases_claim(now=now, limit=_HANDED_OUT, of=of), size)


def _dispatch(runs: list[BotRun], size: int) -> None:
    leases = [[run.pk, run.lease_token] for run in runs]
    for begin in range(0, len(leases), size):
        part = leases[begin : begin + size]
        look_at_bots.apply_async([part], expires=_EXPIRES_S)


@shared_task(name="trading.look_at_bots")  # type: ignore[untyped-decorator]
def look_at_bots(leases: list[list[int]]) -> None:
    """Look at bots by the leases that were taken for them; not where those are gone."""
    ours = Q()
    for pk, token in leases:
        ours |= Q(pk=pk, lease_token=token)
    _runner().look(list(BotRun.objects.filter(ours).order_by("due_at")))


@shared_task(name="trading.deliver_notifications")  # type: ignore[untyped-decorator]
def deliver_notifications() -> None:
    """Tell owners what is due."""
    deliver_due(timezone.now())


@cache
def _runner() -> Runner:
    """Return the runner of this process, which keeps candles and connections."""
    return Runner(feed=LiveFeed(), threads=1)
