"""Shapes of sweeps."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from backtests.api.requests import BacktestRequest, refusal
from backtests.grids import (
    RANKINGS,
    combinations_of,
    grid_size,
    request_stored,
    windows_of,
)
from backtests.models import Sweep, SweepResult
from backtests.sweeps import sweep_warnings
from tradebot.api.fields import ChoiceField, IntegerField
from tradebot.api.serializers import ModelSerializer

MOST_COMBINATIONS = 2_000

_MOST_DAYS = 3650


class WalkForwardRequest(serializers.Serializer[Any]):
    """How many days to choose by, and how many behind them to try that choice on."""

    train_days = IntegerField(min_value=1, max_value=_MOST_DAYS)
    test_days = IntegerField(min_value=1, max_value=_MOST_DAYS)


class SweepRequest(BacktestRequest):
    """What to try: all combinations of some values of parameters.

    ``most_combinations`` in the context is another limit than that of the API.
    """

    parameters = serializers.DictField(
        default=dict, help_text="Those that are not in the grid, as for a run."
    )
    grid = serializers.DictField(
        child=serializers.ListField(allow_empty=False),
        allow_empty=False,
        help_text="By the name of a parameter: the values to try.",
    )
    walk_forward = WalkForwardRequest(required=False, allow_null=True)
    rank_by = ChoiceField(choices=RANKINGS, default="sharpe")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        self.check_days(attrs)
        self.check_source(attrs)
        if attrs["end_date"] >= timezone.now().date():
            raise refusal("end_date", gettext("This day is not over yet."))
        size = grid_size(attrs["grid"])
        most = self.context.get("most_combinations", MOST_COMBINATIONS)
        if size > most:
            raise refusal(
                "grid",
                gettext(
                    "These are %(size)s combinations; at most %(most)s can be tried. "
                    "Choose fewer values."
                )
                % {"size": size, "most": most},
            )
        request = request_stored(
            {
                **attrs,
                "start_date": attrs["start_date"].isoformat(),
                "end_date": attrs["end_date"].isoformat(),
                "seed": attrs.get("seed"),
                "walk_forward": attrs.get("walk_forward"),
            }
        )
        if not combinations_of(request):
            raise refusal("grid", gettext("None of these values go together."))
        if request["walk_forward"] and not windows_of(request):
            raise refusal(
                "walk_forward",
                gettext("There are fewer days than train_days and test_days."),
            )
        return request


class SweepSerializer(ModelSerializer[Sweep]):
    """A sweep that was asked for; ``summary`` is there once it is done."""

    request = serializers.DictField(read_only=True)
    tried = serializers.IntegerField(read_only=True)
    progress = serializers.SerializerMethodField(help_text="From 0 to 1.")
    summary = serializers.SerializerMethodField()
    warnings = serializers.SerializerMethodField(
        help_text="What to know before anything is made of the best result."
    )

    class Meta:
        model = Sweep
        fields = [
            "id",
            "status",
            "progress",
            "combinations",
            "tried",
            "error",
            "request",
            "summary",
            "warnings",
            "created_at",
            "started_at",
            "finished_at",
        ]

    def get_progress(self, sweep: Any) -> float:
        return float(sweep.tried / sweep.combinations)

    @extend_schema_field({"type": ["object", "null"]})
    def get_summary(self, sweep: Sweep) -> Any:
        return sweep.summary

    def get_warnings(self, sweep: Sweep) -> list[str]:
        return sweep_warnings(sweep)


class SweepResultSerializer(ModelSerializer[SweepResult]):
    """One combination: the parameters of the grid, and what came of them."""

    parameters = serializers.DictField(read_only=True)
    score = serializers.FloatField(
        read_only=True, allow_null=True, help_text="The figure that is ranked by."
    )
    metrics = serializers.DictField(read_only=True)
    train_scores = serializers.ListField(
        child=serializers.FloatField(allow_null=True), read_only=True, allow_null=True
    )

    class Meta:
        model = SweepResult
        fields = ["number", "score", "parameters", "metrics", "train_scores"]
