"""Starting bots; ``bots.services`` stops them."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from bots.models import BotConfig, BotRun, BotState, Status
from bots.services import bot_config_lock
from tradebot.errors import ConflictError
from trading.models import Symbol, TradingHalt
from trading.running.rules import Plan, bot_market, bot_plan, exchange_symbol


@transaction.atomic
def bot_start(*, bot: BotConfig) -> None:
    """Switch a bot on; a runner looks at it next.

    Raises ConflictError where it runs already or trading is halted, BotRefusedError
    where it could not trade with its settings.
    """
    bot = bot_config_lock(pk=bot.pk)
    if bot.is_active:
        raise ConflictError(gettext("This bot is running already."))
    if TradingHalt.objects.filter(lifted_at__isnull=True).exists():
        raise ConflictError(
            gettext("Trading is halted by the operator. No bot can be started now.")
        )
    plan_of(bot)
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


def plan_of(bot: BotConfig) -> Plan:
    """Return what a bot runs by; raises BotRefusedError."""
    symbol = Symbol.objects.filter(
        market=bot_market(bot), symbol=exchange_symbol(bot.symbol)
    ).first()
    return bot_plan(bot, symbol)
