"""The admin of exchange API keys. Keys come, and change, through the API alone."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from apikeys.models import APIKey
from apikeys.services import api_key_delete, api_key_update
from tradebot.adminsite.base import ModelAdmin


@admin.register(APIKey)
class APIKeyAdmin(ModelAdmin):
    """Masked keys; their label can be edited."""

    list_display = (
        *("__str__", "user", "key", "environment", "is_valid"),
        *("created_at", "updated_at"),
    )
    list_select_related = ("user",)
    list_filter = ("is_valid", "environment", ("user", AutocompleteSelectFilter))
    search_fields = ("label", "user__email")
    ordering = ("-id",)
    date_hierarchy = "created_at"
    readonly_fields = (
        *("user", "key", "environment", "is_valid", "permissions", "validated_at"),
        *("created_at", "updated_at"),
    )
    fields = ("label", *readonly_fields)

    @admin.display(description="key")
    def key(self, api_key: APIKey) -> str:
        return api_key.masked

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(
        self, request: HttpRequest, obj: APIKey, form: Any, change: bool
    ) -> None:
        edited = {name: form.cleaned_data[name] for name in form.changed_data}
        api_key_update(api_key=obj, values=edited)

    def delete_model(self, request: HttpRequest, obj: APIKey) -> None:
        api_key_delete(api_key=obj)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # ?encrypted_secret_key__startswith=… would tell it letter by letter.
        return not lookup.startswith("encrypted_") and super().lookup_allowed(
            lookup, value, request
        )
