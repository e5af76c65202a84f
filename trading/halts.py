"""The kill switch: all bots stop at once, and stay so until it is lifted.

From the moment the halt is stored no bot opens a position, whoever looks at it; bots
are switched off right after. What rests on an exchange is canceled, or a position
closed, by the runners, which look at these bots next: where none runs, as soon as one
does.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from bots.models import BotConfig, BotRun, BotState, Status
from trading.models import Order, Position, TradingHalt
from trading.notifications.models import Kind
from trading.notifications.outbox import notify_all

logger = logging.getLogger(__name__)

REASON = "halted"
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """What a halt did."""

    halt: TradingHalt
    stopped: int  # bots that were switched on
    positions: Sequence[Position]  # open ones, with their bots


def trading_halt(
    *,
    by: str,
    reason: str = "",
    close: bool = False,
    keep_protection: bool = False,
) -> Halted:
    """Stop all bots and have their orders canceled.

    ``close`` has their positions closed at the market; otherwise these stay, without a
    stop unless ``keep_protection`` leaves the orders that protect them. Outside of a
    transaction each batch of bots is stopped for itself, and their owners told with
    it. A second halt can say something else about positions than the first.
    """
    halt = TradingHalt.objects.create(
        halted_at=timezone.now(),
        halted_by=by,
        reason=reason,
        keeps_protection=keep_protection,
    )
    logger.warning("Trading is halted by %s: %s", by, reason or "no reason given")
    positions = "closed" if close else "kept" if keep_protection else "kept, no stop"
    payload = {
        "reason": reason or None,
        "positions": positions,
        "halted_at": halt.halted_at,
    }
    told: set[int] = set()

    def tell(ids: Sequence[int]) -> None:
        bots = BotConfig.objects.filter(pk__in=ids)
        owners = set(bots.values_list("user_id", flat=True)) - told
        notify_all(users=owners, kind=Kind.TRADING_HALTED, payload=payload)
        told.update(owners)

    stopped = _stop_all(BotConfig.objects.all(), close=close, tell=tell)
    return Halted(halt=halt, stopped=stopped, positions=list(_open_positions()))


def bots_halt(*, bots: QuerySet[BotConfig], by: str, close: bool = False) -> int:
    """Stop some bots as a halt does; return how many were switched on.

    ``close`` has their positions closed at the market; otherwise these stay, with the
    orders that protect them. It is no halt of trading: there is nothing to lift, and
    their owners may start them again.
    """
    stopped = _stop_all(bots, close=close)
    logger.warning("Bots are halted by %s: %s that were switched on", by, stopped)
    return stopped


@transaction.atomic
def trading_lift(*, by: str) -> int:
    """End all halts; return how many there were.

    Bots stay switched off. What they hold gets its stops back as a runner looks at it.
    """
    now = timezone.now()
    lifted = TradingHalt.objects.filter(lifted_at__isnull=True).update(lifted_at=now)
    if lifted:
        held = Position.objects.filter(closed_at__isnull=True).values("bot")
        BotRun.objects.filter(bot__in=held).update(due_at=now)
        logger.warning("The halt of trading is lifted by %s", by)
    return lifted


def halt_in_force() -> TradingHalt | None:
    """Return the last halt that is not lifted."""
    return TradingHalt.objects.filter(lifted_at__isnull=True).order_by("-pk").first()


def concerned(bots: QuerySet[BotConfig]) -> QuerySet[BotConfig]:
    """Return those that are on or have something on an exchange."""
    return bots.filter(
        Q(is_active=True)
        | Q(pk__in=Position.objects.filter(closed_at__isnull=True).values("bot"))
        | Q(pk__in=Order.objects.filter(status__in=Order.UNFINISHED).values("bot"))
    )


def _stop_all(
    bots: QuerySet[BotConfig],
    *,
    close: bool,
    tell: Callable[[Sequence[int]], None] | None = None,
) -> int:
    """Stop those that are concerned; return how many were switched on.

    ``tell`` gets the ids of each batch, in its transaction.
    """
    stopped = 0
    for ids in _batches(concerned(bots)):
        with transaction.atomic():
            stopped += _stop(ids, close=close, now=timezone.now())
            if tell is not None:
                tell(ids)
    return stopped


def _batches(bots: QuerySet[BotConfig]) -> Iterator[list[int]]:
    last = 0
    while ids := list(
        bots.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:_BATCH]
    ):
        yield ids
        last = ids[-1]


def _stop(ids: Sequence[int], *, close: bool, now: dt.datetime) -> int:
    # The run before the bot, as runners lock them.
    runs = BotRun.objects.filter(pk__in=ids).order_by("pk")
    list(runs.select_for_update().values_list("pk", flat=True))
    runs.order_by().update(due_at=now, **({"is_closing": True} if close else {}))
    stopped = BotConfig.objects.filter(pk__in=ids, is_active=True).update(
        is_active=False, updated_at=now
    )
    BotState.objects.filter(pk__in=ids).update(
        status=Status.STOPPED, reason=REASON, paused_until=None, last_updated_at=now
    )
    return stopped


def _open_positions() -> Iterator[Position]:
    positions = Position.objects.filter(closed_at__isnull=True)
    return positions.select_related("bot__user").order_by("pk").iterator()
