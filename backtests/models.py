"""Backtests: parameters that were tried on past candles, and what came of them.

A run is asked for (``BacktestRun``), waits for a worker and leads to a ``Backtest``.
Many at once are a ``Sweep``: workers take its pieces, and leave results of each.
"""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce

from bots.models import PositionType
from tradebot.fields import TransactionNow
from trading.models import CandleSource


class Backtest(models.Model):
    """One finished run. Money is in the quote asset; rates and returns in percent.

    The figures are floats, as documented: they are statistics, not balances.
    """

    id = models.AutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="backtests",
        db_index=False,
    )
    symbol = models.CharField()
    interval = models.CharField()
    # Days as YYYY-MM-DD.
    start_date = models.CharField()
    end_date = models.CharField()
    parameters = models.JSONField()
    initial_capital = models.FloatField()
    final_capital = models.FloatField()
    total_return = models.FloatField()
    total_trades = models.IntegerField()
    winning_trades = models.IntegerField()
    losing_trades = models.IntegerField()
    win_rate = models.FloatField()
    total_fees = models.FloatField()
    avg_profit = models.FloatField("average profit")
    # Of the days and months in which trades ended:
    # [{"date", "pnl_pct", "trades", "capital"}] and {"YYYY-MM": {"pnl_pct", "trades"}}
    daily_results = models.JSONField(null=True, blank=True)
    monthly_results = models.JSONField(null=True, blank=True)
    # "true" where the candles were made up; of the old program, where the user had no
    # usable API key. Text, as documented.
    test_mode = models.CharField()
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    updated_at = models.DateTimeField(auto_now=True, db_default=TransactionNow())
    market_type = models.CharField(choices=PositionType, db_default="spot")
    # From here on: null for results of the old program.
    strategy = models.CharField(null=True, blank=True)
    # By name, as the API answers them; null where there is no such figure.
    metrics = models.JSONField(null=True, blank=True)
    # A list of [opened at (ms UTC), equity], thinned out for a picture.
    equity_curve = models.JSONField(null=True, blank=True)
    # A list of objects, in the order of their exits.
    trades = models.JSONField(null=True, blank=True)
    # What is made up is marked wherever it is shown.
    data_source = models.CharField(null=True, blank=True, choices=CandleSource)
    seed = models.BigIntegerField(null=True, blank=True)
    engine_version = models.IntegerField(null=True, blank=True)
    # What the exchange wanted of an order then: "step", "min_units", "min_notional", as
    # texts of numbers.
    filters = models.JSONField(null=True, blank=True)
    # The candles, those to warm up included: "first" and "end" (ISO times; the last one
    # closed at the end), "count", "sha256".
    candles = models.JSONField(null=True, blank=True)
    # SHA-256 of all that decides about a result: runs with the same have the same.
    fingerprint = models.CharField(null=True, blank=True)

    class Meta:
        db_table = "backtests"
        indexes = [
            models.Index(fields=["user"], name="ix_backtests_user_id"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(market_type__in=["spot", "futures"]),
                name="backtests_market_type",
                violation_error_message="market_type must be spot or futures",
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.interval} {self.start_date}–{self.end_date}"


class BacktestRun(models.Model):
    """A backtest that was asked for, from then until there is a result or an error.

    ``request`` is what was asked, valid and with all defaults.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="backtest_runs",
        db_index=False,
    )
    request = models.JSONField()
    status = models.CharField(choices=Status, default=Status.QUEUED)
    progress = models.FloatField(default=0)  # from 0 to 1
    cancel_asked = models.BooleanField(default=False)
    error = models.TextField(null=True, blank=True)
    error_code = models.CharField(null=True, blank=True)
    # That of errors: of who asked for it.
    language = models.CharField(db_default="en")
    # Who works on it, and when they last said so; and how many have begun to.
    worker = models.CharField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    attempts = models.SmallIntegerField(db_default=0)
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    backtest = models.OneToOneField(
        Backtest,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="run",
    )

    class Meta:
        db_table = "backtest_runs"
        indexes = [
            models.Index(fields=["user"], name="backtest_runs_user"),
            # What workers and limits look for, however many are finished.
            models.Index(
                fields=["id"],
                name="backtest_runs_open",
                condition=models.Q(status__in=["queued", "running"]),
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["queued", "running", "done", "failed", "cancelled"]
                ),
                name="backtest_runs_status",
            )
        ]

    def __str__(self) -> str:
        return f"run {self.pk}: {self.status}"


class SweepQuerySet(models.QuerySet["Sweep"]):
    def with_tried(self) -> Self:
        """Annotate how many combinations have been ``tried``."""
        done = models.Q(pieces__status=SweepPiece.Status.DONE)
        pieces = models.F("pieces__stop") - models.F("pieces__start")
        return self.annotate(
            tried=Coalesce(models.Sum(pieces, filter=done), 0),
        )


class Sweep(models.Model):
    """A grid of parameters, every combination of which is tried.

    ``request`` is what was asked, valid and with all defaults; it decides about every
    result. Nobody's (``user`` is null) is what the operator asks for.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="sweeps",
        null=True,
        blank=True,
        db_index=False,
    )
    request = models.JSONField()
    status = models.CharField(choices=Status, default=Status.QUEUED)
    combinations = models.IntegerField()
    # Of the candles and the engine: with others a worker does not go on.
    fingerprint = models.CharField(null=True, blank=True)
    # What the best is worth, and what walking forward made; once it is done.
    summary = models.JSONField(null=True, blank=True)
    error = models.TextField(null=True, blank=True)
    error_code = models.CharField(null=True, blank=True)
    # That of errors: of who asked for it.
    language = models.CharField(db_default="en")
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = SweepQuerySet.as_manager()

    class Meta:
        db_table = "sweeps"
        indexes = [models.Index(fields=["user"], name="sweeps_user")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["queued", "running", "done", "failed", "cancelled"]
                ),
                name="sweeps_status",
            )
        ]

    def __str__(self) -> str:
        return f"sweep {self.pk}: {self.status}"


class SweepPiece(models.Model):
    """Combinations of a sweep that one worker tries, from ``start`` up to ``stop``.

    The last piece has none: it sums up what the others have found.
    """

    class Status(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        DONE = "done"

    sweep = models.ForeignKey(
        Sweep, on_delete=models.CASCADE, related_name="pieces", db_index=False
    )
    start = models.IntegerField()
    stop = models.IntegerField()
    status = models.CharField(choices=Status, default=Status.QUEUED)
    # Who works on it, and when they last said so; and how many have begun to.
    worker = models.CharField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    attempts = models.SmallIntegerField(db_default=0)

    class Meta:
        db_table = "sweep_pieces"
        indexes = [
            # What workers look for, however many are finished.
            models.Index(
                fields=["id"],
                name="sweep_pieces_open",
                condition=models.Q(status__in=["queued", "running"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["sweep", "start"], name="sweep_pieces_start"
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["queued", "running", "done"]),
                name="sweep_pieces_status",
            ),
        ]

    def __str__(self) -> str:
        return f"piece {self.start}–{self.stop} of sweep {self.sweep_id}"

    @property
    def is_summary(self) -> bool:
        return self.start == self.stop


class SweepResult(models.Model):
    """What came of one combination; ``number`` is its place in the grid."""

    sweep = models.ForeignKey(
        Sweep, on_delete=models.CASCADE, related_name="results", db_index=False
    )
    number = models.IntegerField()
    # Of the grid alone; the others are in the request.
    parameters = models.JSONField()
    # The figure that is ranked by; null where there is none.
    score = models.FloatField(null=True, blank=True)
    metrics = models.JSONField()
    # The same figure in each period to train in, where the sweep walks forward.
    train_scores = models.JSONField(null=True, blank=True)

    class Meta:
        db_table = "sweep_results"
        constraints = [
            models.UniqueConstraint(
                fields=["sweep", "number"], name="sweep_results_number"
            )
        ]

    def __str__(self) -> str:
        return f"result {self.number} of sweep {self.sweep_id}"
