"""Backtests: parameters that were tried on past candles, and what came of them."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from bots.models import PositionType
from tradebot.fields import TransactionNow


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
    # [{"date", "pnl_pct", "trades", "capital"}] and {"YYYY-MM": {"pnl_pct", "trades"}}
    daily_results = models.JSONField(null=True, blank=True)
    monthly_results = models.JSONField(null=True, blank=True)
    # "true" where the user had no usable API key; text, as documented.
    test_mode = models.CharField()
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    updated_at = models.DateTimeField(auto_now=True, db_default=TransactionNow())
    market_type = models.CharField(choices=PositionType, db_default="spot")

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
