from django.urls import path

from bots.api.live import ConfirmLiveView
from bots.api.stream import StatusStreamView
from bots.api.views import BotConfigViewSet, BotStateViewSet
from tradebot.api import paths

urlpatterns = [
    path(
        "bot-configs/",
        BotConfigViewSet.as_view(paths.COLLECTION),
        name="bot-config-list",
    ),
    path(
        "bot-configs/<id:pk>",
        BotConfigViewSet.as_view(paths.MEMBER),
        name="bot-config-detail",
    ),
    path(
        "bots/<id:bot_config_id>/status-stream",
        StatusStreamView.as_view(),
        name="bot-status-stream",
    ),
    path(
        "bots/<id:bot_config_id>/confirm-live",
        ConfirmLiveView.as_view(),
        name="bot-confirm-live",
    ),
    path(
        "bot-states/", BotStateViewSet.as_view(paths.COLLECTION), name="bot-state-list"
    ),
    path(
        "bot-states/<id:bot_config_id>",
        BotStateViewSet.as_view(paths.MEMBER),
        name="bot-state-detail",
    ),
]
