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
from bots.models import STOPPED, BotConfig, BotState
from tradebot.changes import assign
from tradebot.errors import ConflictError


@transaction.atomic
def bot_config_create(*, user: User, values: Mapping[str, Any]) -> BotConfig:
    """Store a bot. Fields that are not in ``values`` get their defaults."""
    _lock_key(values)
    return BotConfig.objects.create(user=user, **values)


@transaction.atomic
def bot_config_update(*, bot: BotConfig, values: Mapping[str, Any]) -> BotConfig:
    """Change some fields of a bot; where nothing is new, nothing is written.

    Raises BotConfig.DoesNotExist for a bot that was deleted meanwhile.
    """
    _lock_key(values)
    bot = bot_config_lock(pk=bot.pk)
    if changed := assign(bot, values):
        bot.save(update_fields=[*changed, "updated_at"])
    return bot


@transaction.atomic
def bot_stop(*, bot: BotConfig) -> None:
    """Stop a bot, and say so in its state where it has one; again, nothing happens.

    Raises BotConfig.DoesNotExist for a bot that was deleted meanwhile.
    """
    bot = bot_config_lock(pk=bot.pk)
    if bot.is_active:
        bot.is_active = False
        bot.save(update_fields=["is_active", "updated_at"])
    state = BotState.objects.filter(pk=bot.pk).first()
    if state is not None and state.status != STOPPED:
        state.status = STOPPED
        state.save(update_fields=["status", "last_updated_at"])


@transaction.atomic
def bot_config_delete(*, bot: BotConfig) -> None:
    """Delete a bot with its state and its trades."""
    # A trade that came in between would hold on to the bot: the lock keeps it out.
    bot_config_lock(pk=bot.pk).delete()


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
