"""Candles: the prices of the past."""

from __future__ import annotations

import datetime as dt

from django.db import models

from bots.models import PositionType
from tradebot.fields import ExactDecimalField


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
