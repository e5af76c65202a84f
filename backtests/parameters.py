"""The documented parameters of a backtest, and what the engine is told by them.

Percentages here are ratios there: 0.5 is a stop of half a percent.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from rest_framework import serializers

from bots.models import PositionType
from tradebot.api.fields import (
    BooleanField,
    ChoiceField,
    DecimalField,
    IntegerField,
    validate_positive,
)
from trading.models import FINEST_STEP, Symbol

if TYPE_CHECKING:
    from trading.engine.rules import Rules
    from trading.engine.strategies.base import Strategy

STRATEGIES = ("ema", "multi", "simple")
_PERCENT = Decimal(100)
_BASIS_POINTS = Decimal(10_000)
_MAKER_FEES = {
    PositionType.SPOT: Decimal("0.0002"),
    PositionType.FUTURES: Decimal("0.0001"),
}


def _percent(default: str, most: int, **kwargs: Any) -> DecimalField:
    return DecimalField(
        default=Decimal(default),
        max_value=most,
        validators=[validate_positive],
        **kwargs,
    )


class ParametersSerializer(serializers.Serializer[Any]):
    """What is tried. Percentages unless said otherwise; null switches a limit off."""

    strategy = ChoiceField(choices=STRATEGIES, default="multi")
    initial_capital = DecimalField(
        default=Decimal(1000), max_value=10**9, validators=[validate_positive]
    )
    daily_target = _percent("3.0", 100, allow_null=True)
    max_daily_loss = _percent("1.0", 100, allow_null=True)
    stop_loss = _percent("0.5", 50)
    take_profit = _percent("1.5", 500, allow_null=True)
    trailing_stop = DecimalField(
        default=Decimal("0.3"),
        min_value=0,
        max_value=100,
        allow_null=True,
        help_text="0 and null switch it off.",
    )
    risk_per_trade = _percent(
        "2.0", 100, help_text="Percent of the capital that is lost at the stop."
    )
    leverage = IntegerField(default=1, min_value=1, max_value=125)
    allow_short = BooleanField(default=False)
    close_at_day_end = BooleanField(default=False)
    max_daily_trades = IntegerField(default=5, min_value=1, max_value=50)
    ema_fast = IntegerField(default=8, min_value=2, max_value=200)
    ema_slow = IntegerField(default=21, min_value=2, max_value=200)
    rsi_period = IntegerField(default=7, min_value=2, max_value=100)
    rsi_oversold = DecimalField(default=Decimal(35), min_value=0, max_value=100)
    rsi_overbought = DecimalField(default=Decimal(65), min_value=0, max_value=100)
    maker_fee = DecimalField(
        required=False, min_value=0, max_value=Decimal("0.05"), help_text="A fraction."
    )
    taker_fee = DecimalField(
        default=Decimal("0.0004"),
        min_value=0,
        max_value=Decimal("0.05"),
        help_text="A fraction.",
    )
    slippage_bps = DecimalField(
        default=Decimal(1), min_value=0, max_value=1000, help_text="Basis points."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["ema_fast"] >= attrs["ema_slow"]:
            raise _wrong("ema_fast", gettext("Ensure this is less than ema_slow."))
        if not 0 < attrs["rsi_oversold"] < attrs["rsi_overbought"] < 100:
            raise _wrong(
                "rsi_oversold",
                gettext("Ensure 0 < rsi_oversold < rsi_overbought < 100."),
            )
        if self.context["market"] == PositionType.SPOT:
            for name, plain in (("leverage", 1), ("allow_short", False)):
                if attrs[name] != plain:
                    raise _wrong(name, gettext("Only futures have this."))
        attrs.setdefault("maker_fee", _MAKER_FEES[self.context["market"]])
        return attrs


def _wrong(field: str, message: str) -> serializers.ValidationError:
    return serializers.ValidationError({field: message}, code="inconsistent")


def stored_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return checked parameters as they are stored: no types but those of JSON."""
    return {
        name: float(value) if isinstance(value, Decimal) else value
        for name, value in values.items()
    }


def read_parameters(market: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored parameters with exact numbers."""
    serializer = ParametersSerializer(
        data={name: exact(value) for name, value in stored.items()},
        context={"market": market},
    )
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


def exact(value: Any) -> Any:
    """Return a value of JSON as the fields of a serializer take it: floats spelled."""
    return repr(value) if isinstance(value, float) else value


def filters_now(market: str, symbol: str) -> dict[str, str]:
    """Return what the exchange wants of an order, as far as it is known here.

    It may change: who wants the same result again keeps it.
    """
    row = Symbol.objects.filter(market=market, symbol=symbol).first()
    if row is None:
        return {"step": f"{FINEST_STEP:f}"}
    wanted = {
        "step": row.step_size or FINEST_STEP,
        "min_units": row.min_quantity,
        "min_notional": row.min_notional,
    }
    return {name: f"{one:f}" for name, one in wanted.items() if one is not None}


def engine_strategy(values: dict[str, Any]) -> Strategy:
    """Return the strategy with its parameters."""
    from trading.engine.strategies import STRATEGIES as BY_NAME  # NumPy comes with it
    from trading.engine.strategies.base import EmaRsiParameters

    strategy = BY_NAME[values["strategy"]]
    if not issubclass(strategy, EmaRsiParameters):
        return strategy()
    return strategy(
        ema_fast=values["ema_fast"],
        ema_slow=values["ema_slow"],
        rsi_period=values["rsi_period"],
        rsi_oversold=float(values["rsi_oversold"]),
        rsi_overbought=float(values["rsi_overbought"]),
    )


def engine_rules(
    market: str, values: dict[str, Any], filters: Mapping[str, str]
) -> Rules:
    """Return the rules; ``filters`` are those of ``filters_now``, then or now.

    Raises EngineError for what does not go together.
    """
    from trading.engine.rules import Rules  # NumPy comes with it

    def ratio(name: str) -> Decimal | None:
        return values[name] / _PERCENT if values[name] else None

    return Rules(
        initial_capital=values["initial_capital"],
        market=market,  # type: ignore[arg-type]  # one of the two
        allow_short=values["allow_short"],
        leverage=values["leverage"],
        size_by="risk",
        size=values["risk_per_trade"] / _PERCENT,
        stop_loss=ratio("stop_loss"),
        take_profit=ratio("take_profit"),
        trailing_stop=ratio("trailing_stop"),
        maker_fee=values["maker_fee"],
        taker_fee=values["taker_fee"],
        slippage=values["slippage_bps"] / _BASIS_POINTS,
        max_daily_trades=values["max_daily_trades"],
        max_daily_loss=ratio("max_daily_loss"),
        daily_target=ratio("daily_target"),
        close_at_day_end=values["close_at_day_end"],
        **{name: Decimal(value) for name, value in filters.items()},
    )
