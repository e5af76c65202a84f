"""Shape of trades."""

from __future__ import annotations

from typing import Any

from rest_framework.serializers import Serializer, ValidationError

from tradebot.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    DecimalField,
    EndOfTimeRangeField,
    IntegerField,
    UTCDateTimeField,
    validate_positive,
)
from tradebot.api.serializers import ModelSerializer
from trading.models import Trade


class SideField(ChoiceField):
    """BUY or SELL, in whatever case; stored in capitals."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=["BUY", "SELL"], **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(
            data.upper() if isinstance(data, str) else data
        )


class TradeFilters(Serializer[Any]):
    """Which trades to list: all that match, times included."""

    symbol = CharField(required=False)
    side = SideField(required=False)
    bot = IntegerField(required=False, source="bot_config_id")
    start_date = UTCDateTimeField(required=False, source="timestamp__gte")
    end_date = EndOfTimeRangeField(required=False, source="timestamp__lte")


class TradeSerializer(ModelSerializer[Trade]):
    """A filled order. Quantities are in coins, the rest in the quote asset."""

    bot_config_id = IntegerField()
    user_id = IntegerField(read_only=True)
    # Unique, but that is a conflict (409), not a malformed value.
    binance_order_id = CharField(required=False, allow_null=True)
    side = SideField()
    price = DecimalField(validators=[validate_positive])
    quantity_filled = DecimalField(validators=[validate_positive])
    quote_quantity_filled = DecimalField(validators=[validate_positive])
    timestamp = UTCDateTimeField(required=False, allow_null=True)

    class Meta:
        model = Trade
        fields = [
            "bot_config_id",
            "user_id",
            "binance_order_id",
            "symbol",
            "side",
            "order_type",
            "price",
            "quantity_filled",
            "quote_quantity_filled",
            "commission_amount",
            "commission_asset",
            "pnl",
            "realized_pnl",
            "timestamp",
            "id",
        ]
        extra_kwargs = {"commission_amount": {"min_value": 0}}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None:
            # The time of a new trade is now for null as well.
            return {name: value for name, value in attrs.items() if value is not None}
        if attrs.get("timestamp", ...) is None:
            raise ValidationError(
                {"timestamp": self.fields["timestamp"].error_messages["null"]},
                code="null",
            )
        return attrs


class BotTradeSerializer(ModelSerializer[Trade]):
    """A trade in the list of a bot's."""

    side = SideField()

    class Meta:
        model = Trade
        fields = [
            "id",
            "symbol",
            "side",
            "order_type",
            "price",
            "quantity_filled",
            "quote_quantity_filled",
            "realized_pnl",
            "timestamp",
        ]


class BotTradeFilters(Serializer[Any]):
    """Which trades of a bot to list: all that match, times included."""

    symbol = CharField(required=False)
    side = SideField(required=False)
    start_date = UTCDateTimeField(required=False, source="timestamp__gte")
    end_date = EndOfTimeRangeField(required=False, source="timestamp__lte")


class ReportPeriod(Serializer[Any]):
    """Which trades a report is about: those of a time, its ends included."""

    start_date = UTCDateTimeField(required=False, source="trades__timestamp__gte")
    end_date = EndOfTimeRangeField(required=False, source="trades__timestamp__lte")


class SymbolSerializer(Serializer[Any]):
    """A pair that is traded."""

    symbol = CharField()
    baseAsset = CharField(source="base_asset")
    quoteAsset = CharField(source="quote_asset")
    status = CharField()


class SymbolFilters(Serializer[Any]):
    """What to tell of symbols."""

    filters = BooleanField(
        default=False, help_text="Tell of each what the exchange wants of an order too."
    )


class SymbolWithFiltersSerializer(SymbolSerializer):
    """A pair, with the rules for its orders where ``filters=true`` asks for them.

    A rule that the exchange does not have is null.
    """

    tickSize = DecimalField(
        source="tick_size",
        required=False,
        allow_null=True,
        help_text="Prices are multiples of it, in the quote asset.",
    )
    stepSize = DecimalField(
        source="step_size",
        required=False,
        allow_null=True,
        help_text="Quantities are multiples of it, in the base asset.",
    )
    minQuantity = DecimalField(source="min_quantity", required=False, allow_null=True)
    minNotional = DecimalField(source="min_notional", required=False, allow_null=True)


class PerformanceSerializer(Serializer[Any]):
    """What came of a bot. Money is in the quote asset of its symbol, fees deducted."""

    bot_config_id = IntegerField()
    total_trades = IntegerField()
    total_buy = IntegerField()
    total_sell = IntegerField()
    total_pnl = DecimalField(
        allow_null=True,
        help_text="What was sold for, less what was bought for and total_fees. Coins "
        "that are held are not in it. Null where a stored number is NaN.",
    )
    total_realized_pnl = DecimalField(
        allow_null=True,
        help_text="The sum of realized_pnl. Null where one is NaN.",
    )
    last_trade = UTCDateTimeField(allow_null=True)
    first_trade = UTCDateTimeField(allow_null=True)
    total_fees = DecimalField(
        allow_null=True,
        help_text="Commissions in the quote asset, and those in coins at their price.",
    )
    trades_with_other_fees = IntegerField(
        help_text="Trades whose commission was in a third asset: not deducted."
    )
    winning_trades = IntegerField()
    losing_trades = IntegerField()
    win_rate = DecimalField(
        allow_null=True, help_text="Winning trades of all that won or lost, in percent."
    )
    profit_factor = DecimalField(
        allow_null=True, help_text="Gross profit by gross loss; null without a loss."
    )
    best_trade = DecimalField(allow_null=True, help_text="The highest realized_pnl.")
    worst_trade = DecimalField(allow_null=True, help_text="The lowest realized_pnl.")


class SummarySerializer(PerformanceSerializer):
    """What came of a bot, and which it is."""

    name = CharField()
    symbol = CharField()
    strategy = CharField()
