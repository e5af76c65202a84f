"""The orders of the caller's bots, from intent to fill, and their positions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework.serializers import Serializer, SerializerMethodField

from accounts.api.authentication import caller
from bots.api.views import own_bot
from tradebot.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DecimalField,
    EndOfTimeRangeField,
    UTCDateTimeField,
)
from tradebot.api.pagination import HeaderPagination
from tradebot.api.serializers import ModelSerializer
from tradebot.api.views import ListMixin
from trading.api.serializers import SideField
from trading.closes import last_close
from trading.models import Fill, Order, Position


class FillSerializer(ModelSerializer[Fill]):
    """One execution of an order. ``commission_quote`` is in the quote asset."""

    class Meta:
        model = Fill
        fields = [
            "trade_id",
            "price",
            "quantity",
            "commission",
            "commission_asset",
            "commission_quote",
            "filled_at",
        ]


class OrderSerializer(ModelSerializer[Order]):
    """An order. ``price`` is the trigger of a STOP, the limit of a LIMIT."""

    fills = SerializerMethodField()

    class Meta:
        model = Order
        fields = [
            "id",
            "position_id",
            "trade_id",
            "environment",
            "market",
            "symbol",
            "client_id",
            "exchange_id",
            "role",
            "side",
            "kind",
            "quantity",
            "price",
            "reduce_only",
            "status",
            "error",
            "candle_at",
            "signed_at",
            "created_at",
            "updated_at",
            "fills",
        ]

    @extend_schema_field(FillSerializer(many=True))
    def get_fills(self, order: Order) -> Any:
        return FillSerializer(order.fills.all(), many=True).data


class OrderFilters(Serializer[Any]):
    """Which orders of a bot to list: all that match, times included."""

    status = ChoiceField(choices=Order.Status.choices, required=False)
    role = ChoiceField(choices=Order.Role.choices, required=False)
    side = SideField(required=False)
    symbol = CharField(required=False)
    start_date = UTCDateTimeField(required=False, source="created_at__gte")
    end_date = EndOfTimeRangeField(required=False, source="created_at__lte")


class PositionSerializer(ModelSerializer[Position]):
    """A position. Quantities are in coins, the rest in the quote asset.

    The context has ``close``, by which an open one is valued.
    """

    quantity = DecimalField(read_only=True, help_text="What is still open.")
    entry_price = DecimalField(read_only=True, help_text="The average.")
    realized_pnl = DecimalField(read_only=True, help_text="After all fees.")
    unrealized_pnl = SerializerMethodField(
        help_text="What the open rest gains at the last close that is stored, before "
        "fees; null where there is none."
    )

    class Meta:
        model = Position
        fields = [
            "id",
            "environment",
            "market",
            "symbol",
            "direction",
            "leverage",
            "quantity",
            "entry_price",
            "entry_quantity",
            "entry_quote",
            "entry_fees",
            "exit_quantity",
            "exit_quote",
            "exit_fees",
            "realized_pnl",
            "unrealized_pnl",
            "stop_price",
            "target_price",
            "best_price",
            "opened_at",
            "closed_at",
            "reason",
        ]

    @extend_schema_field(DecimalField(allow_null=True))
    def get_unrealized_pnl(self, position: Position) -> Decimal | None:
        close = self.context["close"]
        if position.closed_at is not None or close is None:
            return None
        return position.unrealized_pnl(close.price)


class PositionFilters(Serializer[Any]):
    """Which positions of a bot to list: all that match, times included."""

    is_open = BooleanField(required=False)
    symbol = CharField(required=False)
    start_date = UTCDateTimeField(required=False, source="opened_at__gte")
    end_date = EndOfTimeRangeField(required=False, source="opened_at__lte")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "is_open" in attrs:
            attrs["closed_at__isnull"] = attrs.pop("is_open")
        return attrs


class RecordsPagination(HeaderPagination):
    default_limit = 50
    max_limit = 200


class BotOrderViewSet(ListMixin[Order]):
    """The orders of one of the caller's bots with their fills, the newest first."""

    queryset = Order.objects.order_by("-created_at", "-id").prefetch_related("fills")
    owner = "bot__user"
    serializer_class = OrderSerializer
    filters = OrderFilters
    pagination_class = RecordsPagination

    def get_queryset(self) -> QuerySet[Order]:
        bot = own_bot(caller(self.request), self.kwargs["bot_config_id"])
        return super().get_queryset().filter(bot=bot)


class BotPositionViewSet(ListMixin[Position]):
    """The positions of one of the caller's bots, the newest first."""

    queryset = Position.objects.order_by("-opened_at", "-id")
    owner = "bot__user"
    serializer_class = PositionSerializer
    filters = PositionFilters
    pagination_class = RecordsPagination

    def get_queryset(self) -> QuerySet[Position]:
        self.bot = own_bot(caller(self.request), self.kwargs["bot_config_id"])
        return super().get_queryset().filter(bot=self.bot)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "close": last_close(self.bot)}
