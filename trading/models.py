"""Trades: orders as they were filled. Symbols: what can be traded. Candles: prices."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import models

from bots.models import BotConfig, PositionType
from tradebot.fields import ExactDecimalField, TransactionNow
from trading.notifications import models as _  # noqa: F401  # Django looks here


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
            # Not unique=True: that would add an index for LIKE.
            models.UniqueConstraint(
                fields=["binance_order_id"],
                name="trades_binance_order_id_key",
                violation_error_message="A trade with this order id exists.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.symbol} (trade {self.pk})"


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


class Interval(models.TextChoices):
    """How long a candle lasts: the intervals of Binance that have one length."""

    M1 = "1m", "1m"
    M3 = "3m", "3m"
    M5 = "5m", "5m"
    M15 = "15m", "15m"
    M30 = "30m", "30m"
    H1 = "1h", "1h"
    H2 = "2h", "2h"
    H4 = "4h", "4h"
    H6 = "6h", "6h"
    H8 = "8h", "8h"
    H12 = "12h", "12h"
    D1 = "1d", "1d"

    @property
    def length(self) -> dt.timedelta:
        unit = {"m": "minutes", "h": "hours", "d": "days"}[self.value[-1]]
        return dt.timedelta(**{unit: int(self.value[:-1])})


class CandleSource(models.TextChoices):
    """Where the candles of a series come from."""

    EXCHANGE = "exchange"  # downloaded, all of them
    IMPORTED = "imported"  # at least some of them from a file
    SYNTHETIC = "synthetic"  # made up from a seed


class CandleSeries(models.Model):
    """What candles belong to. Of a pair and an interval there is one real series at
    most, and beside it one synthetic series for each seed.

    ``base_price`` is what the first candle of a synthetic series opens at, in the quote
    asset.
    """

    market = models.CharField(choices=PositionType)
    symbol = models.CharField()
    interval = models.CharField(choices=Interval)
    source = models.CharField(choices=CandleSource)
    seed = models.BigIntegerField(null=True)
    base_price = ExactDecimalField(null=True)

    class Meta:
        db_table = "candle_series"
        verbose_name_plural = "candle series"
        constraints = [
            models.UniqueConstraint(
                fields=["market", "symbol", "interval"],
                condition=models.Q(seed__isnull=True),
                name="candle_series_real_key",
            ),
            models.UniqueConstraint(
                fields=["market", "symbol", "interval", "seed"],
                name="candle_series_synthetic_key",
            ),
            models.CheckConstraint(
                condition=models.Q(market__in=["spot", "futures"]),
                name="candle_series_market",
                violation_error_message="market must be spot or futures",
            ),
            # So that nothing made up passes for real.
            models.CheckConstraint(
                condition=models.Q(
                    source="synthetic", seed__isnull=False, base_price__isnull=False
                )
                | models.Q(
                    source__in=["exchange", "imported"],
                    seed__isnull=True,
                    base_price__isnull=True,
                ),
                name="candle_series_source",
                violation_error_message="only synthetic series have a seed",
            ),
        ]

    def __str__(self) -> str:
        made = f", synthetic, seed {self.seed}" if self.is_synthetic else ""
        return f"{self.symbol} {self.interval} ({self.market}{made})"

    @property
    def is_synthetic(self) -> bool:
        return self.source == CandleSource.SYNTHETIC

    @property
    def length(self) -> dt.timedelta:
        """How long a candle lasts."""
        return Interval(self.interval).length


class Candle(models.Model):
    """One closed candle. Prices are in the quote asset, ``volume`` is what the source
    says: base coins on Binance.

    Read and written in bulk by ``trading.candles``. Its key is the only index, in which
    a range of a series is one piece.
    """

    pk = models.CompositePrimaryKey("series", "open_time")
    # Without a constraint: PostgreSQL would look for the series of each row, which
    # takes as long as to write it. Who writes has locked the series instead.
    series = models.ForeignKey(
        CandleSeries,
        on_delete=models.CASCADE,
        related_name="candles",
        db_index=False,
        db_constraint=False,
    )
    open_time = models.DateTimeField()
    open = ExactDecimalField()
    high = ExactDecimalField()
    low = ExactDecimalField()
    close = ExactDecimalField()
    volume = ExactDecimalField()

    class Meta:
        db_table = "candles"

    def __str__(self) -> str:
        return f"{self.series_id} {self.open_time:%Y-%m-%d %H:%M}"
