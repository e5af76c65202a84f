"""The caller's exchange keys, as far as the exchange has a say in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import APIException, NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ListField, Serializer

from accounts.api.authentication import caller
from apikeys.api.serializers import APIKeySerializer
from apikeys.api.views import APIKeyViewSet
from apikeys.models import APIKey
from tradebot.api.fields import CharField, DecimalField
from tradebot.api.languages import language_headers
from tradebot.api.views import APIView
from trading import keys
from trading.exchange_info import ExchangeUnavailableError
from trading.exchanges.base import ExchangeError


class ExchangeFailed(APIException):
    """The exchange did not answer, or not with what was asked."""

    status_code = HTTPStatus.BAD_GATEWAY
    default_detail = gettext_lazy(
        "The exchange does not answer as it should: %(fault)s Nothing was changed. Try "
        "again later."
    )
    default_code = "exchange_failed"

    def __init__(self, fault: Exception) -> None:
        super().__init__(self.default_detail % {"fault": fault})


@contextmanager
def asking_the_exchange() -> Iterator[None]:
    """Turn what an exchange may raise into answers."""
    try:
        yield
    except (ExchangeError, ExchangeUnavailableError) as error:
        raise ExchangeFailed(error) from error


class NewAPIKeySerializer(APIKeySerializer):
    """An exchange key as it was stored."""

    message = CharField(
        read_only=True,
        allow_null=True,
        help_text="Why the exchange could not be asked; null where there is nothing to "
        "say.",
    )

    class Meta(APIKeySerializer.Meta):
        fields = [*APIKeySerializer.Meta.fields, "message"]


class NewAPIKeyViewSet(APIKeyViewSet):
    """The caller's exchange keys. A new one is shown to the exchange, which may refuse
    it (400); where it cannot be asked now, the key is not valid until it has been, and
    ``message`` says so.
    """

    problems = {"POST": (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT)}

    @extend_schema(responses={HTTPStatus.CREATED: NewAPIKeySerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        asked = self.get_serializer(data=request.data)
        asked.is_valid(raise_exception=True)
        with asking_the_exchange():
            key, fault = keys.api_key_create(
                user=caller(request), values=asked.validated_data
            )
        message = fault and gettext(
            "The API key is stored, but the exchange could not be asked about it: "
            "%(fault)s No bot trades with it before POST /api/v1/api-keys/%(id)s/"
            "validate has been answered with is_valid true."
        ) % {"fault": fault, "id": key.pk}
        return Response(
            {**APIKeySerializer(key).data, "message": message},
            status=HTTPStatus.CREATED,
            headers=language_headers(),
        )


class ValidateKeyView(APIView):
    """Ask the exchange again whether it accepts a key, and what the key may do.

    400 where it does not, and for a key that may withdraw funds.
    """

    methods_with_body = ()
    problems = {"POST": (400, 409, HTTPStatus.BAD_GATEWAY)}

    @extend_schema(request=None, responses=APIKeySerializer)
    def post(self, request: Request, pk: int) -> Response:
        key = APIKey.objects.filter(user=caller(request), pk=pk).first()
        if key is None:
            raise NotFound(gettext("You have no API key with this id."))
        with asking_the_exchange():
            key = keys.api_key_validate(api_key=key)
        return Response(APIKeySerializer(key).data)


class BalanceSerializer(Serializer[Any]):
    """What can be spent; 0 in a market that the key is not for."""

    spot_balance = DecimalField()
    futures_balance = DecimalField()
    total_balance = DecimalField()
    currency = CharField()
    markets = ListField(child=CharField(), help_text="Those that the key is for.")


class BalanceView(APIView):
    """What the account of the caller's oldest key has to spend."""

    problems = {
        "GET": (
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.NOT_FOUND,
            HTTPStatus.CONFLICT,
            HTTPStatus.BAD_GATEWAY,
        )
    }

    @extend_schema(responses=BalanceSerializer)
    def get(self, request: Request) -> Response:
        key = APIKey.objects.filter(user=caller(request)).order_by("pk").first()
        if key is None:
            raise NotFound(gettext("You have no API key yet. Store one first."))
        with asking_the_exchange():
            balance = keys.balance_read(api_key=key)
        return Response(
            {
                "spot_balance": balance.spot,
                "futures_balance": balance.futures,
                "total_balance": balance.spot + balance.futures,
                "currency": keys.CURRENCY,
                "markets": balance.markets,
            }
        )
