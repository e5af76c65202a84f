"""What a sweep tries: the combinations of a grid, and the periods it walks through.

All of it follows from the request of the sweep, so that any worker finds the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from itertools import product
from math import prod
from typing import Any, NamedTuple

from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.fields import SkipField, empty

from backtests.parameters import ParametersSerializer, exact, stored_parameters

DAY = dt.timedelta(days=1)
RANKINGS = ("sharpe", "total_return", "avg_profit")

# They vary slowest: what is decided by them serves many rules.
_STRATEGY_PARAMETERS = (
    *("strategy", "ema_fast", "ema_slow"),
    *("rsi_period", "rsi_oversold", "rsi_overbought"),
)


class Combination(NamedTuple):
    """What one backtest of a sweep is told."""

    swept: dict[str, Any]  # the parameters of the grid, as they are stored
    values: dict[str, Any]  # all parameters, with exact numbers


class Days(NamedTuple):
    """Days from the first up to, and with, the last."""

    first: dt.date
    last: dt.date


class Window(NamedTuple):
    """Days to choose a combination by, and those after them to try it on."""

    train: Days
    test: Days


def request_stored(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with its parameters as they are stored.

    Raises ValidationError for a value that can never be right.
    """
    serializer = _serializer(request)
    axes = _axes(serializer, request["grid"])
    return {
        **request,
        "grid": {
            name: [stored_parameters({name: one})[name] for one in values]
            for name, values in axes.items()
        },
        "parameters": stored_parameters(_base(serializer, request, axes)),
    }


def combinations_of(request: Mapping[str, Any]) -> list[Combination]:
    """Return the combinations in their order: those whose parameters go together."""
    serializer = _serializer(request)
    axes = _axes(serializer, request["grid"])
    base = _base(serializer, request, axes)
    found = []
    for values in product(*axes.values()):
        swept = dict(zip(axes, values, strict=True))
        try:
            whole = serializer.validate({**base, **swept})
        except serializers.ValidationError:
            continue
        found.append(Combination(stored_parameters(swept), whole))
    return found


def grid_size(grid: Mapping[str, Any]) -> int:
    """Return how many combinations there are, with those that do not go together."""
    return prod(len(values) for values in grid.values())


def days_of(request: Mapping[str, Any]) -> Days:
    """Return the days of a request."""
    return Days(
        dt.date.fromisoformat(request["start_date"]),
        dt.date.fromisoformat(request["end_date"]),
    )


def windows_of(request: Mapping[str, Any]) -> list[Window]:
    """Return the periods of a sweep that walks forward; none where it does not.

    Each tests the days behind those that it trains on, and the next one begins as many
    days later: every day is tested once, but for those at the end that fill no test.
    """
    if request["walk_forward"] is None:
        return []
    train = request["walk_forward"]["train_days"] * DAY
    test = request["walk_forward"]["test_days"] * DAY
    first, last = days_of(request)
    found = []
    while first + train + test <= last + DAY:
        middle = first + train
        found.append(
            Window(Days(first, middle - DAY), Days(middle, middle + test - DAY))
        )
        first += test
    return found


def _serializer(request: Mapping[str, Any]) -> ParametersSerializer:
    return ParametersSerializer(context={"market": request["market_type"]})


def _axes(
    serializer: ParametersSerializer, grid: Mapping[str, Any]
) -> dict[str, list[Any]]:
    """Return the values of each parameter, checked; those of the strategy first."""
    axes: dict[str, list[Any]] = {}
    errors: dict[str, Any] = {}
    for name, values in grid.items():
        if name not in serializer.fields:
            errors[name] = [gettext("There is no such parameter.")]
            continue
        try:
            axes[name] = [
                serializer.fields[name].run_validation(exact(one)) for one in values
            ]
        except serializers.ValidationError as error:
            errors[name] = error.detail
            continue
        if len(set(axes[name])) < len(values):
            errors[name] = [gettext("A value is there twice.")]
    if errors:
        raise serializers.ValidationError({"grid": errors})
    order = [*_STRATEGY_PARAMETERS, *serializer.fields]
    return dict(sorted(axes.items(), key=lambda axis: order.index(axis[0])))


def _base(
    serializer: ParametersSerializer,
    request: Mapping[str, Any],
    axes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the parameters that are no axes, with defaults, each checked alone."""
    asked = request["parameters"]
    values = {}
    errors: dict[str, Any] = {
        name: [gettext("There is no such parameter.")]
        for name in asked
        if name not in serializer.fields
    }
    errors |= {
        name: [gettext("The grid has this parameter too.")]
        for name in asked
        if name in axes
    }
    for name, field in serializer.fields.items():
        if name in axes:
            continue
        try:
            values[name] = field.run_validation(exact(asked.get(name, empty)))
        except SkipField:
            continue
        except serializers.ValidationError as error:
            errors[name] = error.detail
    if errors:
        raise serializers.ValidationError({"parameters": errors})
    return values
