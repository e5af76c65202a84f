"""Filters of change lists."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from unfold.contrib.filters.admin import RangeDateFilter, RangeNumericFilter

from tradebot.api.fields import MAX_DIGITS


class NullIsNoFilter(admin.SimpleListFilter):
    """A filter by a nullable boolean, ``parameter_name``, in which null means no."""

    parameter_name: str

    def lookups(
        self, request: HttpRequest, model_admin: Any
    ) -> tuple[tuple[str, str], ...]:
        return (("yes", "Yes"), ("no", "No"))

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        is_true = {self.parameter_name: True}
        if self.value() == "yes":
            return queryset.filter(**is_true)
        if self.value() == "no":
            return queryset.exclude(**is_true)
        return queryset


class ActiveFilter(NullIsNoFilter):
    title = "active"
    parameter_name = "is_active"


class DateRangeFilter(RangeDateFilter):  # type: ignore[misc]  # untyped
    """Whole days in UTC, the last one included."""

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        for end, lookup, time in (
            ("from", "gte", dt.time.min),
            ("to", "lte", dt.time.max),
        ):
            text = self.used_parameters.get(f"{self.parameter_name}_{end}")
            if not text:
                continue
            try:
                day = dt.date.fromisoformat(text)
            except ValueError:
                return _refuse(
                    request, queryset, f"“{text}” is no date. Write it as 2025-12-31."
                )
            moment = dt.datetime.combine(day, time, dt.UTC)
            queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": moment})
        return queryset


class AmountRangeFilter(RangeNumericFilter):  # type: ignore[misc]  # untyped
    """Amounts between two, both included, compared with all their digits."""

    def queryset(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> models.QuerySet[Any]:
        # The bounds of the API.
        amount = forms.DecimalField(
            max_digits=2 * MAX_DIGITS, decimal_places=MAX_DIGITS
        )
        for end, lookup in (("from", "gte"), ("to", "lte")):
            text = self.used_parameters.get(f"{self.parameter_name}_{end}")
            if not text:
                continue
            try:
                value = amount.clean(text)
            except ValidationError as error:
                return _refuse(request, queryset, f"“{text}”: {error.messages[0]}")
            queryset = queryset.filter(**{f"{self.parameter_name}__{lookup}": value})
        return queryset


def _refuse(
    request: HttpRequest, queryset: models.QuerySet[Any], message: str
) -> models.QuerySet[Any]:
    """Say what is wrong, and show no row rather than those not asked for."""
    messages.error(request, message)
    return queryset.none()
