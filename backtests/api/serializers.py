"""Shapes of backtests and of what is told beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backtests.models import Backtest, BacktestRun
from backtests.warnings import backtest_warnings
from bots.models import PositionType
from tradebot.api.fields import (
    MAX_INTEGER,
    MIN_INTEGER,
    CharField,
    ChoiceField,
    UTCDateTimeField,
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


class RunSerializer(ModelSerializer[BacktestRun]):
    """A run that was asked for; ``backtest_id`` is its result, once there is one."""

    backtest_id = serializers.IntegerField(allow_null=True, read_only=True)
    request = serializers.DictField(read_only=True)
    progress = serializers.FloatField(read_only=True, help_text="From 0 to 1.")

    class Meta:
        model = BacktestRun
        fields = [
            "id",
            "status",
            "progress",
            "error",
            "request",
            "backtest_id",
            "created_at",
            "started_at",
            "finished_at",
        ]


class CacheEntrySerializer(serializers.Serializer[Any]):
    symbol = serializers.CharField()
    interval = serializers.CharField()
    start_date = serializers.CharField()
    end_date = serializers.CharField()
    market_type = serializers.CharField()
    cached_at = UTCDateTimeField(help_text="When the last candle closed.")
    rows = serializers.IntegerField()
    cache_key = serializers.CharField()


class CacheInfoSerializer(serializers.Serializer[Any]):
    total_files = serializers.IntegerField()
    cached_symbols = serializers.ListField(child=serializers.CharField())
    total_size_mb = serializers.FloatField(help_text="About.")
    cache_entries = CacheEntrySerializer(many=True)


class CacheInfoAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success"])
    data = CacheInfoSerializer()  # type: ignore[assignment]  # a field


class RunAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["queued"])
    data = RunSerializer()  # type: ignore[assignment]  # a field


@extend_schema_field({"type": ["number", "null"]})
class FigureField(serializers.Field):
    """One of the metrics, by its name; null where there is none."""

    def __init__(self) -> None:
        super().__init__(source="metrics", read_only=True)

    def get_attribute(self, instance: Backtest) -> Any:
        return (instance.metrics or {}).get(self.field_name)

    def to_representation(self, value: Any) -> Any:
        return value


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
    max_drawdown = FigureField()
    sharpe = FigureField()
    sortino = FigureField()
    profit_factor = FigureField()
    cagr = FigureField()
    metrics = serializers.SerializerMethodField()
    warnings = serializers.SerializerMethodField(
        help_text="What to know before anything is made of the result."
    )
    equity_curve = serializers.SerializerMethodField()
    filters = serializers.SerializerMethodField()
    candles = serializers.SerializerMethodField()

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
            "strategy",
            "max_drawdown",
            "sharpe",
            "sortino",
            "profit_factor",
            "cagr",
            "metrics",
            "warnings",
            "equity_curve",
            "data_source",
            "seed",
            "engine_version",
            "filters",
            "candles",
            "fingerprint",
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

    @extend_schema_field({"type": ["object", "null"]})
    def get_metrics(self, backtest: Backtest) -> Any:
        return backtest.metrics

    @extend_schema_field(
        {
            "type": ["array", "null"],
            "items": {"type": "array", "items": {"type": "number"}},
            "description": "Pairs of a time in ms UTC and the equity then.",
        }
    )
    def get_equity_curve(self, backtest: Backtest) -> Any:
        return backtest.equity_curve

    def get_warnings(self, backtest: Backtest) -> list[str]:
        return backtest_warnings(backtest)

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "additionalProperties": {"type": "string"},
            "description": "What the exchange wanted of an order then.",
        }
    )
    def get_filters(self, backtest: Backtest) -> Any:
        return backtest.filters

    @extend_schema_field(
        {
            "type": ["object", "null"],
            "description": "What it was tried on: first, end, count, sha256.",
        }
    )
    def get_candles(self, backtest: Backtest) -> Any:
        return backtest.candles

    def get_market_type(self, backtest: Backtest) -> str:
        return backtest.market_type.lower()

    def get_leverage(self, backtest: Backtest) -> int:
        """Return the leverage with which the run traded."""
        if self.get_market_type(backtest) != PositionType.FUTURES:
            return 1
        leverage = _whole(_parameters(backtest).get("leverage"), _DEFAULT_LEVERAGE)
        return leverage if 1 <= leverage <= _MAX_LEVERAGE else _DEFAULT_LEVERAGE


class RunResultSerializer(BacktestSerializer):
    """The result of a run that has just ended, as old clients know it: unrounded."""

    total_return = serializers.FloatField()  # type: ignore[assignment]  # not to two places
    win_rate = serializers.FloatField()  # type: ignore[assignment]  # the same
    test_mode = serializers.SerializerMethodField()

    class Meta(BacktestSerializer.Meta):
        fields = [*BacktestSerializer.Meta.fields]

    def get_test_mode(self, backtest: Backtest) -> bool:
        return backtest.test_mode == "true"


class RunResultAnswer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=["success"])
    data = RunResultSerializer()  # type: ignore[assignment]  # a field


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
