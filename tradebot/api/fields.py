"""Serializer fields: what the API accepts for each kind of value, and how it answers.

Numbers may come as numbers or as text, times with a zone, without one (UTC) or as Unix
timestamps. What is refused is repeated where it can be no secret: not by CharField.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext, gettext_lazy
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

MAX_INTEGER = 2**31 - 1
MIN_INTEGER = -(2**31)
MAX_DIGITS = 30  # on either side of the decimal point
MAX_LENGTH = 255  # characters of a text
_SHOWN = 50  # characters, or digits, of what is refused

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,100}(?:\.[0-9]{0,100})?|\.[0-9]{1,100})(?:[eE][+-]?[0-9]{1,6})?"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Timestamps beyond this one (the year 2603) count milliseconds.
_MAX_SECONDS = 2 * 10**10
_MAX_TIMESTAMP = 10**15


def parse_number(data: Any) -> Decimal | None:
    """Return the finite number that ``data`` is or spells, or None."""
    if isinstance(data, bool):
        return None
    if isinstance(data, int | Decimal):
        return Decimal(data)
    if isinstance(data, str) and _NUMBER.fullmatch(data.strip()):
        return Decimal(data.strip())
    return None


def validate_positive(value: Decimal) -> None:
    """Raise ValidationError unless ``value`` is above zero."""
    if value <= 0:
        raise serializers.ValidationError(
            gettext("Ensure this value is greater than 0."), code="min_value"
        )


class _RepeatingField(serializers.Field[Any, Any, Any, Any]):
    """Say in each message what was sent. Not for what may hold a secret."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        try:
            return super().run_validation(data)
        except serializers.ValidationError as error:
            sent = _spelled(data)
            if sent is None or not isinstance(error.detail, list):
                raise
            told = gettext("You sent %(value)s.") % {"value": sent}
            raise serializers.ValidationError(
                [
                    ErrorDetail(
                        " ".join((str(each), told)), getattr(each, "code", None)
                    )
                    for each in error.detail
                ]
            ) from error


def _spelled(data: Any) -> str | None:
    """Return the beginning of a text, a number, true or false; None for all else."""
    match data:
        case bool():
            return str(data).lower()
        case str():
            # Escaped: it may have what cannot be encoded.
            text = repr(data[:_SHOWN])
            return text if len(data) <= _SHOWN else f"{text}…"
        # Longer ones may take too long to write out.
        case Decimal() | int() if -(10**_SHOWN) < data < 10**_SHOWN:
            text = str(data)
            return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return None


class CharField(serializers.CharField):
    """A text of at most 255 characters unless told otherwise, kept as it is."""

    default_error_messages = {"invalid": gettext_lazy("A text is required.")}

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", MAX_LENGTH)
        super().__init__(trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class ChoiceField(_RepeatingField, serializers.ChoiceField):
    """One of some words. Stored words that are none of them stay readable."""

    default_error_messages = {
        "invalid_choice": gettext_lazy("Choose one of: {choices}.")
    }

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", choices=", ".join(map(str, self.choices)))
        return data


class BooleanField(_RepeatingField, serializers.BooleanField):
    """True or false; also 1 and 0, and words such as "yes" and "off"."""

    # REST framework would read "" and "null" as null.
    NULL_VALUES = {None}


class IntegerField(_RepeatingField, serializers.IntegerField):
    """A whole number that fits a column of 32 bits."""

    default_error_messages = {
        "invalid": gettext_lazy("A whole number is required."),
        "out_of_range": gettext_lazy(
            "Ensure this value is between {lowest} and {highest}."
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        bounds = {"min_value": MIN_INTEGER, "max_value": MAX_INTEGER}
        super().__init__(**(bounds | kwargs))

    def to_internal_value(self, data: Any) -> int:
        number = parse_number(data)
        if number is None:
            self.fail("invalid")
        # Before int(), which would write out all the zeros of 1e999999.
        if not MIN_INTEGER <= number <= MAX_INTEGER:
            self.fail("out_of_range", lowest=MIN_INTEGER, highest=MAX_INTEGER)
        if number != number.to_integral_value():
            self.fail("invalid")
        return int(number)


class DecimalField(_RepeatingField, serializers.DecimalField):
    """An exact number of at most 30 digits on either side of the point."""

    default_error_messages = {
        "invalid": gettext_lazy("A number is required."),
        "too_many_digits": gettext_lazy(
            "Ensure this number has at most {max_digits} digits on either side of the "
            "decimal point."
        ),
    }

    def __init__(self, **kwargs: Any) -> None:
        kwargs |= {"max_digits": None, "decimal_places": None}
        super().__init__(**kwargs)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        # Not DecimalField's, which takes "" for null.
        return serializers.Field.validate_empty_values(self, data)

    def to_internal_value(self, data: Any) -> Decimal:
        number = parse_number(data)
        if number is None:
            self.fail("invalid")
        exponent = number.as_tuple().exponent
        assert isinstance(exponent, int)  # noqa: S101  # the number is finite
        if number.adjusted() >= MAX_DIGITS or exponent < -MAX_DIGITS:
            self.fail("too_many_digits", max_digits=MAX_DIGITS)
        # Without an exponent and a signed zero, as PostgreSQL will return it.
        return Decimal(format(number if number else number.copy_abs(), "f"))


class UTCDateTimeField(_RepeatingField, serializers.DateTimeField):
    """A time: ISO 8601, in UTC where it names no zone, or a Unix timestamp.

    Answered in UTC with ``+00:00``.
    """

    default_error_messages = {
        "invalid": gettext_lazy(
            "A time is required: ISO 8601, such as 2025-01-31T12:00:00+00:00, or a "
            "Unix timestamp."
        ),
    }

    def to_internal_value(self, data: Any) -> dt.datetime:
        number = parse_number(data)
        try:
            if number is not None:
                return self._from_timestamp(number)
            if isinstance(data, str):
                moment = dt.datetime.fromisoformat(data.strip())
                if moment.tzinfo is None:
                    return moment.replace(tzinfo=dt.UTC)
                return moment.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            pass  # no such time, or one outside the years 1 to 9999
        return self.fail("invalid")

    def _from_timestamp(self, number: Decimal) -> dt.datetime:
        # Not abs(), which fails for numbers of a million digits.
        if not -_MAX_TIMESTAMP <= number <= _MAX_TIMESTAMP:
            raise OverflowError
        if not -_MAX_SECONDS <= number <= _MAX_SECONDS:
            number /= 1000
        return _EPOCH + dt.timedelta(microseconds=int(number * 10**6))

    def to_representation(self, value: dt.datetime) -> str:
        return value.astimezone(dt.UTC).isoformat()


class EndOfTimeRangeField(UTCDateTimeField):
    """The last moment of a range of time; a day means its end."""

    def to_internal_value(self, data: Any) -> dt.datetime:
        moment = super().to_internal_value(data)
        if isinstance(data, str) and _DAY.fullmatch(data.strip()):
            return dt.datetime.combine(moment, dt.time.max, dt.UTC)
        return moment


@extend_schema_field({"type": "integer"})
class OwnedPrimaryKeyField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of an object of the caller; those of others are as unknown as missing."""

    default_error_messages = {
        "does_not_exist": gettext_lazy("You have nothing with this id."),
        "incorrect_type": gettext_lazy("A whole number is required."),
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(pk_field=IntegerField(), **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        # Not RelatedField's, which takes "" for null.
        return serializers.Field.run_validation(self, data)

    def get_queryset(self) -> Any:
        queryset = super().get_queryset()
        return queryset.filter(  # type: ignore[union-attr]  # these have one
            user=self.context["request"].user
        )
