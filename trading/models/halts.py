"""The kill switch: while a halt is not lifted, no bot opens a position."""

from __future__ import annotations

from django.db import models

from tradebot.fields import TransactionNow


class TradingHalt(models.Model):
    """Somebody has stopped all bots. The row stays when the halt is lifted."""

    halted_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    halted_by = models.CharField()  # an e-mail address, or the system user
    reason = models.TextField(blank=True, db_default="")
    # The orders that protect positions stay where they are.
    keeps_protection = models.BooleanField(default=False, db_default=False)
    lifted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "trading_halts"

    def __str__(self) -> str:
        return f"{self.halted_at:%Y-%m-%d %H:%M} by {self.halted_by}"
