"""Shapes of the account API."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import password_validation
from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.emails import MAX_LENGTH, normalize_address
from accounts.models import User
from tradebot.api.fields import BooleanField, CharField, IntegerField


@extend_schema_field({"type": "string", "format": "email", "maxLength": MAX_LENGTH})
class EmailField(CharField):
    """An e-mail address, in the form in which it is stored."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=MAX_LENGTH, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        # Django's ValidationError would be taken for one with other codes.
        try:
            return normalize_address(super().to_internal_value(data))
        except ValidationError as error:
            raise serializers.ValidationError(error.message, code=error.code) from None


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


class ForgottenPasswordSerializer(serializers.Serializer[Any]):
    email = EmailField()


class PasswordResetSerializer(serializers.Serializer[Any]):
    token = CharField(write_only=True)
    # Its bounds are the policy's.
    new_password = CharField(max_length=None, write_only=True)

    def validate_new_password(self, password: str) -> str:
        password_validation.validate_password(password)
        return password


class MessageSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()


class LoginSerializer(serializers.Serializer[User]):
    email = EmailField()
    password = CharField(max_length=None, allow_blank=True, write_only=True)
    remember_me = BooleanField(default=False, allow_null=True)


class SessionSerializer(serializers.Serializer[Any]):
    access_token = serializers.CharField()
    token_type = serializers.ChoiceField(choices=["bearer"])
    user = UserSerializer()
