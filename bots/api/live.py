"""Confirming that a bot shall trade live, and taking it back."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.api.authentication import caller
from bots.api.views import own_bot
from bots.live import live_confirm, live_withdraw
from tradebot.api.fields import CharField, IntegerField, UTCDateTimeField
from tradebot.api.views import APIView


class ConfirmationSerializer(Serializer[Any]):
    """Which bot is meant."""

    name = CharField(help_text="The name of the bot, as it is stored.")


class ConfirmedSerializer(Serializer[Any]):
    """A bot that may trade live."""

    bot_config_id = IntegerField(source="pk")
    live_confirmed_at = UTCDateTimeField()


class ConfirmLiveView(APIView):
    """The owner's confirmation that a bot shall trade with real money.

    It ends with any change of what the bot trades by, and with DELETE.
    """

    methods_with_body = ("POST",)
    problems = {"POST": (HTTPStatus.CONFLICT,), "DELETE": (HTTPStatus.CONFLICT,)}

    @extend_schema(request=ConfirmationSerializer, responses=ConfirmedSerializer)
    def post(self, request: Request, bot_config_id: int) -> Response:
        bot = own_bot(caller(request), bot_config_id)
        asked = ConfirmationSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        confirmed = live_confirm(bot=bot, **asked.validated_data)
        return Response(ConfirmedSerializer(confirmed).data)

    @extend_schema(request=None, responses={HTTPStatus.NO_CONTENT: None})
    def delete(self, request: Request, bot_config_id: int) -> Response:
        live_withdraw(bot=own_bot(caller(request), bot_config_id))
        return Response(status=HTTPStatus.NO_CONTENT)
