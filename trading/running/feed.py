"""Candles and prices for all bots of a process: fetched once for those that share them.

Only closed candles are given out. What cannot be had is an error, never made up.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from typing import NamedTuple, Protocol

from trading.candles import (
    EPOCH,
    NUMBERS,
    MissingCandlesError,
    Period,
    candles_read,
    missing_find,
    series_find,
)
from trading.downloads import candles_download
from trading.engine.candles import Candles
from trading.engine.signals import last_signal
from trading.engine.strategies.base import Strategy
from trading.exchange_info import ExchangeUnavailableError
from trading.klines import Klines
from trading.models import Interval
from trading.synthetic import candles_make

_MS = dt.timedelta(milliseconds=1)
_KEPT = 300  # candles of a series, at least: the warm-up of most strategies
_PRICE_FOR = dt.timedelta(seconds=1)
_LEFT_ALONE_FOR = dt.timedelta(seconds=10)


class Series(NamedTuple):
    """What candles belong to; ``seed`` is None for real ones."""

    market: str
    symbol: str
    interval: Interval
    seed: int | None


class Bar(NamedTuple):
    """A closed candle with exact prices, in the quote asset."""

    opened_at: dt.datetime
    closed_at: dt.datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Feed(Protocol):
    """Where bots get their market data. All of it may raise a TradeBotError."""

    def candles(self, series: Series, count: int, now: dt.datetime) -> Candles:
        """Return the last ``count`` candles that have closed by ``now``."""

    def bars(
        self, series: Series, since: dt.datetime, now: dt.datetime
    ) -> Iterator[Bar]:
        """Yield the candles that a simulated exchange fills orders by: those that open
        at ``since`` or later and have closed by ``now``, whatever their interval.
        """

    def price(self, series: Series, now: dt.datetime) -> Decimal:
        """Return the last price."""


def bars_of(candles: Candles, since: dt.datetime) -> Iterator[Bar]:
    """Yield the candles that open at ``since`` or later."""
    length = candles.interval_ms * _MS
    first = candles.position_of(-((EPOCH - since) // _MS))
    for at in range(first, len(candles)):
        prices = (candles.open, candles.high, candles.low, candles.close)
        opened = EPOCH + int(candles.open_time[at]) * _MS
        yield Bar(
            opened,
            opened + length,
            # The digits that a float was read from, not those of its binary.
            *(Decimal(repr(float(column[at]))) for column in prices),
        )


def opened_at(candles: Candles) -> dt.datetime:
    """Return when the last candle opened."""
    return EPOCH + int(candles.open_time[-1]) * _MS


class Signals:
    """What strategies decide on the last candle of a series, each worked out once."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._known: dict[tuple[Series, Strategy], tuple[int, int]] = {}

    def last(
        self, series: Series, strategy: Strategy, now: dt.datetime
    ) -> tuple[int, Candles]:
        """Return the decision, as ``engine.signals`` has it, and the candles."""
        candles = self._feed.candles(series, strategy.warmup, now)
        opened_ms = int(candles.open_time[-1])
        known = self._known.get((series, strategy))
        if known is None or known[0] != opened_ms:
            known = opened_ms, last_signal(strategy, candles)
            self._known[series, strategy] = known
        return known[1], candles


class LiveFeed:
    """Candles as they close: from the database, and what is missing there, once for
    all, from the exchange. Synthetic ones go on as their series began.
    """

    def __init__(self) -> None:
        self._candles: dict[Series, Candles] = {}
        self._prices: dict[Series, tuple[dt.datetime, Decimal]] = {}
        self._failures: dict[str, tuple[dt.datetime, Exception]] = {}
        self._locks: defaultdict[Series, threading.Lock] = defaultdict(threading.Lock)

    def candles(self, series: Series, count: int, now: dt.datetime) -> Candles:
        length = series.interval.length
        end = now - (now - EPOCH) % length
        with self._locks[series]:
            known = self._candles.get(series)
            if known is None or len(known) < count or opened_at(known) + length < end:
                with self._asking(series, now):
                    known = self._candles[series] = _fetched(series, count, end, now)
        return known.slice(len(known) - count, len(known))

    def bars(
        self, series: Series, since: dt.datetime, now: dt.datetime
    ) -> Iterator[Bar]:
        minutes = series._replace(interval=Interval.M1)
        count = max((now - since) // Interval.M1.length + 1, 1)
        return bars_of(self.candles(minutes, count, now), since)

    def price(self, series: Series, now: dt.datetime) -> Decimal:
        if series.seed is not None:
            minutes = series._replace(interval=Interval.M1)
            return Decimal(repr(float(self.candles(minutes, 1, now).close[-1])))
        key = series._replace(interval=Interval.M1)
        with self._locks[key]:
            asked_at, price = self._prices.get(key, (None, None))
            if asked_at is None or price is None or now - asked_at > _PRICE_FOR:
                with self._asking(series, now), closing(Klines(series.market)) as ask:
                    price = ask.price(series.symbol)
                self._prices[key] = now, price
        return price

    @contextmanager
    def _asking(self, series: Series, now: dt.datetime) -> Iterator[None]:
        """Leave an exchange alone that has just not answered: one bot has waited for
        it, and the others would each wait as long.
        """
        if series.seed is None:
            failed_at, failure = self._failures.get(series.market, (None, None))
            if failure and failed_at and now - failed_at < _LEFT_ALONE_FOR:
                raise failure
        try:
            yield
        except ExchangeUnavailableError as error:
            self._failures[series.market] = now, error
            raise


def _fetched(series: Series, count: int, end: dt.datetime, now: dt.datetime) -> Candles:
    """Return candles up to ``end``, stored first where they are not.

    The last one may be missing: an exchange takes a moment to tell of it.
    """
    length = series.interval.length
    stored = series_find(**series._asdict())
    # One more than is wanted, for the one that may be missing.
    period = Period(end - (max(count, _KEPT) + 1) * length, end)
    if stored.pk is None or missing_find(stored, period):
        if series.seed is None:
            candles_download(
                stored,
                period,
                replace=False,
                now=now,
                follow=lambda done, total: None,
                tries=1,
            )
            stored = series_find(**series._asdict())
        else:
            candles_make(stored, Period(period.end - length, period.end), now=now)
    try:
        columns = candles_read(stored, period)
    except MissingCandlesError:
        columns = candles_read(stored, Period(period.start, end - length))
    return Candles.of(
        interval=series.interval,
        **{name: getattr(columns, name) for name in ("open_time", *NUMBERS)},
    )
