from django.urls import path

from bots.api.live import ConfirmLiveView
from bots.api.stream import StatusStreamView
from bots.api.views import BotStateViewSet
from tradebot.api import paths

urlpatterns = [
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
