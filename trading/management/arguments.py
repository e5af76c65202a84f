"""What the commands about candles are told: a series, a period, a number."""

from __future__ import annotations

import datetime as dt
import re
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser

from bots.models import PositionType
from tradebot.api.fields import MAX_INTEGER
from trading.candles import EPOCH, Period, spell_time
from trading.models import CandleSeries, Interval

# Letters of any script: some assets have Chinese names.
_SYMBOL = re.compile(r"[\w.-]{1,64}")


def add_series_arguments(parser: CommandParser, *, required: bool = True) -> None:
    """Add ``--market``, which is always needed, ``--symbol`` and ``--interval``."""
    parser.add_argument("--market", choices=PositionType.values, required=True)
    parser.add_argument(
        "--symbol", type=symbol, required=required, help="For example BTCUSDT."
    )
    parser.add_argument("--interval", choices=Interval.values, required=required)


def add_period_arguments(parser: CommandParser, *, required: bool = True) -> None:
    """Add ``--from`` and ``--to``."""
    parser.add_argument(
        "--from",
        type=utc_time,
        required=required,
        dest="start",
        metavar="TIME",
        help="The first candle: a day, or a time such as 2025-01-01T12:00, UTC.",
    )
    parser.add_argument(
        "--to",
        type=utc_time,
        dest="end",
        metavar="TIME",
        help="The end, which is not part of it: --from 2025-01-01 --to 2025-02-01 is "
        "January. Now, if it is left out; never later.",
    )


def period_of(options: dict[str, Any], *, now: dt.datetime) -> Period:
    """Return the period of these arguments, up to what has closed at ``now``.

    Raises CommandError where it holds no candle.
    """
    length = Interval(options["interval"]).length
    start, end = options["start"], min(options["end"] or now, now)
    period = Period.of_whole(start, end, length)
    if period.start != start:
        raise CommandError(
            f"--from {spell_time(start)} is no time at which a candle of "
            f"{options['interval']} opens; one does at {spell_time(period.start)}."
        )
    if period.start >= period.end:
        raise CommandError(
            f"No candle of {options['interval']} opens at {spell_time(start)} or later "
            f"and closes by {spell_time(end)}; expected --to later than --from, and "
            "both in the past."
        )
    return period


def symbol(text: str) -> str:
    """Return a symbol as Binance writes it, BTCUSDT for btc/usdt."""
    found = text.upper().replace("/", "")
    if not _SYMBOL.fullmatch(found):
        raise ArgumentTypeError(f"{text!r:.80} is no symbol; expected one as BTCUSDT")
    return found


def positive(text: str) -> int:
    """Return how many of something: one at least."""
    return _count(text, least=1)


def none_or_more(text: str) -> int:
    """Return how many of something, which may be 0."""
    return _count(text, least=0)


def _count(text: str, *, least: int) -> int:
    if not text.isdecimal() or int(text) < least:
        raise ArgumentTypeError(f"{text!r:.40} is no count; expected {least} or more")
    return int(text)


def seed(text: str) -> int:
    """Return the seed of made-up candles: one that runs and bots can name, too."""
    if not text.isdecimal() or int(text) > MAX_INTEGER:
        raise ArgumentTypeError(
            f"{text!r:.40} is no seed; expected a whole number from 0 to {MAX_INTEGER}"
        )
    return int(text)


def utc_time(text: str) -> dt.datetime:
    """Return a time, in UTC where it names no zone; candles begin with 1970."""
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(
            f"{text!r:.80} is no time; expected a day as 2025-01-31, or a time as "
            "2025-01-31T12:00, in UTC"
        ) from error
    if not time.tzinfo:
        time = time.replace(tzinfo=dt.UTC)
    if time < EPOCH:
        raise ArgumentTypeError(
            f"{text!r:.80} is before 1970, when candles begin; expected 1970-01-01 or "
            "later"
        )
    try:
        return time.astimezone(dt.UTC)
    except OverflowError as error:
        raise ArgumentTypeError(
            f"{text!r:.80} is after the year 9999 in UTC; expected an earlier time"
        ) from error


def series_of(options: dict[str, Any], **values: Any) -> CandleSeries:
    """Return the series of these arguments, not stored."""
    return CandleSeries(
        market=options["market"],
        symbol=options["symbol"],
        interval=options["interval"],
        **values,
    )
