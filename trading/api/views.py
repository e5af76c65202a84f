"""The caller's trades."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from bots.api.views import NoSuchBot, own_bot
from bots.models import BotConfig
from tradebot.api.pagination import HeaderPagination
from tradebot.api.views import APIView, CRUDViewSet, ListMixin
from trading import services
from trading.api.serializers import (
    BotTradeFilters,
    BotTradeSerializer,
    PerformanceSerializer,
    ReportPeriod,
    SummarySerializer,
    TradeFilters,
    TradeSerializer,
)
from trading.models import Trade
from trading.reports import reports


class BotTradesPagination(HeaderPagination):
    default_limit = 50
    max_limit = 200


class BotTradeViewSet(ListMixin[Trade]):
    """The trades of one of the caller's bots, the newest first."""

    queryset = Trade.objects.order_by("-timestamp", "-id")
    owner = "bot_config__user"
    serializer_class = BotTradeSerializer
    filters = BotTradeFilters
    pagination_class = BotTradesPagination

    def get_queryset(self) -> QuerySet[Trade]:
        bot = own_bot(caller(self.request), self.kwargs["bot_config_id"])
        return super().get_queryset().filter(bot_config=bot)


class PerformanceView(APIView):
    """What came of one of the caller's bots."""

    @extend_schema(parameters=[ReportPeriod], responses=PerformanceSerializer)
    def get(self, request: Request, bot_config_id: int) -> Response:
        own = BotConfig.objects.filter(user=caller(request), pk=bot_config_id)
        found = reports(own, trades=_period(request))
        if not found:
            raise NoSuchBot
        return Response(PerformanceSerializer(found[0]).data)


class SummaryView(APIView):
    """What came of each of the caller's bots."""

    @extend_schema(parameters=[ReportPeriod], responses=SummarySerializer(many=True))
    def get(self, request: Request) -> Response:
        own = BotConfig.objects.filter(user=caller(request))
        found = reports(own, trades=_period(request))
        return Response(SummarySerializer(found, many=True).data)


def _period(request: Request) -> Q:
    asked = ReportPeriod(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    return Q(**asked.validated_data)


class TradeViewSet(CRUDViewSet[Trade]):
    """The caller's trades. POST brings one in; it is not sent to an exchange."""

    queryset = Trade.objects.order_by("id")
    missing = gettext_lazy("You have no trade with this id.")
    serializer_class = TradeSerializer
    filters = TradeFilters
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
