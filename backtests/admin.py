"""The admin of backtests: to be read."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from unfold.contrib.filters.admin import AutocompleteSelectFilter

import backtests.queue_admin  # noqa: F401
from backtests.charts import picture_draw, prices_find
from backtests.models import Backtest
from backtests.shapes import as_svg
from backtests.warnings import backtest_warnings
from tradebot.adminsite.base import NOTHING, RecordAdmin, indented_json
from tradebot.adminsite.filters import AmountRangeFilter
from trading.candles import EPOCH

_TRADES_SHOWN = 500
_LOST = format_html(
    "<p>{}</p>",
    "The candles of this run are not all stored any more: this is without the price "
    "and the trades on it.",
)


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
                    "strategy",
                    "test_mode",
                    "data_source",
                    "seed",
                )
            },
        ),
        ("Picture", {"fields": ("picture",)}),
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
                    "warnings",
                )
            },
        ),
        ("Figures", {"classes": ("collapse",), "fields": ("metrics_text",)}),
        ("Parameters", {"fields": ("parameters_text",)}),
        ("By month", {"classes": ("collapse",), "fields": ("monthly_results_text",)}),
        ("By day", {"classes": ("collapse",), "fields": ("daily_results_text",)}),
        ("Trades", {"classes": ("collapse",), "fields": ("trades_text",)}),
        (
            "Record",
            {
                "fields": (
                    *("engine_version", "filters_text", "candles_text", "fingerprint"),
                    *("created_at", "updated_at"),
                )
            },
        ),
    )
    readonly_fields = (
        "picture",
        "warnings",
        "filters_text",
        "candles_text",
        "metrics_text",
        "parameters_text",
        "monthly_results_text",
        "daily_results_text",
        "trades_text",
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        # Megabytes of results for each row of a list that shows none of them.
        return (
            super()
            .get_queryset(request)
            .defer("parameters", "daily_results", "monthly_results")
            .defer("metrics", "equity_curve", "trades")
        )

    @admin.display(description="price, equity, drawdown")
    def picture(self, backtest: Backtest) -> str:
        prices = prices_find(backtest)
        drawn = picture_draw(backtest, prices)
        if drawn is None:
            return NOTHING
        lost = "" if prices else _LOST
        return format_html("{}{}", lost, as_svg(drawn))

    def warnings(self, backtest: Backtest) -> str:
        told = backtest_warnings(backtest)
        return format_html_join(mark_safe("<br>"), "{}", ([one] for one in told))

    @admin.display(description="filters of the exchange")
    def filters_text(self, backtest: Backtest) -> str:
        return indented_json(backtest.filters)

    @admin.display(description="candles")
    def candles_text(self, backtest: Backtest) -> str:
        return indented_json(backtest.candles)

    @admin.display(description="figures")
    def metrics_text(self, backtest: Backtest) -> str:
        return indented_json(backtest.metrics)

    @admin.display(description="parameters")
    def parameters_text(self, backtest: Backtest) -> str:
        return indented_json(backtest.parameters)

    @admin.display(description="monthly results")
    def monthly_results_text(self, backtest: Backtest) -> str:
        return indented_json(backtest.monthly_results)

    @admin.display(description="daily results")
    def daily_results_text(self, backtest: Backtest) -> str:
        return indented_json(backtest.daily_results)

    @admin.display(description="trades")
    def trades_text(self, backtest: Backtest) -> str:
        if backtest.trades is None:
            return NOTHING
        return render_to_string(
            "backtests/trades.html",
            {
                "trades": [_trade(trade) for trade in backtest.trades[:_TRADES_SHOWN]],
                "total": len(backtest.trades),
            },
        )


def _trade(trade: dict[str, Any]) -> dict[str, Any]:
    """Return a trade with its times as such."""
    times = {
        name: EPOCH + dt.timedelta(milliseconds=trade[name])
        for name in ("entry_time", "exit_time")
    }
    return {**trade, **times}
