"""Candles made up from a seed, for trying things out where real ones do not matter.

Made only when asked for, and kept in series that say so. The price is a random walk
without drift; the same seed, base price and first candle make the same again.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from tradebot.errors import ConflictError
from trading.candles import (
    CandleRow,
    Period,
    Stored,
    candle_row,
    candles_store,
    extent_read,
    series_find,
    spell_time,
)
from trading.models import CandleSeries

_DAILY_VOLATILITY = 0.04  # standard deviation of the logarithm of a day's return
_DIGITS = 7  # of a base price, as exchanges quote
_VOLUME = 10.0  # median of a candle, in base coins


def candles_make(wanted: CandleSeries, period: Period, *, now: dt.datetime) -> Stored:
    """Store the candles of a synthetic series up to the end of a period.

    A series goes on where it ends; its first candle stays the first. Raises
    ConflictError where it has another base price or begins later than the period.
    """
    series = series_find(
        market=wanted.market,
        symbol=wanted.symbol,
        interval=wanted.interval,
        seed=wanted.seed,
    )
    if series.pk and series.base_price != wanted.base_price:
        raise ConflictError(
            f"{series} is made with --base-price {series.base_price}, not "
            f"{wanted.base_price}; take that one, or another --seed."
        )
    extent = extent_read(series)
    start = extent.span.start if extent.span else period.start
    if period.start < start:
        raise ConflictError(
            f"{series} begins at {spell_time(start)}, from where the others follow; "
            "take another --seed to begin earlier."
        )
    walk = _walk(wanted, Period(start, period.end), now=now)
    if extent.span is None:
        return candles_store(wanted, walk)
    # What is there is walked through for the dice, and not written again.
    end = extent.span.end
    stored = candles_store(wanted, (row for row in walk if row.open_time >= end))
    return replace(stored, unchanged=extent.rows)


def _walk(
    series: CandleSeries, period: Period, *, now: dt.datetime
) -> Iterator[CandleRow]:
    """Yield the candles of a period, the first of which opens at the base price."""
    assert series.base_price is not None  # noqa: S101  # it is synthetic
    dice = random.Random(series.seed)  # noqa: S311  # nothing to be kept secret
    # The variance of a walk grows with time.
    volatility = _DAILY_VOLATILITY * math.sqrt(series.length / dt.timedelta(days=1))
    places = max(_DIGITS - 1 - series.base_price.adjusted(), 0)
    tick = 10.0**-places
    opened = _price(float(series.base_price), places, tick)
    time = period.start
    while time < period.end:
        price = float(opened)
        end = price * math.exp(volatility * dice.gauss(0, 1) - volatility**2 / 2)
        high = max(price, end) * math.exp(volatility * abs(dice.gauss(0, 0.5)))
        low = min(price, end) * math.exp(-volatility * abs(dice.gauss(0, 0.5)))
        volume = _VOLUME * math.exp(dice.gauss(0, 1))
        closed = _price(end, places, tick)
        yield candle_row(
            time,
            [
                opened,
                _price(high, places, tick),
                _price(low, places, tick),
                closed,
                f"{volume:.4f}",
            ],
            length=series.length,
            now=now,
        )
        opened = closed
        time += series.length


def _price(value: float, places: int, tick: float) -> str:
    """Return a price as exchanges write it; one tick is the least."""
    return f"{max(value, tick):.{places}f}"


def check_base_price(value: Decimal) -> bool:
    """Say whether a walk from there stays among the numbers that are stored."""
    return value.is_finite() and Decimal("1e-9") <= value <= Decimal("1e9")
