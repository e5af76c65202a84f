"""Writes of trades that a user brings in; the engine has its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from accounts.models import User
from bots.models import BotConfig
from tradebot.changes import assign
from tradebot.errors import ConflictError
from trading.models import Trade


@transaction.atomic
def trade_import(*, user: User, bot: BotConfig, values: Mapping[str, Any]) -> Trade:
    """Store a trade of one of the user's bots.

    Raises ConflictError where the bot has a trade of the same symbol and
    ``binance_order_id``.
    """
    trade = Trade(user=user, bot_config=bot, **values)
    _refuse_duplicate(trade)
    trade.save()
    return trade


@transaction.atomic
def trade_update(*, trade: Trade, values: Mapping[str, Any]) -> Trade:
    """Change some fields of a trade.

    Raises ConflictError where its bot has another of the same symbol and
    ``binance_order_id``, Trade.DoesNotExist for a trade that was deleted meanwhile.
    """
    trade = Trade.objects.select_for_update().get(pk=trade.pk)
    if changed := assign(trade, values):
        _refuse_duplicate(trade)
        trade.save(update_fields=changed)
    return trade


def _refuse_duplicate(trade: Trade) -> None:
    # For its message: two at once still meet the unique constraint.
    if trade.binance_order_id is None:
        return
    same = Trade.objects.filter(
        binance_order_id=trade.binance_order_id,
        bot_config=trade.bot_config_id,
        symbol=trade.symbol,
    )
    if same.exclude(pk=trade.pk).exists():
        raise ConflictError(
            gettext(
                "The bot has a trade with this binance_order_id and symbol already. An "
                "order is stored once."
            )
        )
