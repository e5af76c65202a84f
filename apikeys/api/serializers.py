"""Shapes of the exchange keys. Secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from apikeys.models import APIKey, Environment
from tradebot.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    UTCDateTimeField,
)
from tradebot.api.serializers import ModelSerializer


class APIKeyFilters(serializers.Serializer[Any]):
    """Which keys to list: all that match."""

    label = CharField(required=False)  # type: ignore[assignment]  # a field
    is_valid = BooleanField(required=False)  # type: ignore[assignment]  # a field
    environment = ChoiceField(choices=Environment.choices, required=False)


class APIKeySerializer(ModelSerializer[APIKey]):
    """An exchange key. It is valid once the exchange has accepted it.

    A new one is for the test network unless it says otherwise; keys of the old program
    have no environment until they are given one.
    """

    api_key = CharField(write_only=True)
    secret_key = CharField(write_only=True)
    label = CharField(  # type: ignore[assignment]  # a field, which is taken away
        required=False, allow_null=True, allow_blank=True
    )
    api_key_masked = serializers.CharField(source="masked", read_only=True)
    environment = ChoiceField(choices=Environment.choices, required=False)
    permissions = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        allow_null=True,
        help_text="What the exchange lets the key do; null until it has been asked.",
    )
    validated_at = UTCDateTimeField(read_only=True, allow_null=True)
    # Rows of the old program may have null: never checked.
    is_valid = serializers.SerializerMethodField()  # type: ignore[assignment]  # a field

    class Meta:
        model = APIKey
        fields = [
            "api_key",
            "secret_key",
            "id",
            "label",
            "api_key_masked",
            "environment",
            "is_valid",
            "permissions",
            "validated_at",
            "created_at",
            "updated_at",
        ]

    def get_is_valid(self, key: APIKey) -> bool:
        return bool(key.is_valid)

    def validate_label(self, label: str | None) -> str | None:
        # The web form sends "" for none; two keys may have none.
        return label or None
