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

    Raises ConflictError where a trade with the same ``binance_order_id`` exists.
    """
    _refuse_duplicate(values)
    return Trade.objects.create(user=user, bot_config=bot, **values)


@transaction.atomic
def trade_update(*, trade: Trade, values: Mapping[str, Any]) -> Trade:
    """Change some fields of a trade.

    Raises ConflictError where another has the same ``binance_order_id``,
    Trade.DoesNotExist for a trade that was deleted meanwhile.
    """
    trade = Trade.objects.select_for_update().get(pk=trade.pk)
    _refuse_duplicate(values, own=trade)
    if changed := assign(trade, values):
        trade.save(update_fields=changed)
    return trade


def _refuse_duplicate(values: Mapping[str, Any], *, own: Trade | None = None) -> None:
    # For its message: two at once still meet the unique constraint.
    order_id = values.get("binance_order_id")
    if order_id is None:
        return
    same = Trade.objects.filter(binance_order_id=order_id).only("pk").first()
    if same is not None and same != own:
        raise ConflictError(
            gettext(
                "A trade with this binance_order_id exists already. An order is stored "
                "once."
            )
        )
