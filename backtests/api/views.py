"""The caller's backtests, in the envelope that their clients expect."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException, ParseError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.models import User
from backtests import runs
from backtests.api.pagination import NewestPagination
from backtests.api.requests import RunRequest
from backtests.api.serializers import (
    BacktestDeletedAnswer,
    BacktestDetailAnswer,
    BacktestFilters,
    BacktestListAnswer,
    BacktestSerializer,
    BacktestSummarySerializer,
    CacheInfoAnswer,
    MarketSymbolsAnswer,
    RunAnswer,
    RunResultAnswer,
    RunResultSerializer,
    RunSerializer,
)
from backtests.exports import daily_csv, export_name, monthly_csv, trades_csv
from backtests.models import Backtest, BacktestRun
from bots.models import PositionType
from tradebot.api.languages import language_headers
from tradebot.api.views import APIView, ListMixin, OwnedViewSet
from trading.api.views import age_headers, pairs_as_json, symbols_of
from trading.models import CandleSeries

_MAX_SYMBOLS = 100
_ROW_MB = 100 / 2**20  # a candle, with its part of the index
# How long a request waits for its run: as long as a thread of the server may be held.
WAIT_S = 10.0
LOOK_EVERY_S = 0.1


class BacktestViewSet(ListMixin[Backtest]):
    """The caller's stored backtests, the newest first."""

    queryset = Backtest.objects.order_by(F("created_at").desc(nulls_last=True), "-id")
    missing = gettext_lazy("You have no backtest with this id.")
    serializer_class = BacktestSummarySerializer
    filters = BacktestFilters
    pagination_class = NewestPagination

    def answer(self, page: Any) -> Any:
        return {"status": "success", "data": page}

    @extend_schema(
        operation_id="backtest_list",
        responses=forced_singular_serializer(BacktestListAnswer),  # type: ignore[no-untyped-call]
    )
    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().list(request, *args, **kwargs)

    @extend_schema(operation_id="backtest_detail", responses=BacktestDetailAnswer)
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        data = BacktestSerializer(self.get_object()).data
        return Response(self.answer(data))

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

    @extend_schema(
        operation_id="backtest_trades_csv",
        responses={(200, "text/csv"): OpenApiTypes.STR},
    )
    def trades(self, request: Request, **kwargs: Any) -> HttpResponse:
        return self._file("trades", trades_csv)

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
    """Run a backtest.

    A run that is over soon is answered with its result, another one with 202: ask for
    it by its id until it is done.
    """

    problems = {
        # Of a run that was cancelled, or where there are too many.
        "POST": (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
    }

    @extend_schema(
        request=RunRequest,
        responses={200: RunResultAnswer, 202: RunAnswer},
    )
    def post(self, request: Request) -> Response:
        asked = RunRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        run = runs.run_create(user=caller(request), request=asked.validated_data)
        until = time.monotonic() + WAIT_S
        while run.status in runs.OPEN and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S)
            run = BacktestRun.objects.select_related("backtest").get(pk=run.pk)
        if run.status in runs.OPEN:
            data = RunSerializer(run).data
            return Response(
                {"status": "queued", "data": data}, status=HTTPStatus.ACCEPTED
            )
        if run.backtest is None:
            raise RunFailed(run)
        data = RunResultSerializer(run.backtest).data
        return Response({"status": "success", "data": data})


class RunFailed(APIException):
    """A run has led to no result; why is for its user to read."""

    status_code = HTTPStatus.UNPROCESSABLE_ENTITY
    default_code = "run_failed"

    def __init__(self, run: BacktestRun) -> None:
        super().__init__(run.error or gettext("The run was cancelled."))
        if run.status == BacktestRun.Status.CANCELLED:
            self.status_code = HTTPStatus.CONFLICT
        elif run.error_code != "refused":
            self.status_code = HTTPStatus.SERVICE_UNAVAILABLE


class RunViewSet(ListMixin[BacktestRun]):
    """The runs that the caller has asked for, the newest first."""

    queryset = BacktestRun.objects.order_by("-id")
    missing = gettext_lazy("You have no run with this id.")
    serializer_class = RunSerializer
    pagination_class = NewestPagination
    problems = {"POST": (HTTPStatus.CONFLICT,)}
    methods_with_body = ()

    @extend_schema(operation_id="backtest_run_list")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().list(request, *args, **kwargs)

    @extend_schema(operation_id="backtest_run_detail", responses=RunSerializer)
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(RunSerializer(self.get_object()).data)

    @extend_schema(
        operation_id="backtest_run_cancel", request=None, responses=RunSerializer
    )
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        runs.run_cancel(run=self.get_object())
        return Response(RunSerializer(self.get_object()).data)


class CacheInfoView(APIView):
    """Which candles are stored: to staff all, to others those of their backtests.

    What else is there would tell what others trade.
    """

    @extend_schema(responses=CacheInfoAnswer)
    def get(self, request: Request) -> Response:
        entries = [
            {
                "symbol": series.symbol,
                "interval": series.interval,
                "start_date": f"{series.first:%Y-%m-%d}",
                "end_date": f"{series.last + series.length:%Y-%m-%d}",
                "market_type": series.market,
                "cached_at": series.last + series.length,
                "rows": series.rows,
                "cache_key": str(series.pk),
            }
            for series in self._shown(caller(request))
        ]
        data = {
            "total_files": len(entries),
            "cached_symbols": sorted({str(each["symbol"]) for each in entries}),
            "total_size_mb": round(_ROW_MB * sum(each["rows"] for each in entries), 2),
            "cache_entries": entries,
        }
        answer = CacheInfoAnswer({"status": "success", "data": data})
        return Response(answer.data)

    def _shown(self, user: User) -> QuerySet[Any]:
        series = CandleSeries.objects.annotate(
            rows=Count("candles__open_time"),
            first=Min("candles__open_time"),
            last=Max("candles__open_time"),
        ).filter(rows__gt=0)
        if not user.is_staff:
            own = user.backtests.filter(
                symbol=OuterRef("symbol"),
                interval=OuterRef("interval"),
                market_type=OuterRef("market"),
            )
            of_seed = Exists(own.filter(seed=OuterRef("seed")))
            real = Q(seed__isnull=True) & Exists(own.filter(seed__isnull=True))
            series = series.filter(of_seed | real)
        return series.order_by("symbol", "interval", "pk")


class CacheClearView(APIView):
    """Answer clients of the old program: candles are data here, and stay."""

    methods_with_body = ()

    @extend_schema(request=None, responses=BacktestDeletedAnswer)
    def post(self, request: Request) -> Response:
        told = gettext("Candles are stored for everybody and stay: none was cleared.")
        return Response(
            {"status": "success", "message": told}, headers=language_headers()
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
