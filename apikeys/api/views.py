"""The caller's exchange keys."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext, gettext_lazy
from rest_framework import mixins
from rest_framework.exceptions import NotFound

from accounts.api.authentication import caller
from apikeys import services
from apikeys.api.serializers import APIKeyFilters, APIKeySerializer
from apikeys.models import APIKey
from tradebot.api.views import CRUDViewSet, OwnedViewSet

_KEYS = APIKey.objects.defer("encrypted_secret_key").order_by("id")


class APIKeyViewSet(CRUDViewSet[APIKey]):
    """The caller's exchange keys."""

    queryset = _KEYS
    missing = gettext_lazy("You have no API key with this id.")
    serializer_class = APIKeySerializer
    filters = APIKeyFilters
    problems = dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), (409,))

    def create_row(self, values: dict[str, Any]) -> APIKey:
        return services.api_key_create(user=caller(self.request), values=values)

    def update_row(self, row: APIKey, values: dict[str, Any]) -> APIKey:
        return services.api_key_update(api_key=row, values=values)

    def delete_row(self, row: APIKey) -> None:
        services.api_key_delete(api_key=row)


class DefaultAPIKeyViewSet(
    mixins.RetrieveModelMixin, mixins.DestroyModelMixin, OwnedViewSet[APIKey]
):
    """The caller's oldest key, for clients that know of one only."""

    queryset = _KEYS
    serializer_class = APIKeySerializer
    problems = {"GET": (404,), "DELETE": (404, 409)}

    def get_object(self) -> APIKey:
        key = self.get_queryset().first()
        if key is None:
            raise NotFound(gettext("You have no API key yet. Store one first."))
        return key

    def perform_destroy(self, instance: APIKey) -> None:
        services.api_key_delete(api_key=instance)
