"""Who may work on a bot: the lease, with a number that fences off who had it before.

Clocks of several machines need not agree to the second: what is written is written only
under the number of the lease, in the transaction that holds its row.
"""

from __future__ import annotations

import datetime as dt

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from bots.models import BotConfig, BotRun
from tradebot.errors import TradeBotError

# Longer than any one question to an exchange takes; it is renewed between them.
LEASE_FOR = dt.timedelta(minutes=1)
WAITS_LONG = dt.timedelta(minutes=2)  # whoever runs bots is away, or has too many


class LeaseLostError(TradeBotError):
    """Somebody else works on the bot now: this one has taken too long."""


@transaction.atomic
def leases_claim(*, now: dt.datetime, limit: int, of: Q | None = None) -> list[BotRun]:
    """Take the bots that are due longest and that nobody works on, ``limit`` at most.

    ``of`` are conditions on them.
    """
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    runs = BotRun.objects.filter(free, due_at__lte=now).order_by("due_at", "pk")
    if of is not None:
        runs = runs.filter(of)
    if connection.features.has_select_for_update_skip_locked:
        runs = runs.select_for_update(skip_locked=True, of=("self",))
    claimed = list(runs[:limit])
    BotRun.objects.filter(pk__in=[run.pk for run in claimed]).update(
        lease_token=F("lease_token") + 1, leased_until=now + LEASE_FOR
    )
    for run in claimed:
        run.lease_token += 1
        run.leased_until = now + LEASE_FOR
    return claimed


def lease_hold(run: BotRun, *, now: dt.datetime) -> BotRun:
    """Lock the row of a lease until the transaction ends, and renew it.

    Returns the row as it is stored. Raises LeaseLostError where it is not ours any
    more.
    """
    stored = _held(run).first()
    if stored is None:
        raise LeaseLostError(f"Another worker has taken over bot {run.pk}.")
    until = now + LEASE_FOR
    if run.leased_until is None or run.leased_until < until:
        stored.leased_until = run.leased_until = until
        BotRun.objects.filter(pk=run.pk).update(leased_until=until)
    return stored


@transaction.atomic
def lease_release(run: BotRun) -> None:
    """Give a lease back as if nothing had been done; the bot stays due."""
    BotRun.objects.filter(pk=run.pk, lease_token=run.lease_token).update(
        leased_until=None
    )


def runs_create(*, now: dt.datetime) -> int:
    """Make the bots due that are switched on and have never been run."""
    new = BotConfig.objects.filter(is_active=True, run__isnull=True)
    rows = [BotRun(bot_id=pk, due_at=now) for pk in new.values_list("pk", flat=True)]
    BotRun.objects.bulk_create(rows, ignore_conflicts=True)
    # Switched on again without a start, while nothing was left to look at.
    asleep = BotRun.objects.filter(due_at__isnull=True, bot__is_active=True)
    return len(rows) + asleep.update(due_at=now)


def bots_state(*, now: dt.datetime) -> str:
    """Return ``behind`` where a bot has been due for minutes, or else ``ok``."""
    waiting = BotRun.objects.filter(due_at__lt=now - WAITS_LONG)
    return "behind" if waiting.exists() else "ok"


def _held(run: BotRun) -> QuerySet[BotRun]:
    return BotRun.objects.select_for_update().filter(
        pk=run.pk, lease_token=run.lease_token
    )
