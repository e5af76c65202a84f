from django.urls import path

from apikeys.api.views import APIKeyViewSet, DefaultAPIKeyViewSet
from tradebot.api import paths

urlpatterns = [
    path(
        "api-keys/me",
        DefaultAPIKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
        name="api-key-default",
    ),
    path(
        "api-keys/<id:pk>", APIKeyViewSet.as_view(paths.MEMBER), name="api-key-detail"
    ),
]
