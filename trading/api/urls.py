from django.urls import path

from tradebot.api import paths
from trading.api.views import TradeViewSet

urlpatterns = [
    path("trades/", TradeViewSet.as_view(paths.COLLECTION), name="trade-list"),
    path("trades/<id:pk>", TradeViewSet.as_view(paths.MEMBER), name="trade-detail"),
]
