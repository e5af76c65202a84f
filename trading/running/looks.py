"""What is stored of looks at bots: when to look again, and the documented states."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models import Sum

from bots.models import BotConfig, BotRun, BotState, Status
from trading.candles import EPOCH
from trading.models import Position
from trading.notifications.models import Kind
from trading.notifications.outbox import notify
from trading.running.positions import stop_of
from trading.running.rules import Plan
from trading.running.tick import Outcome

_DEFAULT_INTERVAL_S = 60
_LONGEST_BACKOFF = dt.timedelta(minutes=15)
_IN_POSITION_BACKOFF = dt.timedelta(seconds=10)
# After the close of a candle: an exchange takes a moment to tell of it.
_AFTER_CLOSE = dt.timedelta(seconds=1)


@dataclass(slots=True, kw_only=True)
class Look:
    """One bot that was looked at, and what there is to be stored of it."""

    bot: BotConfig
    run: BotRun
    outcome: Outcome
    position: Position | None = None
    plan: Plan | None = None


@transaction.atomic
def looks_store(looks: Sequence[Look], *, now: dt.datetime) -> None:
    """Store what came of some looks and give their leases back.

    Whose lease is not ours any more is left as it is.
    """
    stored = {
        run.pk: run
        for run in BotRun.objects.select_for_update(of=("self",))
        .filter(pk__in=[look.run.pk for look in looks])
        .order_by("pk")
        .select_related("bot")
    }
    ours = [
        look
        for look in looks
        if (run := stored.get(look.run.pk)) is not None
        and run.lease_token == look.run.lease_token
    ]
    ids = [look.bot.pk for look in ours]
    pnl, before = _daily_pnl(ids, now), BotState.objects.in_bulk(ids)
    states = []
    for look in ours:
        run = stored[look.run.pk]
        if look.bot.is_active and not run.bot.is_active:
            # It was stopped while it was looked at: at once again.
            look.outcome = Outcome(status=Status.STOPPED, reason="stopped", due_at=now)
        _finish(look, now)
        if run.is_closing and not look.run.is_closing:
            look.run.due_at = now  # asked for while it was looked at
        states.append(_state(look, pnl.get(look.bot.pk), now))
        _tell(look, before.get(look.bot.pk))
    # Not bulk_update, which takes a millisecond a row. All of them are there, locked.
    BotRun.objects.bulk_create(
        [look.run for look in ours],
        update_conflicts=True,
        unique_fields=["bot"],
        update_fields=_RUN_FIELDS,
    )
    closed = [
        look.run.pk
        for look in ours
        if look.run.is_closing
        and not look.position
        and look.outcome.status == Status.STOPPED
    ]
    if closed:
        BotRun.objects.filter(pk__in=closed).update(is_closing=False)
    BotState.objects.bulk_create(
        states,
        update_conflicts=True,
        unique_fields=["bot_config"],
        update_fields=_STATE_FIELDS,
    )


_TOLD = {
    Status.ERROR: Kind.BOT_ERROR,
    Status.PAUSED: Kind.BOT_PAUSED,
    Status.STOPPED: Kind.BOT_STOPPED,
}


def _tell(look: Look, before: BotState | None) -> None:
    """Let the owner know of a state that is new."""
    outcome = look.outcome
    kind = _TOLD.get(outcome.status)
    known = (before.status, before.reason) if before else None
    if kind is None or known == (outcome.status, outcome.reason):
        return
    notify(
        user=look.bot.user,
        kind=kind,
        bot_id=look.bot.pk,
        payload={
            "bot": look.bot.name,
            "symbol": look.bot.symbol,
            "reason": outcome.reason,
            "message": outcome.message,
            "paused_until": outcome.paused_until,
        },
    )


def _finish(look: Look, now: dt.datetime) -> None:
    """Set when to look again."""
    run, outcome = look.run, look.outcome
    run.leased_until = None
    run.failures = run.failures + 1 if outcome.status == Status.ERROR else 0
    interval = dt.timedelta(
        seconds=look.bot.check_interval_seconds or _DEFAULT_INTERVAL_S
    )
    if outcome.due_at is not None:
        run.due_at = outcome.due_at
    elif outcome.status == Status.STOPPED and look.position is None:
        run.due_at = None
    elif outcome.status == Status.ERROR:
        wait = dt.timedelta(seconds=2 ** min(run.failures, 12))
        longest = _LONGEST_BACKOFF if look.position is None else _IN_POSITION_BACKOFF
        run.due_at = now + min(max(wait, _AFTER_CLOSE), longest)
    else:
        run.due_at = min(now + interval, _next_close(look, now) + _AFTER_CLOSE)


def _next_close(look: Look, now: dt.datetime) -> dt.datetime:
    assert look.plan is not None  # noqa: S101  # without one it is an error
    length = look.plan.interval.length
    return now - (now - EPOCH) % length + length


_RUN_FIELDS = [
    "due_at",
    "leased_until",
    "decided_at",
    "day",
    "day_equity",
    "day_entries",
    "failures",
]
_STATE_FIELDS = [
    "status",
    "reason",
    "paused_until",
    "in_position",
    "entry_price",
    "current_position_size_coins",
    "trailing_stop_price",
    "max_price_since_entry",
    "take_profit_price",
    "stop_loss_price",
    "daily_pnl",
    "daily_trades_count",
    "last_run_at",
    "last_error_message",
    "last_updated_at",
]


def _state(look: Look, daily_pnl: Decimal | None, now: dt.datetime) -> BotState:
    """Return the documented state of a bot, not stored."""
    state = BotState(
        bot_config=look.bot,
        status=look.outcome.status,
        reason=look.outcome.reason,
        paused_until=look.outcome.paused_until,
        in_position=False,
        daily_pnl=daily_pnl or Decimal(0),
        daily_trades_count=look.run.day_entries,
        last_run_at=now,
        last_error_message=look.outcome.message,
        last_updated_at=now,
    )
    if (position := look.position) is not None:
        state.in_position = True
        state.entry_price = position.entry_price
        state.current_position_size_coins = position.quantity
        state.max_price_since_entry = position.best_price
        state.take_profit_price = position.target_price
        state.stop_loss_price = position.stop_price
        if look.plan is not None and look.plan.rules.trailing_stop is not None:
            state.trailing_stop_price = stop_of(position, look.plan.rules)
    return state


def _daily_pnl(ids: Sequence[int], now: dt.datetime) -> dict[int, Decimal]:
    """Return what bots have realised since the UTC day began, in the quote asset."""
    midnight = dt.datetime.combine(now.date(), dt.time(), dt.UTC)
    closed = Position.objects.filter(bot__in=ids, closed_at__gte=midnight)
    rows = closed.values_list("bot").annotate(Sum("realized_pnl"))
    return dict(rows)
