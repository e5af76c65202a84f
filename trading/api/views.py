"""The caller's trades."""

from __future__ import annotations

from typing import Any

from accounts.api.authentication import caller
from bots.api.views import own_bot
from tradebot.api.views import CRUDViewSet
from trading import services
from trading.api.serializers import TradeSerializer
from trading.models import Trade


class TradeViewSet(CRUDViewSet[Trade]):
    """The caller's trades. POST brings one in; it is not sent to an exchange."""

    queryset = Trade.objects.order_by("id")
    serializer_class = TradeSerializer
    problems = {"POST": (404, 409), "PUT": (409,), "PATCH": (409,)}

    def create_row(self, values: dict[str, Any]) -> Trade:
        user = caller(self.request)
        bot = own_bot(user, values.pop("bot_config_id"))
        return services.trade_import(user=user, bot=bot, values=values)

    def update_row(self, row: Trade, values: dict[str, Any]) -> Trade:
        if (bot_id := values.pop("bot_config_id", None)) is not None:
            values["bot_config"] = own_bot(caller(self.request), bot_id)
        return services.trade_update(trade=row, values=values)

    def delete_row(self, row: Trade) -> None:
        row.delete()
