"""What the caller is told of, where, and what became of it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from tradebot.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    EndOfTimeRangeField,
    IntegerField,
    UTCDateTimeField,
)
from tradebot.api.pagination import HeaderPagination
from tradebot.api.serializers import ModelSerializer
from tradebot.api.views import APIView, ListMixin
from trading.notifications import outbox
from trading.notifications.models import (
    CHOSEN_KINDS,
    Channel,
    Kind,
    Notification,
    NotificationSettings,
    Webhook,
)
from trading.notifications.posting import MAX_URL_LENGTH, RefusedError, url_split


class KindsField(serializers.ListField):
    """Kinds of notifications, each of them once."""

    default_error_messages = {"not_a_list": gettext_lazy("A list is required.")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=ChoiceField(choices=CHOSEN_KINDS), **kwargs)

    def to_internal_value(self, data: Any) -> list[str]:
        return list(dict.fromkeys(super().to_internal_value(data)))


class SettingsSerializer(ModelSerializer[NotificationSettings]):
    """Of what the caller is told by mail and by webhook, and the language of mails."""

    email_kinds = KindsField(required=False)
    webhook_kinds = KindsField(required=False)
    language = ChoiceField(choices=settings.LANGUAGES, required=False)

    class Meta:
        model = NotificationSettings
        fields = ["email_kinds", "webhook_kinds", "language"]


class WebhookSerializer(ModelSerializer[Webhook]):
    """A webhook. ``failed_at`` and ``last_error`` are null while all goes well."""

    url = CharField(max_length=MAX_URL_LENGTH)
    is_active = BooleanField(required=False)
    roll_secret = BooleanField(
        required=False, write_only=True, help_text="Whether to make another secret."
    )

    class Meta:
        model = Webhook
        fields = [
            "url",
            "is_active",
            "roll_secret",
            "created_at",
            "failed_at",
            "last_error",
        ]
        read_only_fields = ["failed_at", "last_error"]

    def validate_url(self, url: str) -> str:
        try:
            url_split(url)
        except RefusedError as error:
            raise serializers.ValidationError(str(error), code="url") from None
        return url


class SavedWebhookSerializer(WebhookSerializer):
    """A webhook as it was saved, with its secret where that is new."""

    secret = CharField(
        allow_null=True,
        help_text="Signs what is sent. Shown this once; null where it is the old one.",
    )

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


class NotificationSerializer(ModelSerializer[Notification]):
    """A message by one channel. ``next_try_at`` is null once it is sent or given up."""

    id = IntegerField()
    kind = ChoiceField(choices=Kind.choices)
    channel = ChoiceField(choices=Channel.choices)

    class Meta:
        model = Notification
        fields = [
            "id",
            "kind",
            "channel",
            "bot_config_id",
            "created_at",
            "attempts",
            "next_try_at",
            "sent_at",
            "given_up_at",
            "last_error",
        ]


class NotificationFilters(serializers.Serializer[Any]):
    """Which notifications to list: all that match, times included."""

    kind = ChoiceField(choices=Kind.choices, required=False)
    channel = ChoiceField(choices=Channel.choices, required=False)
    bot = IntegerField(required=False, source="bot_config_id")
    start_date = UTCDateTimeField(required=False, source="created_at__gte")
    end_date = EndOfTimeRangeField(required=False, source="created_at__lte")


class NotificationPagination(HeaderPagination):
    default_limit = 50


class NotificationViewSet(ListMixin[Notification]):
    """What the caller was told in the last 30 days, the newest first."""

    queryset = Notification.objects.order_by("-id")
    serializer_class = NotificationSerializer
    filters = NotificationFilters
    pagination_class = NotificationPagination


class SettingsView(APIView):
    """What the caller is told by which channel. What is left out stays as it is."""

    @extend_schema(responses=SettingsSerializer)
    def get(self, request: Request) -> Response:
        chosen = outbox.settings_of(caller(request))
        return Response(SettingsSerializer(chosen).data)

    @extend_schema(request=SettingsSerializer, responses=SettingsSerializer)
    def put(self, request: Request) -> Response:
        asked = SettingsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        chosen = outbox.settings_update(
            user=caller(request), values=asked.validated_data
        )
        return Response(SettingsSerializer(chosen).data)


class WebhookView(APIView):
    """The caller's webhook: an address of theirs to which notifications are sent.

    Each is a POST of JSON with the headers ``X-TradeBot-Id``, the same at every try,
    and ``X-TradeBot-Signature``: ``t=SECONDS,v1=HEX``, the HMAC-SHA256 of
    ``SECONDS.BODY`` with the secret.
    """

    problems = {"GET": (HTTPStatus.NOT_FOUND,), "DELETE": (HTTPStatus.NOT_FOUND,)}

    @extend_schema(responses=WebhookSerializer)
    def get(self, request: Request) -> Response:
        return Response(WebhookSerializer(_own_webhook(request)).data)

    @extend_schema(
        request=WebhookSerializer,
        responses={200: SavedWebhookSerializer, 201: SavedWebhookSerializer},
    )
    def put(self, request: Request) -> Response:
        user = caller(request)
        asked = WebhookSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        roll_secret = values.pop("roll_secret", False)
        webhook, secret, is_new = outbox.webhook_save(
            user=user, values=values, roll_secret=roll_secret
        )
        return Response(
            {**WebhookSerializer(webhook).data, "secret": secret},
            status=HTTPStatus.CREATED if is_new else HTTPStatus.OK,
        )

    @extend_schema(responses={204: None})
    def delete(self, request: Request) -> Response:
        _own_webhook(request).delete()
        return Response(status=HTTPStatus.NO_CONTENT)


class WebhookTestView(APIView):
    """Have a test sent to the caller's webhook.

    What becomes of it is in the list of notifications, under the id that is answered.
    """

    methods_with_body = ()
    problems = {"POST": (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)}

    @extend_schema(request=None, responses={202: NotificationSerializer})
    def post(self, request: Request) -> Response:
        test = outbox.webhook_test(webhook=_own_webhook(request))
        return Response(NotificationSerializer(test).data, status=HTTPStatus.ACCEPTED)


def _own_webhook(request: Request) -> Webhook:
    webhook = Webhook.objects.filter(user=caller(request)).first()
    if webhook is None:
        raise NotFound(gettext("You have no webhook yet. Store one first."))
    return webhook
