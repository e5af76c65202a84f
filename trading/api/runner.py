"""Bots that run, and what they trade with.

Who asks for what needs the trading engine, which is not built yet, is told so after all
that would be refused anyway.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NoReturn

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.api.authentication import caller
from apikeys.models import APIKey
from bots.api.views import NoSuchBot, own_bot
from bots.models import BotConfig
from bots.services import bot_stop
from tradebot.api.exceptions import NotBuiltYet
from tradebot.api.fields import CharField, IntegerField
from tradebot.api.languages import language_headers
from tradebot.api.views import APIView


class StartView(APIView):
    """Start one of the caller's bots."""

    methods_with_body = ()
    problems = {"POST": (HTTPStatus.NOT_IMPLEMENTED,)}

    @extend_schema(request=None, responses={})
    def post(self, request: Request, bot_config_id: int) -> NoReturn:
        own_bot(caller(request), bot_config_id)
        raise NotBuiltYet(
            gettext(
                "Bots cannot be started yet: this version has no trading engine. "
                "Nothing was changed."
            )
        )


class StoppedSerializer(Serializer[Any]):
    """Which bot was stopped."""

    message = CharField()
    bot_config_id = IntegerField()


class StopView(APIView):
    """Stop one of the caller's bots; one that does not run stays as it is."""

    methods_with_body = ()

    @extend_schema(request=None, responses=StoppedSerializer)
    def post(self, request: Request, bot_config_id: int) -> Response:
        bot = own_bot(caller(request), bot_config_id)
        try:
            bot_stop(bot=bot)
        except BotConfig.DoesNotExist:  # deleted meanwhile
            raise NoSuchBot from None
        return Response(
            {"message": gettext("The bot is stopped."), "bot_config_id": bot.pk},
            headers=language_headers(),
        )


class BalanceView(APIView):
    """What the caller has on the exchange."""

    problems = {"GET": (HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED)}

    @extend_schema(responses={})
    def get(self, request: Request) -> NoReturn:
        if not APIKey.objects.filter(user=caller(request)).exists():
            raise NotFound(gettext("You have no API key yet. Store one first."))
        raise NotBuiltYet(
            gettext(
                "Balances cannot be read yet: this version does not log in to the "
                "exchange."
            )
        )
