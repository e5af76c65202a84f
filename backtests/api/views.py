"""The caller's stored backtests, in the envelope that their clients expect."""

from __future__ import annotations

from typing import Any

from django.db.models import F
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from backtests.api.serializers import (
    BacktestDeletedAnswer,
    BacktestDetailAnswer,
    BacktestListAnswer,
    BacktestSerializer,
    BacktestSummarySerializer,
)
from backtests.models import Backtest
from tradebot.api.views import OwnedViewSet

_LISTED = 50


class BacktestViewSet(OwnedViewSet[Backtest]):
    """The caller's stored backtests; the list has the newest 50."""

    queryset = Backtest.objects.all()
    serializer_class = BacktestSerializer
    pagination_class = None

    @extend_schema(operation_id="backtest_list", responses=BacktestListAnswer)
    def list(self, request: Request) -> Response:
        newest = (
            self.get_queryset()
            .only(*BacktestSummarySerializer.Meta.fields)
            .order_by(F("created_at").desc(nulls_last=True), "-id")[:_LISTED]
        )
        data = BacktestSummarySerializer(newest, many=True).data
        return Response({"status": "success", "data": data})

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
        return Response({"status": "success", "message": "The backtest is deleted."})
