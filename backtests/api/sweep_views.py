"""The caller's sweeps."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from backtests import sweeps
from backtests.api.pagination import NewestPagination
from backtests.api.sweep_serializers import (
    SweepRequest,
    SweepResultSerializer,
    SweepSerializer,
)
from backtests.models import Sweep
from tradebot.api.views import ListMixin


class SweepViewSet(ListMixin[Sweep]):
    """Grids of backtests: many parameters tried on the same candles."""

    queryset = Sweep.objects.with_tried().order_by("-id")
    missing = gettext_lazy("You have no sweep with this id.")
    serializer_class = SweepSerializer
    pagination_class = NewestPagination
    problems = {"POST": (HTTPStatus.CONFLICT,)}

    @extend_schema(
        operation_id="backtest_sweep",
        request=SweepRequest,
        responses={202: SweepSerializer},
    )
    def create(self, request: Request) -> Response:
        """Queue a sweep. Ask for it by its id until it is done."""
        asked = SweepRequest(data=request.data)
        asked.is_valid(raise_exception=True)
        sweep = sweeps.sweep_create(user=caller(request), request=asked.validated_data)
        return Response(self._answer(sweep.pk), status=HTTPStatus.ACCEPTED)

    @extend_schema(operation_id="backtest_sweep_list")
    def list(self, request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        """List the sweeps, the newest first."""
        return super().list(request, *args, **kwargs)

    @extend_schema(operation_id="backtest_sweep_detail", responses=SweepSerializer)
    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        """Return a sweep: how far it is, and what the best is worth."""
        return Response(SweepSerializer(self.get_object()).data)

    @extend_schema(operation_id="backtest_sweep_delete", responses={204: None})
    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Delete a sweep with its results; one that is running ends."""
        self.get_object().delete()
        return Response(status=HTTPStatus.NO_CONTENT)

    @extend_schema(
        operation_id="backtest_sweep_cancel", request=None, responses=SweepSerializer
    )
    def cancel(self, request: Request, **kwargs: Any) -> Response:
        """Cancel a sweep; what it has found stays."""
        sweep = self.get_object()
        sweeps.sweep_cancel(sweep=sweep)
        return Response(self._answer(sweep.pk))

    @extend_schema(
        operation_id="backtest_sweep_results",
        responses=SweepResultSerializer(many=True),
    )
    def results(self, request: Request, **kwargs: Any) -> Response:
        """List what has been tried, the best first."""
        found: Any = sweeps.ranked(self.get_object())
        rows: Any = self.paginate_queryset(found)
        return self.get_paginated_response(SweepResultSerializer(rows, many=True).data)

    def _answer(self, pk: int) -> Any:
        return SweepSerializer(self.get_queryset().get(pk=pk)).data
