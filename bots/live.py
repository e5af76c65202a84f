"""The confirmation without which nothing of a bot goes to the live exchange.

It is one of three locks: the others are the switch of the server, LIVE_TRADING_ENABLED,
and a key that the exchange has accepted for live.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from apikeys.models import Environment
from bots.models import BotConfig
from bots.services import bot_config_lock
from tradebot.errors import ConflictError, RefusedError


@transaction.atomic
def live_confirm(*, bot: BotConfig, name: str) -> BotConfig:
    """Let a bot trade live; ``name`` is what its owner believes to confirm.

    Raises RefusedError where that is not its name, ConflictError where one of the other
    locks is closed.
    """
    bot = bot_config_lock(pk=bot.pk)
    if name != bot.name:
        raise RefusedError(
            gettext("The bot has another name. Send its name to say that you mean it.")
        )
    if bot.environment != Environment.LIVE:
        raise ConflictError(
            gettext(
                "This bot trades on %(environment)s. Set its environment to live first."
            )
            % {"environment": bot.environment}
        )
    if fault := live_fault(bot):
        raise ConflictError(fault)
    bot.live_confirmed_at = timezone.now()
    bot.save(update_fields=["live_confirmed_at", "updated_at"])
    return bot


@transaction.atomic
def live_withdraw(*, bot: BotConfig) -> None:
    """Take a confirmation back; again, nothing happens.

    Raises ConflictError where the bot trades by it.
    """
    bot = bot_config_lock(pk=bot.pk)
    if bot.live_confirmed_at is None:
        return
    is_positioned = bot.positions.filter(closed_at__isnull=True).exists()
    if bot.environment == Environment.LIVE and (bot.is_active or is_positioned):
        raise ConflictError(
            gettext(
                "This bot trades live: without the confirmation nobody would look "
                "after its position. Stop it with close=true first."
            )
        )
    bot.live_confirmed_at = None
    bot.save(update_fields=["live_confirmed_at", "updated_at"])


def live_fault(bot: BotConfig) -> str | None:
    """Return which lock but the confirmation keeps a bot from the live exchange."""
    if not settings.LIVE_TRADING_ENABLED:
        return gettext(
            "Live trading is switched off on this server. Its operator switches it on."
        )
    key = bot.api_key
    if key is None or key.environment != Environment.LIVE:
        return gettext(
            "This bot has no API key for live. Give it one, whose environment is live."
        )
    if not key.is_valid or key.validated_at is None:
        return gettext(
            "The exchange has not accepted the API key of this bot for live yet. "
            "Validate it first."
        )
    return None
