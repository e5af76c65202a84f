"""Shapes of stored backtests."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backtests.models import Backtest
from bots.models import PositionType
from tradebot.api.fields import (
    MAX_INTEGER,
    MIN_INTEGER,
    CharField,
    ChoiceField,
    parse_number,
)
from tradebot.api.serializers import ModelSerializer
from trading.api.serializers import SymbolSerializer

_MAX_LEVERAGE = 125
_DEFAULT_LEVERAGE = 10
_MAX_DAILY_TRADES = 50
_DEFAULT_DAILY_TRADES = 5


class PercentField(serializers.FloatField):
    """A percentage, answered to two decimal places."""

    def to_representation(self, value: float) -> float:  # type: ignore[override]  # no text
        return round(value, 2)


class BacktestFilters(serializers.Serializer[Any]):
    """Which backtests to list: all that match."""

    symbol = CharField(required=False)
    interval = CharField(required=False)
    market_type = ChoiceField(choices=PositionType.choices, required=False)


class MarketTypeField(ChoiceField):
    """spot or futures, in whatever case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=PositionType.choices, **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(
            data.lower() if isinstance(data, str) else data
        )


class BacktestRequest(serializers.Serializer[Any]):
    """What to try: a strategy's parameters on the candles of some days."""

    symbol = CharField()
    interval = CharField()
    start_date = serializers.DateField(input_formats=["%Y-%m-%d"])
    end_date = serializers.DateField(input_formats=["%Y-%m-%d"])
    market_type = MarketTypeField(default=PositionType.SPOT)
    parameters = serializers.DictField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["end_date"] < attrs["start_date"]:
            raise serializers.ValidationError(
                {"end_date": "This day is before start_date."}, code="reversed"
            )
        return attrs


class BacktestSummarySerializer(ModelSerializer[Backtest]):
    """A stored backtest in a list."""

    total_return = PercentField()
    win_rate = PercentField()

    class Meta:
        model = Backtest
        fields = [
            "id",
            "symbol",
            "interval",
            "start_date",
            "end_date",
            "total_return",
            "win_rate",
            "total_trades",
            "test_mode",
            "created_at",
        ]


class BacktestSerializer(ModelSerializer[Backtest]):
    """A stored backtest. Money is in the quote asset, returns are percentages."""

    parameters = serializers.SerializerMethodField()
    total_return = PercentField()
    win_rate = PercentField()
    daily_results = serializers.SerializerMethodField()
    monthly_results = serializers.SerializerMethodField()
    market_type = serializers.SerializerMethodField()
    leverage = serializers.SerializerMethodField()

    class Meta:
        model = Backtest
        fields = [
            "id",
            "symbol",
            "interval",
            "start_date",
            "end_date",
            "parameters",
            "initial_capital",
            "final_capital",
            "total_return",
            "total_trades",
            "winning_trades",
            "losing_trades",
            "win_rate",
            "total_fees",
            "avg_profit",
            "daily_results",
            "monthly_results",
            "test_mode",
            "market_type",
            "leverage",
            "created_at",
        ]

    def get_parameters(self, backtest: Backtest) -> dict[str, Any]:
        stored = _parameters(backtest)
        trades = _whole(stored.get("max_daily_trades"), _DEFAULT_DAILY_TRADES)
        return {
            **stored,
            "leverage": self.get_leverage(backtest),
            "max_daily_trades": min(max(trades, 1), _MAX_DAILY_TRADES),
        }

    @extend_schema_field(
        {"type": ["array", "null"], "items": {"type": "object"}},
    )
    def get_daily_results(self, backtest: Backtest) -> Any:
        return backtest.daily_results

    @extend_schema_field({"type": ["object", "null"]})
    def get_monthly_results(self, backtest: Backtest) -> Any:
        return backtest.monthly_results

    def get_market_type(self, backtest: Backtest) -> str:
        return backtest.market_type.lower()

    def get_leverage(self, backtest: Backtest) -> int:
        """Return the leverage with which the run traded."""
        if self.get_market_type(backtest) != PositionType.FUTURES:
            return 1
        leverage = _whole(_parameters(backtest).get("leverage"), _DEFAULT_LEVERAGE)
        return leverage if 1 <= leverage <= _MAX_LEVERAGE else _DEFAULT_LEVERAGE


def _parameters(backtest: Backtest) -> dict[str, Any]:
    # The column takes any JSON.
    return backtest.parameters if isinstance(backtest.parameters, dict) else {}


def _whole(value: Any, default: int) -> int:
    """Return the integer part of a number or of the text of one, within 32 bits."""
    number = parse_number(str(value))
    if number is None:
        return default
    # Before int(), which would write out all the zeros of 1e999999.
    return int(min(max(number, Decimal(MIN_INTEGER)), Decimal(MAX_INTEGER)))


class BacktestListAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success"])
    data = BacktestSummarySerializer(many=True)  # type: ignore[assignment]  # a field


class BacktestDetailAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success"])
    data = BacktestSerializer()  # type: ignore[assignment]  # a field


class MarketSymbolSerializer(SymbolSerializer):
    market_type = CharField()


class MarketSymbolsSerializer(serializers.Serializer[Any]):
    market_type = CharField()
    symbols = MarketSymbolSerializer(many=True)
    count = serializers.IntegerField()


class MarketSymbolsAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success"])
    data = MarketSymbolsSerializer()  # type: ignore[assignment]  # a field


class BacktestDeletedAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success"])
    message = serializers.CharField()
