"""The admin of what workers do: runs and sweeps, waiting, at work or ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from backtests.models import BacktestRun, Sweep, SweepQuerySet, SweepResult
from backtests.runs import OPEN, run_cancel
from backtests.sweeps import ranked, sweep_cancel, sweep_warnings
from tradebot.adminsite.actions import confirmation
from tradebot.adminsite.base import NOTHING, RecordAdmin, indented_json
from tradebot.adminsite.filters import DateRangeFilter
from tradebot.errors import ConflictError

_RESULTS_SHOWN = 20
_FIGURES = (
    "total_return",
    "max_drawdown",
    "sharpe",
    "total_trades",
    "win_rate",
    "profit_factor",
)


class QueueAdmin(RecordAdmin):
    """What was asked of workers, the last one first.

    Lists show little of ``request`` and fetch no more of it.
    """

    list_select_related = ("user",)
    list_filter = (
        "status",
        ("user", AutocompleteSelectFilter),
        ("created_at", DateRangeFilter),
    )
    search_fields = ("user__email",)
    ordering = ("-id",)
    show_full_result_count = False
    actions = ("cancel",)
    cancel_one: Callable[[Any], None]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        told = {
            f"asked_{name}": KeyTextTransform(name, "request")
            for name in ("symbol", "interval", "market_type", "rank_by")
        }
        rows: Any = super().get_queryset(request)
        found: models.QuerySet[Any] = rows.defer("request").annotate(**told)
        return found

    @admin.display(description="of")
    def subject(self, row: Any) -> str:
        words = (row.asked_symbol, row.asked_interval, row.asked_market_type)
        return " ".join(filter(None, words)) or NOTHING

    @admin.display(description="request")
    def request_text(self, row: Any) -> str:
        return indented_json(row.request)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        # has_change_permission() says no to everybody: nobody edits what was asked.
        options = self.opts
        return request.user.has_perm(f"{options.app_label}.change_{options.model_name}")

    @admin.action(description="Cancel selected ones", permissions=["cancel"])
    def cancel(
        self, request: HttpRequest, queryset: models.QuerySet[Any]
    ) -> HttpResponse | None:
        waiting = queryset.filter(status__in=OPEN).order_by("pk")
        question = (
            "Cancel these? Those that wait end at once, those that are at work as soon "
            "as their workers notice. They do not go on."
        )
        if page := confirmation(self, request, waiting, question):
            return page
        cancelled = 0
        for row in waiting:
            try:
                self.cancel_one(row)
            except ConflictError as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)
                continue
            self.log_change(request, row, [{"changed": {"fields": ["Status"]}}])
            cancelled += 1
        self.message_user(request, f"Cancelled: {cancelled}.", messages.SUCCESS)
        return None


@admin.register(BacktestRun)
class BacktestRunAdmin(QueueAdmin):
    """Backtests that were asked for, and what became of them."""

    list_display = (
        "id",
        "status",
        "subject",
        "user",
        "done",
        "worker",
        "beat_at",
        "error",
        "created_at",
        "started_at",
        "finished_at",
        "result",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "user",
                    "status",
                    "done",
                    "cancel_asked",
                    "error",
                    "error_code",
                    "result",
                )
            },
        ),
        ("Worker", {"fields": ("worker", "beat_at")}),
        ("Times", {"fields": ("created_at", "started_at", "finished_at")}),
        ("Request", {"fields": ("request_text",)}),
    )
    readonly_fields = ("done", "result", "request_text")

    def cancel_one(self, row: BacktestRun) -> None:
        run_cancel(run=row)

    @admin.display(description="progress", ordering="progress")
    def done(self, run: BacktestRun) -> str:
        return f"{run.progress:.0%}"

    @admin.display(description="backtest")
    def result(self, run: BacktestRun) -> str:
        # By its key: the row may have megabytes.
        if run.backtest_id is None:
            return NOTHING
        page = reverse("admin:backtests_backtest_change", args=[run.backtest_id])
        return format_html('<a href="{}" class="link">{}</a>', page, run.backtest_id)


@admin.register(Sweep)
class SweepAdmin(QueueAdmin):
    """Grids of parameters, how far they are, and the best that was found."""

    list_display = (
        "id",
        "status",
        "subject",
        "user",
        "combinations",
        "tried",
        "rank_by",
        "error",
        "created_at",
        "started_at",
        "finished_at",
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "user",
                    "status",
                    "combinations",
                    "tried",
                    "rank_by",
                    "error",
                    "error_code",
                )
            },
        ),
        ("Times", {"fields": ("created_at", "started_at", "finished_at")}),
        ("Results", {"fields": ("warnings", "results", "walk_forward")}),
        ("Summary", {"classes": ("collapse",), "fields": ("summary_text",)}),
        ("Request", {"fields": ("request_text", "fingerprint")}),
    )
    readonly_fields = (
        "tried",
        "rank_by",
        "warnings",
        "results",
        "walk_forward",
        "summary_text",
        "request_text",
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows: Any = super().get_queryset(request)
        found: SweepQuerySet = rows.defer("summary").with_tried()
        return found

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Not one by one, as Django has it: a sweep may have 100,000 results.
        found = SweepResult.objects.filter(sweep__in=[sweep.pk for sweep in objs])
        counts = {"sweeps": len(objs), "results of sweeps": found.count()}
        return [str(sweep) for sweep in objs], counts, set(), []

    def cancel_one(self, row: Sweep) -> None:
        sweep_cancel(sweep=row)

    @admin.display(description="tried", ordering="tried")
    def tried(self, sweep: Any) -> int:
        return int(sweep.tried)

    @admin.display(description="ranked by")
    def rank_by(self, sweep: Any) -> str:
        return sweep.asked_rank_by or NOTHING

    @admin.display(description="warnings")
    def warnings(self, sweep: Sweep) -> str:
        told = ((warning,) for warning in sweep_warnings(sweep))
        return format_html_join("", "<p>{}</p>", told) or NOTHING

    @admin.display(description="the best")
    def results(self, sweep: Any) -> str:
        rows = list(ranked(sweep).defer("train_scores")[:_RESULTS_SHOWN])
        swept = list(rows[0].parameters) if rows else []
        return render_to_string(
            "backtests/sweep_results.html",
            {
                "rows": [
                    {
                        "number": row.number,
                        "cells": (
                            *(_told(row.parameters[name]) for name in swept),
                            _figure(row.score),
                            *(_figure(row.metrics.get(name)) for name in _FIGURES),
                        ),
                    }
                    for row in rows
                ],
                "swept": swept,
                "figures": [name.replace("_", " ") for name in _FIGURES],
                "tried": sweep.tried,
            },
        )

    @admin.display(description="walking forward")
    def walk_forward(self, sweep: Sweep) -> str:
        walked = sweep.summary and sweep.summary["walk_forward"]
        if not walked:
            return NOTHING
        windows = [
            {
                "train": "–".join(one["train"]),
                "test": "–".join(one["test"]),
                "chosen": " ".join(
                    f"{name}={_told(value)}"
                    for name, value in (one["parameters"] or {}).items()
                ),
                "train_score": _figure(one["train_score"]),
                "test_score": _figure(one["test_score"]),
                "test_return": _figure(one["test_return"]),
                "test_trades": one["test_trades"],
            }
            for one in walked["windows"]
        ]
        return render_to_string(
            "backtests/sweep_walk.html",
            {
                "windows": windows,
                "total_return": _figure(walked["total_return"]),
                "sharpe": _figure(walked["sharpe"]),
            },
        )

    @admin.display(description="summary")
    def summary_text(self, sweep: Sweep) -> str:
        return indented_json(sweep.summary)


def _figure(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"


def _told(value: Any) -> str:
    """Return a parameter of a grid; null is one that is not used."""
    return "off" if value is None else str(value)
