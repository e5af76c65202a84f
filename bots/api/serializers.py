"""Shapes of bots and of their states.

The bounds hold for what a request writes. Rows of the old program that break them are
answered as they are.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from apikeys.models import APIKey
from bots.models import BotConfig, BotState, PositionType
from tradebot.api.fields import (
    ChoiceField,
    IntegerField,
    OwnedPrimaryKeyField,
    UTCDateTimeField,
)
from tradebot.api.serializers import ModelSerializer

TIMEFRAMES = ["1m", "5m", "15m", "30m", "1h", "4h", "1d"]

_PERIOD = {"min_value": 1}
_NOT_NEGATIVE = {"min_value": 0}
_RSI_LEVEL = {"min_value": 0, "max_value": 100}


def _within(lowest: int | str, highest: int | str) -> dict[str, Any]:
    return {"min_value": Decimal(lowest), "max_value": Decimal(highest)}


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
        ]
        extra_kwargs = {
            "name": {"min_length": 3},
            "initial_capital": _NOT_NEGATIVE,
            "daily_target_perc": _NOT_NEGATIVE,
            "max_daily_loss_perc": _NOT_NEGATIVE,
            "position_size_perc": _NOT_NEGATIVE,
            "position_size_fixed": _NOT_NEGATIVE,
            "stop_loss_perc": _NOT_NEGATIVE,
            "take_profit_perc": _NOT_NEGATIVE,
            "trailing_stop_perc": _NOT_NEGATIVE,
            "ema_fast": _PERIOD,
            "ema_slow": _PERIOD,
            "rsi_period": _PERIOD,
            "rsi_oversold": _RSI_LEVEL,
            "rsi_overbought": _RSI_LEVEL,
            "max_daily_trades": {"min_value": 1, "max_value": 100},
            "check_interval_seconds": {"min_value": 30, "max_value": 3600},
            "ema_period": _PERIOD,
            "custom_ema_fast": {"min_value": 3, "max_value": 50},
            "custom_ema_slow": {"min_value": 10, "max_value": 200},
            "custom_rsi_period": {"min_value": 5, "max_value": 50},
            "custom_rsi_oversold": {"min_value": 20, "max_value": 40},
            "custom_rsi_overbought": {"min_value": 60, "max_value": 80},
            "custom_stop_loss": _within("0.1", 10),
            "custom_take_profit": _within("0.1", 20),
            "custom_trailing_stop": _within("0.1", 5),
            "transfer_amount": {"min_value": 10},
            "leverage": {"min_value": 1, "max_value": 125},
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
        ]
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
