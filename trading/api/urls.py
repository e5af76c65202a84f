from django.urls import path

from bots.models import PositionType
from tradebot.api import paths
from trading.api.keys import BalanceView, NewAPIKeyViewSet, ValidateKeyView
from trading.api.notifications import (
    NotificationViewSet,
    SettingsView,
    WebhookTestView,
    WebhookView,
)
from trading.api.orders import BotOrderViewSet, BotPositionViewSet
from trading.api.runner import RunningBotViewSet, StartView, StatusView, StopView
from trading.api.views import (
    BotTradeViewSet,
    PerformanceView,
    SummaryView,
    SymbolsView,
    TradeViewSet,
)

urlpatterns = [
    path("trades/", TradeViewSet.as_view(paths.COLLECTION), name="trade-list"),
    path(
        "bot-configs/",
        RunningBotViewSet.as_view(paths.COLLECTION),
        name="bot-config-list",
    ),
    path(
        "bot-configs/<id:pk>",
        RunningBotViewSet.as_view(paths.MEMBER),
        name="bot-config-detail",
    ),
    path("bots/summary", SummaryView.as_view(), name="bot-summary"),
    path("bots/<id:bot_config_id>/start", StartView.as_view(), name="bot-start"),
    path("bots/<id:bot_config_id>/stop", StopView.as_view(), name="bot-stop"),
    path("bots/<id:bot_config_id>/status", StatusView.as_view(), name="bot-status"),
    path(
        "bots/<id:bot_config_id>/orders",
        BotOrderViewSet.as_view({"get": "list"}),
        name="bot-orders",
    ),
    path(
        "bots/<id:bot_config_id>/positions",
        BotPositionViewSet.as_view({"get": "list"}),
        name="bot-positions",
    ),
    path("api-keys/", NewAPIKeyViewSet.as_view(paths.COLLECTION), name="api-key-list"),
    path("api-keys/balance", BalanceView.as_view(), name="api-key-balance"),
    path(
        "api-keys/<id:pk>/validate", ValidateKeyView.as_view(), name="api-key-validate"
    ),
    path(
        "bots/<id:bot_config_id>/performance",
        PerformanceView.as_view(),
        name="bot-performance",
    ),
    path(
        "bots/<id:bot_config_id>/trades",
        BotTradeViewSet.as_view({"get": "list"}),
        name="bot-trades",
    ),
    path(
        "symbols/spot",
        SymbolsView.as_view(market=PositionType.SPOT),
        name="symbols-spot",
    ),
    path(
        "symbols/futures",
        SymbolsView.as_view(market=PositionType.FUTURES),
        name="symbols-futures",
    ),
    path("trades/<id:pk>", TradeViewSet.as_view(paths.MEMBER), name="trade-detail"),
    path(
        "notifications/",
        NotificationViewSet.as_view({"get": "list"}),
        name="notification-list",
    ),
    path(
        "notifications/settings",
        SettingsView.as_view(),
        name="notification-settings",
    ),
    path("notifications/webhook", WebhookView.as_view(), name="webhook"),
    path("notifications/webhook/test", WebhookTestView.as_view(), name="webhook-test"),
]
