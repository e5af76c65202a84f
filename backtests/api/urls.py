from django.urls import path

from backtests.api.views import BacktestViewSet

urlpatterns = [
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
