"""The caller's bots and their states."""

from __future__ import annotations

from typing import Any

from django.db.models import Count
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.authentication import caller
from accounts.models import User
from bots import services
from bots.api.serializers import (
    BotConfigFilters,
    BotConfigSerializer,
    BotStateFilters,
    BotStateSerializer,
    NewBotStateSerializer,
)
from bots.models import BotConfig, BotState
from tradebot.api.views import CRUDViewSet


class NoSuchBot(NotFound):
    """A bot that is missing or belongs to another user."""

    default_detail = gettext_lazy("You have no bot with this id.")


class BotConfigViewSet(CRUDViewSet[BotConfig]):
    """The caller's bots."""

    queryset = BotConfig.objects.annotate(total_trades=Count("trades")).order_by("id")
    missing = NoSuchBot.default_detail
    serializer_class = BotConfigSerializer
    filters = BotConfigFilters
    problems = dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), (409,))

    def create_row(self, values: dict[str, Any]) -> BotConfig:
        bot = services.bot_config_create(user=caller(self.request), values=values)
        return self.get_queryset().get(pk=bot.pk)

    def update_row(self, row: BotConfig, values: dict[str, Any]) -> BotConfig:
        bot = services.bot_config_update(bot=row, values=values)
        return self.get_queryset().get(pk=bot.pk)

    def delete_row(self, row: BotConfig) -> None:
        services.bot_config_delete(bot=row)


class BotStateViewSet(CRUDViewSet[BotState]):
    """The states of the caller's bots; a state has the id of its bot.

    Only that of a stopped bot can be written.
    """

    queryset = BotState.objects.order_by("pk")
    owner = "bot_config__user"
    missing = gettext_lazy("You have no bot state with this id.")
    lookup_url_kwarg = "bot_config_id"
    serializer_class = BotStateSerializer
    filters = BotStateFilters
    problems = {"POST": (404, 409), "PUT": (409,), "PATCH": (409,), "DELETE": (409,)}

    @extend_schema(request=NewBotStateSerializer)
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        return super().create(request, *args, **kwargs)

    def get_serializer_class(self) -> type[BotStateSerializer]:
        return NewBotStateSerializer if self.action == "create" else BotStateSerializer

    def create_row(self, values: dict[str, Any]) -> BotState:
        bot = own_bot(caller(self.request), values.pop("bot_config_id"))
        return services.bot_state_create(bot=bot, values=values)

    def update_row(self, row: BotState, values: dict[str, Any]) -> BotState:
        return services.bot_state_update(state=row, values=values)

    def delete_row(self, row: BotState) -> None:
        services.bot_state_delete(state=row)


def own_bot(user: User, pk: int) -> BotConfig:
    """Return a bot of the user.

    Raises NoSuchBot for one that is missing or belongs to another.
    """
    bot = BotConfig.objects.filter(user=user, pk=pk).first()
    if bot is None:
        raise NoSuchBot
    return bot
