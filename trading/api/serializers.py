"""Shape of trades."""

from __future__ import annotations

from typing import Any

from rest_framework.serializers import ValidationError

from tradebot.api.fields import (
    CharField,
    ChoiceField,
    DecimalField,
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
