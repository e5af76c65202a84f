"""The caller's backtests, in the envelope that their clients expect."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NoReturn

from django.db.models import F
from django.http import HttpResponse
from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from backtests.api.serializers import (
    BacktestDeletedAnswer,
    BacktestDetailAnswer,
    BacktestFilters,
    BacktestListAnswer,
    BacktestRequest,
    BacktestSerializer,
    BacktestSummarySerializer,
    MarketSymbolsAnswer,
)
from backtests.exports import daily_csv, export_name, monthly_csv
from backtests.models import Backtest
from bots.models import PositionType
from tradebot.api.exceptions import NotBuiltYet
from tradebot.api.languages import language_headers
from tradebot.api.pagination import HeaderPagination
from tradebot.api.views import APIView, ListMixin, OwnedViewSet
from trading.api.views import age_headers, pairs_as_json, symbols_of

_MAX_SYMBOLS = 100


class NewestPagination(HeaderPagination):
    default_limit = 50


class BacktestViewSet(ListMixin[Backtest]):
    """The caller's stored backtests, the newest first."""

    queryset = Backtest.objects.order_by(F("created_at").desc(nulls_last=True), "-id")
    missing = gettext_lazy("You have no backtest with this id.")
    filters = BacktestFilters
    pagination_class = NewestPagination

    def get_serializer_class(self) -> Any:
        listed = self.action == "list"
        return BacktestSummarySerializer if listed else BacktestSerializer

    @extend_schema(
        operation_id="backtest_list",
        responses=forced_singular_serializer(BacktestListAnswer),  # type: ignore[no-untyped-call]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        page = self.page(self.get_queryset())
        return self.get_paginated_response({"status": "success", "data": page})

    @extend_schema(operation_id="backtest_detail", responses=BacktestDetailAnswer)
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        data = self.get_serializer(self.get_object()).data
        return Response({"status": "success", "data": data})

    @extend_schema(
        operation_id="backtest_delete", responses={200: BacktestDeletedAnswer}
    )
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        self.get_object().delete()
        # 200 with a body: the web client reads one.
        return Response(
            {"status": "success", "message": gettext("The backtest is deleted.")},
            headers=language_headers(),
        )


class DownloadViewSet(OwnedViewSet[Backtest]):
    """The results of one of the caller's backtests as CSV."""

    queryset = Backtest.objects.all()

    @extend_schema(
        operation_id="backtest_daily_csv",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def daily(self, request: Request, **kwargs: Any) -> HttpResponse:
        return self._file("daily", daily_csv)

    @extend_schema(
        operation_id="backtest_monthly_csv",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def monthly(self, request: Request, **kwargs: Any) -> HttpResponse:
        return self._file("monthly", monthly_csv)

    @extend_schema(operation_id="backtest_trades_csv", responses={})
    def trades(self, request: Request, **kwargs: Any) -> NoReturn:
        self.get_object()
        raise NotBuiltYet(
            gettext(
                "The trades of a backtest cannot be downloaded yet: they are not "
                "stored. daily.csv and monthly.csv can be."
            )
        )

    def _file(self, kind: str, write: Callable[[Backtest], str]) -> HttpResponse:
        backtest = self.get_object()
        return HttpResponse(
            write(backtest),
            content_type="text/csv; charset=utf-8",
            headers={
                # Without quotes, which the name does not need.
                "Content-Disposition": (
                    f"attachment; filename={export_name(backtest, kind)}"
                ),
            },
        )


class RunView(APIView):
    """Run a backtest."""

    problems = {"POST": (HTTPStatus.NOT_IMPLEMENTED,)}

    @extend_schema(request=BacktestRequest, responses={})
    def post(self, request: Request) -> NoReturn:
        BacktestRequest(data=request.data).is_valid(raise_exception=True)
        raise NotBuiltYet(
            gettext("Backtests cannot be run yet. Those that are stored can be read.")
        )


class CacheInfoView(APIView):
    """What candles are kept for backtests."""

    problems = {"GET": (HTTPStatus.NOT_IMPLEMENTED,)}

    @extend_schema(responses={})
    def get(self, request: Request) -> NoReturn:
        raise NotBuiltYet(
            gettext("No candles are kept yet, since backtests cannot be run yet.")
        )


class CacheClearView(APIView):
    """Forget the candles that are kept for backtests."""

    methods_with_body = ()
    problems = {"POST": (HTTPStatus.NOT_IMPLEMENTED,)}

    @extend_schema(request=None, responses={})
    def post(self, request: Request) -> NoReturn:
        raise NotBuiltYet(
            gettext("No candles are kept yet, since backtests cannot be run yet.")
        )


class MarketSymbolsView(APIView):
    """The best known symbols of a market, at most a hundred."""

    problems = {"GET": (HTTPStatus.SERVICE_UNAVAILABLE,)}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "market_type",
                OpenApiTypes.STR,
                OpenApiParameter.PATH,
                enum=PositionType.values,
            )
        ],
        responses=MarketSymbolsAnswer,
    )
    def get(self, request: Request, market_type: str) -> Response:
        market = market_type.lower()
        if market not in PositionType.values:
            raise ParseError(
                gettext("There is no such market. Ask for spot or futures.")
            )
        symbols = symbols_of(market)
        listed = [
            {**pair, "market_type": market}
            for pair in pairs_as_json(symbols)[:_MAX_SYMBOLS]
        ]
        data = {"market_type": market, "symbols": listed, "count": len(listed)}
        return Response(
            {"status": "success", "data": data}, headers=age_headers(symbols)
        )
