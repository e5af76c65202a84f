"""Trades: orders as they were filled."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from bots.models import BotConfig
from tradebot.fields import ExactDecimalField, TransactionNow


class Trade(models.Model):
    """One filled order. ``quantity_filled`` counts base coins, ``price`` and
    ``quote_quantity_filled`` are in the quote asset.
    """

    id = models.AutoField(primary_key=True)
    bot_config = models.ForeignKey(
        BotConfig,
        verbose_name="bot",
        on_delete=models.CASCADE,
        related_name="trades",
        db_index=False,
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="trades",
        db_index=False,
    )
    binance_order_id = models.CharField("Binance order id", null=True, blank=True)
    symbol = models.CharField()
    side = models.CharField()
    order_type = models.CharField()
    price = ExactDecimalField()
    quantity_filled = ExactDecimalField()
    quote_quantity_filled = ExactDecimalField()
    commission_amount = ExactDecimalField(null=True, blank=True)
    commission_asset = models.CharField(null=True, blank=True)
    pnl = ExactDecimalField("PnL", null=True, blank=True)
    timestamp = models.DateTimeField(db_default=TransactionNow())
    realized_pnl = ExactDecimalField("realized PnL", null=True, blank=True)

    class Meta:
        db_table = "trades"
        indexes = [
            models.Index(
                fields=["bot_config", "timestamp"], name="trades_bot_config_timestamp"
            ),
            models.Index(fields=["user", "timestamp"], name="trades_user_timestamp"),
        ]
        constraints = [
            # The id first: the admin looks for it alone.
            models.UniqueConstraint(
                fields=["binance_order_id", "bot_config", "symbol"],
                name="trades_order_key",
                violation_error_message="The bot has a trade with this order id.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} (trade {self.pk})"
