"""The admin of backtests: to be read."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from backtests.models import Backtest
from tradebot.adminsite.base import NOTHING, RecordAdmin
from tradebot.adminsite.filters import AmountRangeFilter


@admin.register(Backtest)
class BacktestAdmin(RecordAdmin):
    """Finished runs, the last one first."""

    list_display = (
        "__str__",
        "user",
        "market_type",
        "initial_capital",
        "final_capital",
        "total_return",
        "total_trades",
        "win_rate",
        "total_fees",
        "test_mode",
        "created_at",
    )
    list_select_related = ("user",)
    list_filter = (
        "market_type",
        "test_mode",
        "interval",
        "symbol",
        ("user", AutocompleteSelectFilter),
        ("total_return", AmountRangeFilter),
    )
    search_fields = ("symbol", "user__email")
    ordering = ("-id",)
    date_hierarchy = "created_at"
    show_full_result_count = False  # it would count the whole table at each search
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "user",
                    "symbol",
                    "interval",
                    "start_date",
                    "end_date",
                    "market_type",
                    "test_mode",
                )
            },
        ),
        (
            "Result",
            {
                "fields": (
                    "initial_capital",
                    "final_capital",
                    "total_return",
                    "total_trades",
                    "winning_trades",
                    "losing_trades",
                    "win_rate",
                    "total_fees",
                    "avg_profit",
                )
            },
        ),
        ("Parameters", {"fields": ("parameters_text",)}),
        ("By month", {"classes": ("collapse",), "fields": ("monthly_results_text",)}),
        ("By day", {"classes": ("collapse",), "fields": ("daily_results_text",)}),
        ("Dates", {"fields": ("created_at", "updated_at")}),
    )
    readonly_fields = ("parameters_text", "monthly_results_text", "daily_results_text")

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        # Years of daily results for each row of a list that shows none of them.
        return (
            super()
            .get_queryset(request)
            .defer("parameters", "daily_results", "monthly_results")
        )

    @admin.display(description="parameters")
    def parameters_text(self, backtest: Backtest) -> str:
        return _indented(backtest.parameters)

    @admin.display(description="monthly results")
    def monthly_results_text(self, backtest: Backtest) -> str:
        return _indented(backtest.monthly_results)

    @admin.display(description="daily results")
    def daily_results_text(self, backtest: Backtest) -> str:
        return _indented(backtest.daily_results)


def _indented(data: Any) -> str:
    if data is None:
        return NOTHING
    return format_html("<pre>{}</pre>", json.dumps(data, indent=2, ensure_ascii=False))
