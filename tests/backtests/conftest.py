"""Candles that backtests are tried on."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pytest
from django.utils import timezone

from trading.candles import candle_row, candles_store
from trading.models import CandleSeries, CandleSource

DAY = dt.datetime(2025, 1, 31, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def candles(db: None) -> None:
    make_candles()


def make_candles() -> None:
    """Store waves of ten days, with what the averages need before them."""
    series = CandleSeries(
        market="spot", symbol="BTCUSDT", interval="1h", source=CandleSource.IMPORTED
    )

    def price(hour: int) -> Decimal:
        return Decimal(f"{100 + 5 * math.sin(hour / 7) + hour / 100:.2f}")

    rows = [
        candle_row(
            DAY + hour * HOUR,
            [
                str(price(hour)),
                str(max(price(hour), price(hour + 1)) + 1),
                str(min(price(hour), price(hour + 1)) - 1),
                str(price(hour + 1)),
                "10",
            ],
            length=HOUR,
            now=timezone.now(),
        )
        for hour in range(-250, 240)
    ]
    candles_store(series, rows)
