"""Writes of bots and of their states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import User
from apikeys.models import APIKey
from apikeys.services import api_key_lock
from bots.models import BotConfig, BotRun, BotState, Status
from tradebot.changes import assign
from tradebot.errors import ConflictError

# What an open position, and the confirmation of its owner, depend on.
TRADED_BY = {
    "api_key",
    "environment",
    "symbol",
    "timeframe",
    "position_type",
    "leverage",
    "strategy",
}


@transaction.atomic
def bot_config_create(*, user: User, values: Mapping[str, Any]) -> BotConfig:
    """Store a bot. Fields that are not in ``values`` get their defaults."""
    _lock_key(values)
    return BotConfig.objects.create(user=user, **values)


@transaction.atomic
def bot_config_update(*, bot: BotConfig, values: Mapping[str, Any]) -> BotConfig:
    """Change some fields of a bot; where nothing is new, nothing is written.

    Another place to trade at, or another way to, needs another confirmation of its
    owner for the live exchange. Raises ConflictError where the bot has an open
    position there, BotConfig.DoesNotExist for a bot that was deleted meanwhile.
    """
    _lock_key(values)
    bot = bot_config_lock(pk=bot.pk)
    if changed := assign(bot, values):
        if TRADED_BY.intersection(changed):
            _refuse_while_positioned(
                bot,
                gettext(
                    "This bot has an open position: its %(fields)s cannot change. "
                    "Stop the bot with close=true first."
                )
                % {"fields": ", ".join(sorted(TRADED_BY.intersection(changed)))},
            )
            bot.live_confirmed_at = None
            changed = [*changed, "live_confirmed_at"]
        if {"initial_capital", "environment"}.intersection(changed):
            # The day is measured anew, from what there is now.
            BotRun.objects.filter(pk=bot.pk).update(day_equity=None)
        bot.save(update_fields=[*changed, "updated_at"])
    return bot


@transaction.atomic
def bot_stop(*, bot: BotConfig, close: bool = False) -> None:
    """Stop a bot, and say so in its state where it has one; again, nothing happens.

    What it has bought stays, with the stop behind it, until that is reached; with
    ``close`` it is sold at the market as soon as a runner looks at the bot. Raises
    BotConfig.DoesNotExist for a bot that was deleted meanwhile.
    """
    # The run before the bot, as runners lock them.
    closing = {"is_closing": True} if close else {}
    BotRun.objects.filter(pk=bot.pk).update(due_at=timezone.now(), **closing)
    bot = bot_config_lock(pk=bot.pk)
    if bot.is_active:
        bot.is_active = False
        bot.save(update_fields=["is_active", "updated_at"])
    state = BotState.objects.filter(pk=bot.pk).first()
    if state is not None and state.status != Status.STOPPED:
        state.status, state.reason, state.paused_until = Status.STOPPED, None, None
        state.save(
            update_fields=["status", "reason", "paused_until", "last_updated_at"]
        )


@transaction.atomic
def bot_config_delete(*, bot: BotConfig) -> None:
    """Delete a bot with its state and its trades.

    Raises ConflictError where it has an open position, or orders.
    """
    # The run before the bot, as runners lock them.
    BotRun.objects.select_for_update().filter(pk=bot.pk).first()
    # A trade that came in between would hold on to the bot: the lock keeps it out.
    bot = bot_config_lock(pk=bot.pk)
    message = gettext(
        "This bot has an open position. Stop it with close=true, then delete it."
    )
    _refuse_while_positioned(bot, message)
    bot.delete()


def bot_config_lock(*, pk: int) -> BotConfig:
    """Return a bot that nobody changes before the transaction ends.

    Raises BotConfig.DoesNotExist.
    """
    return BotConfig.objects.select_for_update().get(pk=pk)


@transaction.atomic
def bot_state_create(*, bot: BotConfig, values: Mapping[str, Any]) -> BotState:
    """Store the state of a stopped bot that has none.

    Raises ConflictError where it has one or is running.
    """
    bot = _lock_stopped(bot.pk)
    if BotState.objects.filter(pk=bot.pk).exists():
        raise ConflictError(
            gettext("This bot has a state already. Change it with PUT.")
        )
    return BotState.objects.create(bot_config=bot, **values)


@transaction.atomic
def bot_state_update(*, state: BotState, values: Mapping[str, Any]) -> BotState:
    """Change some fields of the state of a stopped bot.

    ``last_updated_at`` becomes the current time unless given. Raises ConflictError
    where the bot is running, BotState.DoesNotExist where the state is gone.
    """
    _lock_stopped(state.pk)
    state = BotState.objects.get(pk=state.pk)
    if changed := assign(state, values):
        if "last_updated_at" not in values:
            state.last_updated_at = timezone.now()
        # Not save(), which would not store a time that was given.
        BotState.objects.filter(pk=state.pk).update(
            **{name: getattr(state, name) for name in {*changed, "last_updated_at"}}
        )
    return state


@transaction.atomic
def bot_state_delete(*, state: BotState) -> None:
    """Delete the state of a stopped bot; raises ConflictError where it is running."""
    _lock_stopped(state.pk)
    state.delete()


def _refuse_while_positioned(bot: BotConfig, message: str) -> None:
    """Raise ConflictError where a bot has a position, or an order that may make one."""
    if bot.positions.filter(closed_at__isnull=True).exists():
        raise ConflictError(message)
    if bot.orders.filter(status__in=["NEW", "UNKNOWN", "OPEN", "PARTIAL"]).exists():
        raise ConflictError(
            gettext(
                "This bot has orders on the exchange. Stop it, and try again when they "
                "are settled."
            )
        )


def _lock_stopped(pk: int) -> BotConfig:
    bot = bot_config_lock(pk=pk)
    if bot.is_active:
        raise ConflictError(
            gettext(
                "This bot is running and keeps its state itself. Stop the bot first."
            )
        )
    return bot


def _lock_key(values: Mapping[str, Any]) -> None:
    """Keep the key that a bot is given from being deleted meanwhile."""
    key = values.get("api_key")
    if key is None:
        return
    try:
        api_key_lock(pk=key.pk)
    except APIKey.DoesNotExist:
        raise ConflictError(
            gettext("This API key has just been deleted. Choose another one.")
        ) from None
