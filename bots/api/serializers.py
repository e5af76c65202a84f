"""Shapes of bots and of their states.

The bounds hold for what a request writes. Rows of the old program that break them are
answered as they are.
"""

from __future__ import annotations

from typing import Any

from rest_framework.serializers import Serializer

from apikeys.models import APIKey, Environment
from bots.bounds import BOUNDS, MIN_NAME_LENGTH, TIMEFRAMES
from bots.models import BotConfig, BotState, PositionType
from tradebot.api.fields import (
    BooleanField,
    CharField,
    ChoiceField,
    IntegerField,
    OwnedPrimaryKeyField,
    UTCDateTimeField,
)
from tradebot.api.serializers import ModelSerializer

_NOT_NEGATIVE = {"min_value": 0}


class BotConfigFilters(Serializer[Any]):
    """Which bots to list: all that match."""

    symbol = CharField(required=False)
    timeframe = ChoiceField(choices=TIMEFRAMES, required=False)
    strategy = CharField(required=False)
    position_type = ChoiceField(choices=PositionType.choices, required=False)
    environment = ChoiceField(choices=Environment.choices, required=False)
    is_active = BooleanField(required=False)


class BotStateFilters(Serializer[Any]):
    """Which states to list: all that match."""

    status = CharField(required=False)
    in_position = BooleanField(required=False)


class BotConfigSerializer(ModelSerializer[BotConfig]):
    """A bot. ``*_perc`` are percentages: 2 means 2 %."""

    timeframe = ChoiceField(choices=TIMEFRAMES)
    api_key_id = OwnedPrimaryKeyField(
        source="api_key",
        queryset=APIKey.objects.only("pk"),
        required=False,
        allow_null=True,
    )
    position_type = ChoiceField(
        choices=PositionType.choices, required=False, allow_null=True
    )
    total_trades = IntegerField(read_only=True)
    environment = ChoiceField(
        choices=Environment.choices,
        required=False,
        help_text="Where its orders go. On live they do after a confirmation only.",
    )
    candle_seed = IntegerField(
        read_only=True,
        allow_null=True,
        help_text="Where set, its candles are made up from it.",
    )

    class Meta:
        model = BotConfig
        fields = [
            "name",
            "symbol",
            "timeframe",
            "is_active",
            "initial_capital",
            "daily_target_perc",
            "max_daily_loss_perc",
            "position_size_perc",
            "position_size_fixed",
            "stop_loss_perc",
            "take_profit_perc",
            "trailing_stop_perc",
            "trailing_stop_active",
            "ema_fast",
            "ema_slow",
            "rsi_period",
            "rsi_oversold",
            "rsi_overbought",
            "max_daily_trades",
            "check_interval_seconds",
            "api_key_id",
            "strategy",
            "ema_period",
            "custom_ema_fast",
            "custom_ema_slow",
            "custom_rsi_period",
            "custom_rsi_oversold",
            "custom_rsi_overbought",
            "custom_stop_loss",
            "custom_take_profit",
            "custom_trailing_stop",
            "position_type",
            "transfer_amount",
            "auto_transfer_funds",
            "leverage",
            "id",
            "created_at",
            "updated_at",
            "total_trades",
            "environment",
            "allow_short",
            "live_confirmed_at",
            "candle_seed",
        ]
        read_only_fields = ["live_confirmed_at"]
        extra_kwargs = {
            "name": {"min_length": MIN_NAME_LENGTH},
            **{
                name: {"min_value": bounds.lowest, "max_value": bounds.highest}
                for name, bounds in BOUNDS.items()
            },
        }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.instance is None:
            # A new bot gets the default for null, a stored one keeps the null.
            return {name: value for name, value in attrs.items() if value is not None}
        return attrs


class BotStateSerializer(ModelSerializer[BotState]):
    """Where a bot stands; the id is that of the bot."""

    id = IntegerField(source="pk", read_only=True)
    last_updated_at = UTCDateTimeField(required=False, allow_null=True)

    class Meta:
        model = BotState
        fields = [
            "status",
            "in_position",
            "entry_price",
            "current_position_size_coins",
            "trailing_stop_price",
            "max_price_since_entry",
            "take_profit_price",
            "stop_loss_price",
            "daily_pnl",
            "daily_trades_count",
            "last_run_at",
            "last_error_message",
            "last_updated_at",
            "id",
            "reason",
            "paused_until",
        ]
        read_only_fields = ["reason", "paused_until"]
        extra_kwargs = {
            "entry_price": _NOT_NEGATIVE,
            "current_position_size_coins": _NOT_NEGATIVE,
            "trailing_stop_price": _NOT_NEGATIVE,
            "max_price_since_entry": _NOT_NEGATIVE,
            "take_profit_price": _NOT_NEGATIVE,
            "stop_loss_price": _NOT_NEGATIVE,
            "daily_trades_count": _NOT_NEGATIVE,
            "last_error_message": {"max_length": 10_000},
        }


class NewBotStateSerializer(BotStateSerializer):
    """The first state of a bot."""

    bot_config_id = IntegerField(write_only=True)
    last_updated_at = UTCDateTimeField(read_only=True)

    class Meta(BotStateSerializer.Meta):
        fields = ["bot_config_id", *BotStateSerializer.Meta.fields]

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in attrs.items() if value is not None}
