"""What can be traded."""

from __future__ import annotations

from decimal import Decimal

from django.db import models

from bots.models import PositionType
from tradebot.fields import ExactDecimalField

# Of quantities where the exchange is not known to have one: no coin has more digits.
FINEST_STEP = Decimal("0.00000001")


class SymbolList(models.Model):
    """The symbols of one market as a whole: how old they are, and the next try.

    Who wants to fetch them sets ``tried_at`` first, which only one can do at a time.
    """

    market = models.CharField(choices=PositionType)
    fetched_at = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    # Set by a try that failed: when the exchange may be asked again.
    retry_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "symbol_lists"
        constraints = [
            models.UniqueConstraint(fields=["market"], name="symbol_lists_market_key"),
            models.CheckConstraint(
                condition=models.Q(market__in=["spot", "futures"]),
                name="symbol_lists_market",
                violation_error_message="market must be spot or futures",
            ),
        ]

    def __str__(self) -> str:
        return self.market


class Symbol(models.Model):
    """One pair of a market, with what the exchange wants of an order for it.

    Prices are in the quote asset, quantities in the base asset. A rule that the
    exchange does not have for the pair is null.
    """

    market = models.CharField(choices=PositionType)
    symbol = models.CharField()
    base_asset = models.CharField()
    quote_asset = models.CharField()
    status = models.CharField()
    # Prices are multiples of the first, quantities of the second.
    tick_size = ExactDecimalField(null=True)
    step_size = ExactDecimalField(null=True)
    min_quantity = ExactDecimalField(null=True)
    min_notional = ExactDecimalField(null=True)

    class Meta:
        db_table = "symbols"
        constraints = [
            models.UniqueConstraint(
                fields=["market", "symbol"], name="symbols_market_symbol_key"
            ),
            models.CheckConstraint(
                condition=models.Q(market__in=["spot", "futures"]),
                name="symbols_market",
                violation_error_message="market must be spot or futures",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} ({self.market})"
