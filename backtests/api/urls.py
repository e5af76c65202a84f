from http import HTTPStatus

from django.urls import path

from backtests.api.sweep_views import SweepViewSet
from backtests.api.views import (
    BacktestViewSet,
    CacheClearView,
    CacheInfoView,
    DownloadViewSet,
    MarketSymbolsView,
    RunView,
    RunViewSet,
)

urlpatterns = [
    path("backtest/run", RunView.as_view(), name="backtest-run"),
    path(
        "backtest/runs",
        RunViewSet.as_view({"get": "list"}),
        name="backtest-run-list",
    ),
    path(
        "backtest/runs/<id:pk>",
        RunViewSet.as_view({"get": "retrieve"}),
        name="backtest-run-detail",
    ),
    path(
        "backtest/runs/<id:pk>/cancel",
        RunViewSet.as_view({"post": "cancel"}),
        name="backtest-run-cancel",
    ),
    path(
        "backtest/sweep",
        SweepViewSet.as_view({"post": "create"}),
        name="backtest-sweep",
    ),
    path(
        "backtest/sweeps",
        SweepViewSet.as_view({"get": "list"}),
        name="backtest-sweep-list",
    ),
    path(
        "backtest/sweeps/<id:pk>",
        SweepViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="backtest-sweep-detail",
    ),
    path(
        "backtest/sweeps/<id:pk>/cancel",
        SweepViewSet.as_view({"post": "cancel"}, methods_with_body=()),
        name="backtest-sweep-cancel",
    ),
    path(
        "backtest/sweeps/<id:pk>/results",
        SweepViewSet.as_view({"get": "results"}),
        name="backtest-sweep-results",
    ),
    path("backtest/cache/info", CacheInfoView.as_view(), name="backtest-cache-info"),
    path("backtest/cache/clear", CacheClearView.as_view(), name="backtest-cache-clear"),
    path(
        "backtest/symbols/<market_type>",
        MarketSymbolsView.as_view(),
        name="backtest-symbols",
    ),
    *(
        path(
            f"backtest/download/<id:pk>/{kind}.csv",
            DownloadViewSet.as_view({"get": kind}, problems=problems),
            name=f"backtest-{kind}-csv",
        )
        for kind, problems in (
            ("daily", {}),
            ("monthly", {}),
            ("trades", {"GET": (HTTPStatus.CONFLICT,)}),
        )
    ),
    path(
        "backtest/list", BacktestViewSet.as_view({"get": "list"}), name="backtest-list"
    ),
    path(
        "backtest/detail/<id:pk>",
        BacktestViewSet.as_view({"get": "retrieve"}),
        name="backtest-detail",
    ),
    path(
        "backtest/delete/<id:pk>",
        BacktestViewSet.as_view({"delete": "destroy"}),
        name="backtest-delete",
    ),
]
