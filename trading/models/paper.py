"""The books of the simulated exchange: what it would know if it were a real one.

Apart from ``orders``, which are a bot's own: the two are reconciled like any exchange.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from bots.models import BotConfig
from tradebot.fields import ExactDecimalField
from trading.exchanges.base import OrderKind, ReportStatus, Side


class PaperOrder(models.Model):
    """An order that the simulated exchange has taken. Each bot has an account.

    ``commission`` is in the quote asset.
    """

    bot = models.ForeignKey(
        BotConfig, on_delete=models.CASCADE, related_name="paper_orders", db_index=False
    )
    client_id = models.CharField()
    # What cancels this one when it executes.
    pair_id = models.CharField(null=True)
    symbol = models.CharField()
    side = models.CharField(choices=[(side.value, side.value) for side in Side])
    kind = models.CharField(choices=[(kind.value, kind.value) for kind in OrderKind])
    quantity = ExactDecimalField()
    price = ExactDecimalField(null=True)
    reduce_only = models.BooleanField(default=False)
    is_liquidation = models.BooleanField(default=False)
    status = models.CharField(
        choices=[(status.value, status.value) for status in ReportStatus]
    )
    fill_price = ExactDecimalField(null=True)
    commission = ExactDecimalField(default=Decimal(0))
    placed_at = models.DateTimeField()
    filled_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "paper_orders"
        indexes = [
            models.Index(
                fields=["bot"],
                condition=models.Q(status="OPEN"),
                name="paper_orders_open",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["bot", "client_id"], name="paper_orders_client_id_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} ({self.status})"


class PaperAccount(models.Model):
    """What a bot holds on the simulated exchange, of the one symbol that it trades.

    ``quantity`` counts base coins and is negative for a short; ``realized`` is what the
    account has gained since it was opened, after commissions, in the quote asset.
    """

    bot = models.OneToOneField(
        BotConfig,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="paper_account",
    )
    quantity = ExactDecimalField(default=Decimal(0))
    entry_price = ExactDecimalField(default=Decimal(0))
    realized = ExactDecimalField(default=Decimal(0))
    # Candles that open before it have been held against what rests.
    matched_until = models.DateTimeField()

    class Meta:
        db_table = "paper_accounts"

    def __str__(self) -> str:
        return f"{self.quantity} at {self.entry_price}"

    def trade(self, quantity: Decimal, price: Decimal) -> None:
        """Buy, or with a negative quantity sell; not beyond what closes a position."""
        if self.quantity * quantity >= 0:
            cost = self.quantity * self.entry_price + quantity * price
            self.entry_price = cost / (self.quantity + quantity)
        else:
            self.realized -= quantity * (price - self.entry_price)
        self.quantity += quantity
