"""Starting bots; ``bots.services`` stops them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import User
from apikeys.models import Environment
from bots.models import BotConfig, BotRun, BotState, PositionType, Status
from bots.services import bot_config_create, bot_config_lock, bot_config_update
from tradebot.errors import ConflictError
from trading.exchange_info import ExchangeUnavailableError
from trading.exchanges.environments import live_permit
from trading.halts import halt_in_force
from trading.models import Symbol
from trading.running.accounts import bot_key
from trading.running.rules import Plan, bot_market, bot_plan, exchange_symbol


@transaction.atomic
def bot_start(*, bot: BotConfig) -> None:
    """Switch a bot on; a runner looks at it next.

    Raises ConflictError where it runs already, trading is halted or another bot is in
    its way; BotRefusedError and LiveLockedError where it could not trade with its
    settings and its key.
    """
    bot = bot_config_lock(pk=bot.pk)
    if bot.is_active:
        raise ConflictError(gettext("This bot is running already."))
    if halt_in_force() is not None:
        raise ConflictError(
            gettext("Trading is halted by the operator. No bot can be started now.")
        )
    plan = plan_of(bot)
    if bot.environment != Environment.PAPER:
        _check_account(bot, plan)
    bot.is_active = True
    bot.save(update_fields=["is_active", "updated_at"])
    BotRun.objects.update_or_create(
        bot=bot,
        defaults={"due_at": timezone.now(), "is_closing": False, "failures": 0},
    )
    BotState.objects.update_or_create(
        bot_config=bot,
        defaults={
            "status": Status.PENDING,
            "reason": None,
            "paused_until": None,
            "last_error_message": None,
        },
    )


@transaction.atomic
def bot_create_and_start(*, user: User, values: Mapping[str, Any]) -> BotConfig:
    """Store a bot and start it, both or nothing.

    Raises what ``bot_config_create`` and ``bot_start`` do.
    """
    bot = bot_config_create(user=user, values={**values, "is_active": False})
    bot_start(bot=bot)
    return bot


@transaction.atomic
def bot_update_and_start(*, bot: BotConfig, values: Mapping[str, Any]) -> BotConfig:
    """Change a bot and start it, both or nothing; one that runs is changed alone.

    Raises what ``bot_config_update`` and ``bot_start`` do.
    """
    others = {name: value for name, value in values.items() if name != "is_active"}
    bot = bot_config_update(bot=bot, values=others)
    if not bot.is_active:
        bot_start(bot=bot)
    return bot


def _check_account(bot: BotConfig, plan: Plan) -> None:
    """Refuse a bot that could not trade, or that would trade with another's position.

    On futures, an account has one position a symbol.
    """
    key = bot_key(bot)
    if bot.environment == Environment.LIVE:
        live_permit(
            confirmed_at=bot.live_confirmed_at,
            key_environment=key.environment or "",
            key_is_valid=key.is_valid,
        )
    if plan.market != PositionType.FUTURES:
        return
    others = BotConfig.objects.filter(
        api_key=key, position_type=PositionType.FUTURES, environment=bot.environment
    ).exclude(pk=bot.pk)
    at_work = Q(is_active=True) | Q(positions__closed_at=None, positions__isnull=False)
    for other in others.filter(at_work).distinct():
        if exchange_symbol(other.symbol) == plan.symbol:
            raise ConflictError(
                gettext(
                    "Bot %(id)s trades %(symbol)s with the same API key, and an "
                    "account has one position of it. Stop that bot, or use another key."
                )
                % {"id": other.pk, "symbol": plan.symbol}
            )


def plan_of(bot: BotConfig) -> Plan:
    """Return what a bot runs by.

    Raises BotRefusedError, and ExchangeUnavailableError where there are no symbols.
    """
    market = bot_market(bot)
    symbols = Symbol.objects.filter(market=market)
    symbol = symbols.filter(symbol=exchange_symbol(bot.symbol)).first()
    if symbol is None and bot.candle_seed is None and not symbols.exists():
        raise ExchangeUnavailableError(
            gettext(
                "The exchange has not told its symbols yet, so it is not known how "
                "%(symbol)s is traded. Try again in a minute."
            )
            % {"symbol": bot.symbol}
        )
    return bot_plan(bot, symbol)
