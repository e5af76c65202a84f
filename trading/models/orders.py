"""Orders as they were meant and sent, their fills, and the positions they make.

A trade is what the fills of an order come to, in the documented columns; nothing here
follows from trades.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from apikeys.models import Environment
from bots.models import BotConfig, PositionType
from tradebot.fields import ExactDecimalField, TransactionNow
from trading.exchanges.base import OrderKind, Side
from trading.models.trades import Trade


class Position(models.Model):
    """What a bot has bought, or sold short, until it is closed; one at a time.

    Quantities count base coins; the sums are in the quote asset, ``*_fees`` included.
    They follow from the fills of its orders (``trading.running.accounting``).
    """

    class Direction(models.TextChoices):
        LONG = "LONG", "long"
        SHORT = "SHORT", "short"

        @property
        def sign(self) -> int:
            return 1 if self is Position.Direction.LONG else -1

    class Reason(models.TextChoices):
        """Why it is closed, or to be closed."""

        SL = "SL", "stop loss"
        TRAIL = "TRAIL", "trailing stop"
        TP = "TP", "take profit"
        SIGNAL = "SIGNAL", "signal"
        LIQUIDATION = "LIQUIDATION", "liquidation"
        STOPPED = "STOPPED", "bot stopped"
        UNPROTECTED = "UNPROTECTED", "no stop could be placed"
        ELSEWHERE = "ELSEWHERE", "closed elsewhere"  # at a price that is not known

    bot = models.ForeignKey(
        BotConfig, on_delete=models.CASCADE, related_name="positions", db_index=False
    )
    environment = models.CharField(choices=Environment)
    market = models.CharField(choices=PositionType)
    symbol = models.CharField()
    direction = models.CharField(choices=Direction)
    leverage = models.IntegerField()
    entry_quantity = ExactDecimalField(default=Decimal(0))
    entry_quote = ExactDecimalField(default=Decimal(0))
    entry_fees = ExactDecimalField(default=Decimal(0))
    exit_quantity = ExactDecimalField(default=Decimal(0))
    exit_quote = ExactDecimalField(default=Decimal(0))
    exit_fees = ExactDecimalField(default=Decimal(0))
    # After all fees, of what is closed so far.
    realized_pnl = ExactDecimalField("realized PnL", default=Decimal(0))
    # Prices: where its stop and its target were at the entry, null where it has none,
    # and the best one since.
    stop_price = ExactDecimalField(null=True)
    target_price = ExactDecimalField(null=True)
    best_price = ExactDecimalField()
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    reason = models.CharField(null=True, choices=Reason)

    class Meta:
        db_table = "positions"
        indexes = [
            models.Index(fields=["bot", "closed_at"], name="positions_bot_closed_at"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["bot"],
                condition=models.Q(closed_at__isnull=True),
                name="positions_open_key",
            ),
            models.CheckConstraint(
                condition=models.Q(direction__in=["LONG", "SHORT"]),
                name="positions_direction",
                violation_error_message="direction must be LONG or SHORT",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.quantity.normalize():f} {self.symbol}"

    @property
    def sign(self) -> int:
        """1 for long, -1 for short."""
        return Position.Direction(self.direction).sign

    @property
    def quantity(self) -> Decimal:
        """What is still open, in base coins."""
        return self.entry_quantity - self.exit_quantity or Decimal(0)

    @property
    def entry_price(self) -> Decimal:
        """The average of the entry, in the quote asset."""
        return self.entry_quote / self.entry_quantity

    def unrealized_pnl(self, price: Decimal) -> Decimal:
        """Return what the open rest gains at a price, in the quote, before fees."""
        if not self.quantity:
            return Decimal(0)
        return self.sign * (price - self.entry_price) * self.quantity


class Order(models.Model):
    """One order, from the intent, which is stored before it is sent, to its end.

    ``price`` is the trigger of a STOP, the limit of a LIMIT.
    """

    class Role(models.TextChoices):
        ENTRY = "ENTRY", "entry"
        STOP = "STOP", "protective stop"
        TARGET = "TARGET", "take profit"
        EXIT = "EXIT", "exit"
        LIQUIDATION = "LIQUIDATION", "liquidation"  # by the exchange

    class Status(models.TextChoices):
        NEW = "NEW", "about to be sent"
        UNKNOWN = "UNKNOWN", "sent, not known whether taken"
        OPEN = "OPEN", "open"
        PARTIAL = "PARTIAL", "filled in part"
        FILLED = "FILLED", "filled"
        CANCELED = "CANCELED", "canceled"
        REJECTED = "REJECTED", "rejected"
        LOST = "LOST", "never arrived"

    UNSETTLED = (Status.NEW, Status.UNKNOWN)
    UNFINISHED = (*UNSETTLED, Status.OPEN, Status.PARTIAL)

    bot = models.ForeignKey(
        BotConfig, on_delete=models.CASCADE, related_name="orders", db_index=False
    )
    position = models.ForeignKey(
        Position, on_delete=models.CASCADE, null=True, related_name="orders"
    )
    # What its fills come to; trades without an order are not the engine's.
    trade = models.OneToOneField(
        Trade, on_delete=models.SET_NULL, null=True, related_name="order"
    )
    environment = models.CharField(choices=Environment)
    market = models.CharField(choices=PositionType)
    symbol = models.CharField()
    client_id = models.CharField()
    exchange_id = models.CharField(null=True)
    role = models.CharField(choices=Role)
    side = models.CharField(choices=[(side.value, side.value) for side in Side])
    kind = models.CharField(choices=[(kind.value, kind.value) for kind in OrderKind])
    quantity = ExactDecimalField()
    price = ExactDecimalField(null=True)
    reduce_only = models.BooleanField(default=False)
    status = models.CharField(choices=Status, default=Status.NEW)
    error = models.TextField(null=True)
    # Opening time of the candle that it was decided on.
    candle_at = models.DateTimeField()
    # The exchange takes it for ``exchanges.base.ACCEPTED_FOR`` from then on.
    signed_at = models.DateTimeField()
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    updated_at = models.DateTimeField(auto_now=True, db_default=TransactionNow())

    class Meta:
        db_table = "orders"
        indexes = [
            models.Index(fields=["bot", "created_at"], name="orders_bot_created_at"),
            models.Index(
                fields=["bot"],
                condition=models.Q(status__in=["NEW", "UNKNOWN", "OPEN", "PARTIAL"]),
                name="orders_unfinished",
            ),
        ]
        constraints = [
            # Two that mean the same order cannot both be stored, so not sent either.
            models.UniqueConstraint(fields=["client_id"], name="orders_client_id_key"),
            models.CheckConstraint(
                condition=models.Q(side__in=["BUY", "SELL"]), name="orders_side"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.side} {self.quantity} {self.symbol} ({self.status})"

    @property
    def is_finished(self) -> bool:
        return self.status not in Order.UNFINISHED


class Fill(models.Model):
    """One execution of an order.

    ``commission_quote`` is the commission in the quote asset, at the price of then.
    """

    order = models.ForeignKey(
        Order, on_delete=models.CASCADE, related_name="fills", db_index=False
    )
    trade_id = models.CharField()
    price = ExactDecimalField()
    quantity = ExactDecimalField()
    commission = ExactDecimalField()
    commission_asset = models.CharField()
    commission_quote = ExactDecimalField()
    filled_at = models.DateTimeField()

    class Meta:
        db_table = "fills"
        constraints = [
            models.UniqueConstraint(
                fields=["order", "trade_id"], name="fills_order_trade_id_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} at {self.price}"
