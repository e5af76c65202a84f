"""The last price that is known of a symbol, for whoever only shows what it is worth."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import NamedTuple

from django.db.models import OuterRef

from bots.models import BotConfig, PositionType
from trading.models import Candle, CandleSeries, Interval


class Close(NamedTuple):
    """What a candle closed at, in the quote asset, and when."""

    price: Decimal
    at: dt.datetime


def last_close(bot: BotConfig) -> Close | None:
    """Return the last stored close of what a bot trades; None where there is none.

    Nothing is fetched: it is as old as it is.
    """
    candles = Candle.objects.filter(series=OuterRef("pk")).order_by("-open_time")
    series = CandleSeries.objects.filter(
        market=bot.position_type or PositionType.SPOT,
        symbol=bot.symbol.replace("/", "").upper(),
        interval__in={Interval.M1.value, bot.timeframe},
        seed=bot.candle_seed,
    ).annotate(
        opened=candles.values("open_time")[:1], close=candles.values("close")[:1]
    )
    closes = [
        Close(one.close, one.opened + one.length)
        for one in series
        if one.opened is not None
    ]
    return max(closes, key=lambda close: close.at, default=None)
