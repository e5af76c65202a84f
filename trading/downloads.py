"""Downloads of candles: what is missing in a period, page by page.

Each page is stored for itself, so that a download that was cut off goes on from there.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

from trading.candles import (
    CandleRow,
    Period,
    Stored,
    candles_store,
    missing_find,
    series_find,
)
from trading.exchange_info import ExchangeUnavailableError
from trading.klines import PAGE, Klines
from trading.models import CandleSeries

logger = logging.getLogger(__name__)

TRIES = 6
FIRST_WAIT_S = 1.0  # doubled for each further try
LONGEST_WAIT_S = 120.0  # who is to wait longer comes again

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """What a download did in a period; ``holes`` are what the exchange has not."""

    period: Period
    stored: Stored
    holes: list[Period]


def candles_download(
    wanted: CandleSeries,
    period: Period,
    *,
    replace: bool,
    now: dt.datetime,
    follow: Callable[[int, int], None],
    tries: int = TRIES,
) -> Download:
    """Download the candles of a period that are not stored; with ``replace`` all.

    The period ends before what has not closed yet, by our clock or the exchange's.
    ``follow`` is called with how many candles of how many are done. Each question is
    asked ``tries`` times, with longer and longer waits. Raises
    ExchangeUnavailableError where trying again did not help, ExchangeRefusedError, and
    CandleConflictError; the pages before are stored then.
    """
    with closing(Klines(wanted.market)) as klines:
        now = min(now, _patiently(klines.now, tries))
        period = Period.of_whole(period.start, min(period.end, now), wanted.length)
        gaps = [period] if replace else missing_find(_stored(wanted), period)
        pages = [
            candles_store(wanted, rows, replace=replace)
            for rows in _pages(
                klines, wanted, gaps, now=now, follow=follow, tries=tries
            )
        ]
    return Download(
        period=period,
        stored=Stored(
            added=sum(page.added for page in pages),
            unchanged=sum(page.unchanged for page in pages),
            replaced=sum(page.replaced for page in pages),
        ),
        holes=missing_find(_stored(wanted), period),
    )


def _stored(wanted: CandleSeries) -> CandleSeries:
    return series_find(
        market=wanted.market, symbol=wanted.symbol, interval=wanted.interval
    )


def _pages(
    klines: Klines,
    wanted: CandleSeries,
    gaps: list[Period],
    *,
    now: dt.datetime,
    follow: Callable[[int, int], None],
    tries: int,
) -> Iterator[list[CandleRow]]:
    length = wanted.length
    total = sum((gap.end - gap.start) // length for gap in gaps)
    done = 0
    for start, end in gaps:
        while start < end:
            asked = Period(start, end)
            rows = _patiently(
                lambda: klines.page(wanted, asked, now=now),  # noqa: B023  # at once
                tries,
            )
            if rows:
                yield rows
            last = rows[-1].open_time + length if len(rows) == PAGE else end
            done += (last - start) // length
            start = last
            follow(done, total)


def _patiently(ask: Callable[[], T], tries: int) -> T:
    """Ask until there is an answer, with longer and longer waits.

    Raises the last ExchangeUnavailableError; at once where the exchange wants to be
    left alone for long.
    """
    for attempt in range(tries):
        try:
            return ask()
        except ExchangeUnavailableError as error:
            # All of those who were cut off come again at different times.
            wait = random.uniform(0.5, 1) * FIRST_WAIT_S * 2**attempt  # noqa: S311
            wait = max(wait, error.retry_after_s)
            if attempt == tries - 1 or wait > LONGEST_WAIT_S:
                raise
            logger.warning("%s Asked again in %.1f s.", error, wait)
            time.sleep(wait)
    raise AssertionError("not reached")
