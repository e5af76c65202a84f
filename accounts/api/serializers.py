"""Shapes of the account API."""

from __future__ import annotations

from typing import Any

import email_validator
from django.contrib.auth import password_validation
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import User
from tradebot.api.fields import BooleanField, CharField, IntegerField

_MAX_EMAIL_LENGTH = 254
# With a display name around the address; more is not worth parsing.
_MAX_INPUT_LENGTH = 1000


@extend_schema_field(
    {"type": "string", "format": "email", "maxLength": _MAX_EMAIL_LENGTH}
)
class EmailField(CharField):
    """An e-mail address by the rules of the old program, in the form it stored.

    The domain in small letters and Unicode; ``Name <address>`` is the address. That the
    domain exists is not asked.
    """

    default_error_messages = {
        "invalid": "Enter a valid e-mail address, such as name@example.com."
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=_MAX_EMAIL_LENGTH, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).strip()
        if len(text) > _MAX_INPUT_LENGTH:
            self.fail("invalid")
        try:
            return email_validator.validate_email(
                text, check_deliverability=False, allow_display_name=True
            ).normalized
        except email_validator.EmailNotValidError:
            self.fail("invalid")


class UserSerializer(serializers.ModelSerializer[User]):
    id = IntegerField(read_only=True)
    is_active = serializers.BooleanField(read_only=True)

    class Meta:
        model = User
        fields = ["id", "email", "is_active"]


class RegistrationSerializer(serializers.Serializer[User]):
    email = EmailField()
    # Its bounds are the policy's.
    password = CharField(max_length=None, write_only=True)

    def validate_password(self, password: str) -> str:
        password_validation.validate_password(password)
        return password


class LoginSerializer(serializers.Serializer[User]):
    email = EmailField()
    password = CharField(max_length=None, allow_blank=True, write_only=True)
    remember_me = BooleanField(default=False, allow_null=True)


class SessionSerializer(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["bearer"])
    user = UserSerializer()
