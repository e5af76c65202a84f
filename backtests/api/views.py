"""The caller's stored backtests, in the envelope that their clients expect."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.helpers import forced_singular_serializer
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backtests.api.serializers import (
    BacktestDeletedAnswer,
    BacktestDetailAnswer,
    BacktestFilters,
    BacktestListAnswer,
    BacktestSerializer,
    BacktestSummarySerializer,
)
from backtests.models import Backtest
from tradebot.api.languages import language_headers
from tradebot.api.pagination import HeaderPagination
from tradebot.api.views import ListMixin


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
