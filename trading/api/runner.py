"""Bots that run: starting and stopping them, and how they are."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from accounts.api.authentication import caller
from bots.api.views import BotConfigViewSet, NoSuchBot, own_bot
from bots.models import BotConfig, BotRun, BotState, PositionType
from bots.services import bot_stop
from tradebot.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DecimalField,
    IntegerField,
    UTCDateTimeField,
)
from tradebot.api.languages import language_headers
from tradebot.api.views import APIView
from trading.api.orders import PositionSerializer
from trading.api.views import symbols_of
from trading.closes import last_close
from trading.exchange_info import ExchangeUnavailableError
from trading.models import Order, Position

Answer = TypeVar("Answer")


class RunningBotViewSet(BotConfigViewSet):
    """The caller's bots. With ``is_active`` one is started as by POST …/start.

    What that would refuse is refused with the same answer, and nothing is written.
    """

    problems = {
        **dict.fromkeys(
            ("POST", "PUT", "PATCH"),
            (HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE),
        ),
        "DELETE": (HTTPStatus.CONFLICT,),
    }

    def create_row(self, values: dict[str, Any]) -> BotConfig:
        if not values.get("is_active"):
            return super().create_row(values)
        # NumPy and the engine come with it.
        from trading.running.services import bot_create_and_start

        bot = _with_symbols(
            values.get("position_type"),
            lambda: bot_create_and_start(user=caller(self.request), values=values),
        )
        return self.get_queryset().get(pk=bot.pk)

    def update_row(self, row: BotConfig, values: dict[str, Any]) -> BotConfig:
        if not values.get("is_active"):
            return super().update_row(row, values)
        # NumPy and the engine come with it.
        from trading.running.services import bot_update_and_start

        bot = _with_symbols(
            values.get("position_type", row.position_type),
            lambda: bot_update_and_start(bot=row, values=values),
        )
        return self.get_queryset().get(pk=bot.pk)


def _with_symbols(market: str | None, start: Callable[[], Answer]) -> Answer:
    """Start a bot; where there are no symbols of its market yet they are asked for."""
    try:
        return start()
    except ExchangeUnavailableError:
        symbols_of(market or PositionType.SPOT)
        return start()


class StartedSerializer(Serializer[Any]):
    """Which bot was started."""

    message = CharField()
    bot_config_id = IntegerField()


class StartView(APIView):
    """Start one of the caller's bots; a runner looks at it next.

    409 where it runs already or the operator has halted trading, 400 where it could
    not trade with its settings: the detail says what to change.
    """

    methods_with_body = ()
    problems = {
        "POST": (
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.CONFLICT,
            HTTPStatus.SERVICE_UNAVAILABLE,
        )
    }

    @extend_schema(request=None, responses=StartedSerializer)
    def post(self, request: Request, bot_config_id: int) -> Response:
        # NumPy and the engine come with it.
        from trading.running.services import bot_start

        bot = own_bot(caller(request), bot_config_id)
        try:
            _with_symbols(bot.position_type, lambda: bot_start(bot=bot))
        except BotConfig.DoesNotExist:  # deleted meanwhile
            raise NoSuchBot from None
        return Response(
            {"message": gettext("The bot is started."), "bot_config_id": bot.pk},
            headers=language_headers(),
        )


class StopSerializer(Serializer[Any]):
    """What becomes of a position."""

    close = BooleanField(
        default=False,
        help_text="Sell it at the market; otherwise it is kept, with the stop behind "
        "it. In the query too.",
    )


class StoppedSerializer(Serializer[Any]):
    """Which bot was stopped, and what becomes of its position."""

    message = CharField()
    bot_config_id = IntegerField()
    position = ChoiceField(choices=["none", "kept", "closing"])
    stop_price = DecimalField(
        allow_null=True,
        help_text="Where the stop behind a position rests, in the quote asset; null "
        "where there is none.",
    )


class StopView(APIView):
    """Stop one of the caller's bots; one that does not run stays as it is."""

    @extend_schema(
        request=StopSerializer, parameters=[StopSerializer], responses=StoppedSerializer
    )
    def post(self, request: Request, bot_config_id: int) -> Response:
        asked = request.data
        if isinstance(asked, dict):
            asked = {**request.query_params.dict(), **asked}
        wanted = StopSerializer(data=asked)
        wanted.is_valid(raise_exception=True)
        bot = own_bot(caller(request), bot_config_id)
        try:
            bot_stop(bot=bot, **wanted.validated_data)
        except BotConfig.DoesNotExist:  # deleted meanwhile
            raise NoSuchBot from None
        return Response(
            {"bot_config_id": bot.pk, **_what_is_left(bot)},
            headers=language_headers(),
        )


def _what_is_left(bot: BotConfig) -> dict[str, Any]:
    """Say what becomes of the position of a bot that was stopped."""
    position = Position.objects.filter(bot=bot, closed_at__isnull=True).first()
    if position is None:
        message, word, stop = gettext("The bot is stopped."), "none", None
    elif position.reason or BotRun.objects.filter(pk=bot.pk, is_closing=True).exists():
        message = gettext("The bot is stopped, and its position is being closed.")
        word, stop = "closing", None
    else:
        stop = (
            Order.objects.filter(
                position=position,
                role=Order.Role.STOP,
                status__in=[Order.Status.OPEN, Order.Status.PARTIAL],
            )
            .values_list("price", flat=True)
            .first()
        )
        word = "kept"
        message = (
            gettext(
                "The bot is stopped. Its position is kept, with the stop behind it."
            )
            if stop is not None
            else gettext(
                "The bot is stopped. Its position is kept, and there is NO stop behind "
                "it now. Stop it with close=true to sell it."
            )
        )
    return {"message": message, "position": word, "stop_price": stop}


class StatusSerializer(Serializer[Any]):
    """How a bot is, as the runner left it."""

    bot_config_id = IntegerField(source="pk")
    is_active = BooleanField()
    environment = CharField()
    status = CharField(allow_null=True, help_text="Null before the first start.")
    reason = CharField(
        allow_null=True, help_text="Why the status is what it is, in a word."
    )
    message = CharField(allow_null=True, help_text="The same for people: an error.")
    paused_until = UTCDateTimeField(allow_null=True)
    last_run_at = UTCDateTimeField(allow_null=True)
    next_look_at = UTCDateTimeField(
        allow_null=True, help_text="When a runner looks next; null where none does."
    )
    is_closing = BooleanField(help_text="Its position is to be closed.")
    daily_pnl = DecimalField(help_text="Realized since 00:00 UTC, in the quote asset.")
    daily_trades_count = IntegerField()
    last_price = DecimalField(
        allow_null=True, help_text="The last close that is stored, in the quote asset."
    )
    last_price_at = UTCDateTimeField(allow_null=True)
    position = PositionSerializer(allow_null=True)


class StatusView(APIView):
    """How one of the caller's bots is now."""

    @extend_schema(responses=StatusSerializer)
    def get(self, request: Request, bot_config_id: int) -> Response:
        own = BotConfig.objects.filter(user=caller(request), pk=bot_config_id)
        bot = own.select_related("state", "run").first()
        if bot is None:
            raise NoSuchBot
        return Response(_status(bot))


def _status(bot: BotConfig) -> dict[str, Any]:
    # Neither is there before the first start.
    state: BotState = getattr(bot, "state", None) or BotState(status=None)
    run: BotRun = getattr(bot, "run", None) or BotRun()
    close = last_close(bot)
    told = {
        "pk": bot.pk,
        "is_active": bool(bot.is_active),
        "environment": bot.environment,
        "status": state.status,
        "reason": state.reason,
        "message": state.last_error_message,
        "paused_until": state.paused_until,
        "last_run_at": state.last_run_at,
        "next_look_at": run.due_at,
        "is_closing": run.is_closing,
        "daily_pnl": state.daily_pnl or 0,
        "daily_trades_count": state.daily_trades_count or 0,
        "last_price": close and close.price,
        "last_price_at": close and close.at,
        "position": Position.objects.filter(bot=bot, closed_at__isnull=True).first(),
    }
    answer: dict[str, Any] = StatusSerializer(told, context={"close": close}).data
    return answer
