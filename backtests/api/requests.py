"""What a backtest is asked for with, as the API takes it and the commands do."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any, ClassVar

import msgspec
from django.utils import timezone
from django.utils.translation import gettext
from rest_framework import serializers

from backtests.parameters import ParametersSerializer, stored_parameters
from bots.models import PositionType
from tradebot.api.fields import CharField, ChoiceField, IntegerField
from tradebot.api.json import encode
from trading.models import CandleSource, Interval

MOST_CANDLES = 200_000
FIRST_DAY = dt.date(1970, 1, 1)


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
        input_formats=["%Y-%m-%d"],
        help_text="This day (UTC) is tried too, as far as its candles have closed.",
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
        if end > today + dt.timedelta(days=1):  # which has begun somewhere
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
