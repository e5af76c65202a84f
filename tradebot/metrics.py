"""Figures for Prometheus, at ``/metrics`` where METRICS_TOKEN is set.

Each process of a server keeps those of its requests in files of the folder that
gunicorn_config.py has made, and whoever is asked adds them up. What is in the database
is counted when somebody asks.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from django.apps import apps
from django.conf import settings
from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from tradebot.api.problems import problem

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_requests = Histogram(
    "tradebot_request_seconds",
    "How long requests took, by the route that they found.",
    ["method", "route", "status"],
)
# Rows by one of their columns: metric, model, column. By name: tradebot imports no app.
_ROWS = (
    ("tradebot_bots", "bots.BotConfig", "is_active"),
    ("tradebot_backtest_runs", "backtests.BacktestRun", "status"),
    ("tradebot_users", "accounts.User", "is_active"),
)


def observe(request: HttpRequest, status: int, seconds: float) -> None:
    """Count a request; routes are few, whatever paths are asked for."""
    method = request.method if request.method in _METHODS else "other"
    match = request.resolver_match
    _requests.labels(method, match.route if match else "", status).observe(seconds)


class _RowsCollector(Collector):
    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, model, column in _ROWS:
            family = GaugeMetricFamily(name, f"{model} by {column}.", labels=[column])
            rows = apps.get_model(model)._default_manager.order_by()
            for value, count in rows.values_list(column).annotate(Count("pk")):
                family.add_metric([str(value).lower()], count)
            yield family


@require_safe
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Answer with all figures to who has METRICS_TOKEN; without one nobody has."""
    if settings.METRICS_TOKEN is None:
        raise Http404
    expected = f"Bearer {settings.METRICS_TOKEN}"
    if not constant_time_compare(request.headers.get("Authorization", ""), expected):
        return problem(
            401,
            gettext("Send METRICS_TOKEN of this server as a bearer token."),
            headers={"WWW-Authenticate": "Bearer"},
        )
    registry = CollectorRegistry()
    registry.register(_RowsCollector())
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_requests)
    content = generate_latest(registry)
    return HttpResponse(content, content_type=CONTENT_TYPE_PLAIN_0_0_4)
