"""Shapes of stored backtests."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backtests.models import Backtest, BacktestRun
from backtests.parameters import ParametersSerializer, stored_parameters
from backtests.warnings import backtest_warnings
from bots.models import PositionType
from tradebot.api.fields import (
    MAX_INTEGER,
    MIN_INTEGER,
    CharField,
    ChoiceField,
    IntegerField,
    UTCDateTimeField,
    parse_number,
)
from tradebot.api.json import encode
from tradebot.api.serializers import ModelSerializer
from trading.api.serializers import SymbolSerializer
from trading.models import CandleSource, Interval

MOST_CANDLES = 200_000
FIRST_DAY = dt.date(1970, 1, 1)

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


class PairField(CharField):
    """A symbol as the exchange writes it: in capitals, without a slash."""

    def to_internal_value(self, data: Any) -> str:
        given = super().to_internal_value(data)
        text = given.upper().replace("/", "")
        if not text.isalnum() or not given.isascii():
            raise serializers.ValidationError(
                gettext("A symbol such as BTCUSDT is required."), code="invalid"
            )
        return text


class BacktestRequest(serializers.Serializer[Any]):
    """What to try: a strategy's parameters on the candles of some days.

    ``most_candles`` in the context is another limit than that of the API, or None.
    """

    parameters_class: ClassVar[type[ParametersSerializer]] = ParametersSerializer
    symbol = PairField(max_length=64)
    interval = ChoiceField(choices=Interval.values)
    start_date = serializers.DateField(input_formats=["%Y-%m-%d"])
    end_date = serializers.DateField(
        input_formats=["%Y-%m-%d"], help_text="This day is tried too."
    )
    market_type = MarketTypeField(default=PositionType.SPOT)
    seed = IntegerField(
        required=False,
        allow_null=True,
        min_value=0,
        help_text="Try it on the candles that were made up from this seed.",
    )
    data_source = ChoiceField(
        choices=CandleSource.choices,
        required=False,
        help_text="To be sure of it: synthetic has a seed, the others have none.",
    )
    parameters = serializers.DictField(
        help_text="Percentages. What is not known is stored as it is, with a warning."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Return what is stored: with all defaults, and no types but those of JSON."""
        self.check_days(attrs)
        self.check_source(attrs)
        return {
            **attrs,
            "start_date": attrs["start_date"].isoformat(),
            "end_date": attrs["end_date"].isoformat(),
            "seed": attrs.get("seed"),
            "parameters": self._parameters(attrs["market_type"], attrs["parameters"]),
        }

    def check_days(self, attrs: dict[str, Any]) -> None:
        """Raise ValidationError where the days cannot be tried."""
        start, end = attrs["start_date"], attrs["end_date"]
        today = timezone.now().date()
        if start < FIRST_DAY:
            raise refusal(
                "start_date",
                gettext("The first day that can be tried is %(day)s.")
                % {"day": FIRST_DAY},
            )
        if end < start:
            raise refusal("end_date", gettext("This day is before start_date."))
        if start >= today:
            raise refusal("start_date", gettext("This day is not over yet."))
        if end > today:
            raise refusal("end_date", gettext("This day has not begun yet."))
        length = Interval(attrs["interval"]).length
        candles = dt.timedelta(days=(end - start).days + 1) // length
        most = self.context.get("most_candles", MOST_CANDLES)
        if most is not None and candles > most:
            raise refusal(
                "end_date",
                gettext(
                    "These are %(candles)s candles; at most %(most)s can be tried at "
                    "once. Choose fewer days or a longer interval."
                )
                % {"candles": candles, "most": most},
            )

    def check_source(self, attrs: dict[str, Any]) -> None:
        """Raise ValidationError where candles of another kind are asked for."""
        asked, seed = attrs.pop("data_source", None), attrs.get("seed")
        if asked is None:
            return
        if asked == CandleSource.SYNTHETIC and seed is None:
            raise refusal(
                "seed",
                gettext("Say the seed from which manage.py make_candles made them up."),
            )
        if asked != CandleSource.SYNTHETIC and seed is not None:
            raise refusal("seed", gettext("Candles of an exchange have no seed."))

    def _parameters(self, market: str, asked: dict[str, Any]) -> dict[str, Any]:
        known = self.parameters_class(data=asked, context={"market": market})
        if not known.is_valid():
            raise serializers.ValidationError({"parameters": known.errors})
        unknown = {name: one for name, one in asked.items() if name not in known.fields}
        return {**_as_stored(unknown), **stored_parameters(known.validated_data)}


_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # as JSON has it


def _as_stored(values: dict[str, Any]) -> Any:
    """Return values without Decimals; refuse what not every database takes."""
    content = encode(values)
    if _NUL.search(content):
        raise refusal("parameters", gettext("Null characters are not allowed."))
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        told = gettext("A number in it is too large.")
        raise refusal("parameters", told) from None


class _WebParameters(ParametersSerializer):
    """Those of the web client, which asks for a leverage on spot, too."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.context["market"] == PositionType.SPOT:
            attrs["leverage"] = 1
        return super().validate(attrs)


class RunRequest(BacktestRequest):
    """What to try, as the web client asks for it. Spot has no leverage: it is 1."""

    parameters_class = _WebParameters


def refusal(field: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({field: message}, code="refused")


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
