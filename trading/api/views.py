"""The caller's trades, and what can be traded."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
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
    SymbolFilters,
    SymbolWithFiltersSerializer,
    TradeFilters,
    TradeSerializer,
)
from trading.exchange_info import ExchangeUnavailableError
from trading.models import Trade
from trading.reports import reports
from trading.symbols import FRESH_FOR, Symbols, symbols_read

_NOTHING: Mapping[str, Any] = {}


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


class SummaryView(APIView, GenericAPIView[BotConfig]):
    """What came of each of the caller's bots."""

    pagination_class = HeaderPagination

    @extend_schema(parameters=[ReportPeriod], responses=SummarySerializer(many=True))
    def get(self, request: Request) -> Response:
        own = BotConfig.objects.filter(user=caller(request))
        paginator = cast(HeaderPagination, self.paginator)
        period = _period(request, paginator.errors(request.query_params))
        found = self.paginate_queryset(reports(own, trades=period))
        return self.get_paginated_response(SummarySerializer(found, many=True).data)


def _period(request: Request, others: Mapping[str, Any] = _NOTHING) -> Q:
    """Return what a query chooses; raises ValidationError, for ``others`` too."""
    given = {name: text for name, text in request.query_params.items() if text}
    asked = ReportPeriod(data=given)
    if not asked.is_valid() or others:
        raise ValidationError({**asked.errors, **others})
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


class NoSymbols(APIException):
    """There are none yet, and they are not to be had now; ``wait`` in seconds."""

    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = gettext_lazy(
        "There are no symbols yet: they are being fetched, or the exchange does not "
        "give them out at the moment. Try again after the seconds in Retry-After."
    )
    default_code = "no_symbols"

    def __init__(self, wait: int) -> None:
        super().__init__()
        self.wait = wait


# As the fields of a Pair come.
_PAIR_KEYS = ("symbol", "baseAsset", "quoteAsset", "status")
_FILTER_KEYS = ("tickSize", "stepSize", "minQuantity", "minNotional")


class SymbolsView(APIView):
    """What is traded against USDT on a market, the best known first.

    No login is asked for. ``Age`` says how many seconds ago the exchange was asked. A
    list that is being fetched anew has the header ``Cache-Status: TradeBot; hit;
    ttl=-…``.
    """

    authentication_classes = []
    permission_classes = [AllowAny]
    problems = {"GET": (HTTPStatus.SERVICE_UNAVAILABLE,)}
    market: ClassVar[str] = ""

    @extend_schema(
        parameters=[SymbolFilters], responses=SymbolWithFiltersSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        asked = SymbolFilters(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        symbols = symbols_of(self.market)
        fresh_for_s = int(FRESH_FOR.total_seconds())
        return Response(
            pairs_as_json(symbols, **asked.validated_data),
            headers={
                **age_headers(symbols),
                "Cache-Control": f"public, max-age={fresh_for_s}",
            },
        )


def symbols_of(market: str) -> Symbols:
    """Return the symbols of a market; raises NoSymbols."""
    try:
        return symbols_read(market=market)
    except ExchangeUnavailableError as error:
        raise NoSymbols(error.retry_after_s) from error


def pairs_as_json(symbols: Symbols, *, filters: bool = False) -> list[dict[str, Any]]:
    """Return what the serializers would, in a tenth of their time."""
    keys = [*_PAIR_KEYS, *(_FILTER_KEYS if filters else ())]
    return [dict(zip(keys, pair, strict=False)) for pair in symbols.pairs]


def age_headers(symbols: Symbols) -> dict[str, str]:
    """Return the headers that say how old symbols are."""
    headers = {"Age": str(int(symbols.age.total_seconds()))}
    if symbols.age >= FRESH_FOR:
        ttl = int((FRESH_FOR - symbols.age).total_seconds())
        headers["Cache-Status"] = f"TradeBot; hit; ttl={ttl}"  # RFC 9211
    return headers
