"""What needs the trading engine, which is not built yet.

Who asks is told so after all that would be refused anyway.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import NoReturn

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from accounts.api.authentication import caller
from apikeys.models import APIKey
from bots.api.views import own_bot
from tradebot.api.exceptions import NotBuiltYet
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


class StopView(APIView):
    """Stop one of the caller's bots."""

    methods_with_body = ()
    problems = {"POST": (HTTPStatus.NOT_IMPLEMENTED,)}

    @extend_schema(request=None, responses={})
    def post(self, request: Request, bot_config_id: int) -> NoReturn:
        own_bot(caller(request), bot_config_id)
        raise NotBuiltYet(
            gettext(
                "Bots cannot be stopped yet: this version has no trading engine, so "
                "none is running. Nothing was changed."
            )
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
