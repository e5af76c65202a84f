"""Candles as they are stored: written whole or not at all, read as columns of a period.

A period is half-open: the candles of it open at its start or later, and before its end.
What is missing in one is named, with the command that gets it, and never made up.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from django.db import connection, transaction
from django.db.models import Count, Max, Min
from django.utils.translation import gettext

from tradebot.errors import ConflictError, TradeBotError
from trading.models import Candle, CandleSeries, CandleSource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NUMBERS = ("open", "high", "low", "close", "volume")

_COLUMNS = ("open_time", *NUMBERS)
_COPY_ROWS = 2_000  # in one write
# How a database puts a column of times, and one of numbers, together to one value.
_AGGREGATES = {
    "postgresql": (
        "string_agg(timestamptz_send({}), ''::bytea)",
        "string_agg(float8send({}::float8), ''::bytea)",
    ),
    "sqlite": ("group_concat({})", "group_concat({})"),
}
_POSTGRESQL_EPOCH_MS = 946_684_800_000  # 2000-01-01, from which it counts microseconds
_SHOWN = 3  # periods in a message
# Plain digits, as exchanges write them, and the exponents of spreadsheets.
_is_number = re.compile(
    r"[0-9]{1,20}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?"
).fullmatch


class BadCandleError(TradeBotError):
    """A candle that cannot be right; the message says what was expected."""


class CandleConflictError(ConflictError):
    """Candles that are stored already have other values than those that came now."""


class MissingCandlesError(TradeBotError):
    """Not all candles of a period are stored: ``periods`` are those that are not."""

    def __init__(self, series: CandleSeries, periods: Sequence[Period]) -> None:
        told = "; ".join(map(str, periods[:_SHOWN]))
        more = len(periods) - _SHOWN
        commands = [fill_command(series, period) for period in periods[:_SHOWN]]
        if more > 0:
            told += gettext(", and %(more)s more periods") % {"more": f"{more:,}"}
        super().__init__(
            gettext(
                "Candles of %(series)s are missing: %(periods)s. To get them: "
                "%(commands)s"
            )
            % {"series": series, "periods": told, "commands": "; ".join(commands)}
        )
        self.periods = list(periods)


class Period(NamedTuple):
    """The time from ``start`` up to, and without, ``end``, both UTC."""

    start: dt.datetime
    end: dt.datetime

    @classmethod
    def of_ms(cls, start: int, end: int) -> Self:
        """Return a period of milliseconds since 1970."""
        return cls(*(EPOCH + dt.timedelta(milliseconds=time) for time in (start, end)))

    @classmethod
    def of_whole(
        cls, start: dt.datetime, end: dt.datetime, length: dt.timedelta
    ) -> Self:
        """Return the candles that open at ``start`` or later and close by ``end``."""
        return cls(start + (EPOCH - start) % length, end - (end - EPOCH) % length)

    def __str__(self) -> str:
        return f"{spell_time(self.start)} to {spell_time(self.end)}"


class CandleRow(NamedTuple):
    """One candle on its way to the database; ``candle_row`` makes it."""

    open_time: dt.datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of the candles that were to be stored."""

    added: int
    unchanged: int
    replaced: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleColumns:
    """All candles of a period, oldest first, as arrays of one length.

    ``open_time`` is in milliseconds since 1970, UTC. The numbers are the nearest floats
    of those stored.
    """

    series: CandleSeries
    open_time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Which candles of a series are stored; ``span`` is None where there is none."""

    rows: int
    span: Period | None
    missing: list[Period]  # within the span


# --- Checks -----------------------------------------------------------------------


def candle_row(
    open_time: dt.datetime,
    numbers: Sequence[str],
    *,
    length: dt.timedelta,
    now: dt.datetime,
) -> CandleRow:
    """Return a candle of an opening time, UTC, and its NUMBERS as they are written.

    ``length`` is how long it lasts. Raises BadCandleError: it opens at a time at which
    none does, has not closed by ``now``, or its numbers contradict each other.
    """
    if (open_time - EPOCH) % length:
        raise BadCandleError(
            f"it opens at {spell_time(open_time)}; expected a multiple of {length} "
            "since 1970"
        )
    if open_time + length > now:
        raise BadCandleError(
            f"it opens at {spell_time(open_time)} and closes later than now; expected "
            "closed candles only"
        )
    if len(numbers) != len(NUMBERS):
        raise BadCandleError(
            f"{len(numbers)} numbers; expected {len(NUMBERS)}: {', '.join(NUMBERS)}"
        )
    if not all(map(_is_number, numbers)):
        name, text = next(
            (name, text)
            for name, text in zip(NUMBERS, numbers, strict=True)
            if not _is_number(text)
        )
        raise BadCandleError(
            f"{name} is {text!r:.40}; expected a number such as 46197.05, not negative"
        )
    row = CandleRow(open_time, *map(Decimal, numbers))
    if not (0 < row.low <= row.open <= row.high and row.low <= row.close <= row.high):
        raise BadCandleError(
            f"open {row.open}, high {row.high}, low {row.low}, close {row.close}; "
            "expected 0 < low <= open, close <= high"
        )
    return row


def spell_time(time: dt.datetime) -> str:
    """Return a UTC time as the commands take it."""
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if time.second else f"{time:%Y-%m-%dT%H:%MZ}"


# --- Writing ----------------------------------------------------------------------


def candles_store(
    wanted: CandleSeries, rows: Iterable[CandleRow], *, replace: bool = False
) -> Stored:
    """Store candles, each open time once, in one transaction; all of them or none.

    ``wanted`` describes the series, which is made where it is not there. Candles that
    are stored already stay. Where their values differ, raises CandleConflictError, or
    with ``replace`` takes the new ones. What ``rows`` raises goes through.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        series = _locked(wanted)
        columns = ", ".join(_COLUMNS)
        cursor.execute(
            f"CREATE TEMPORARY TABLE incoming AS SELECT {columns} FROM candles "  # noqa: S608
            "WHERE 1 = 0"
        )
        count = _load(cursor, rows)
        replaced = _differing(cursor, series, replace=replace)
        # One query would do on PostgreSQL; SQLite wants the WHERE before ON CONFLICT.
        cursor.execute(
            f"INSERT INTO candles (series_id, {columns}) "  # noqa: S608
            f"SELECT %s, {columns} FROM incoming WHERE 1 = 1 ORDER BY open_time "
            "ON CONFLICT (series_id, open_time) DO NOTHING",
            [series.pk],
        )
        written = cursor.rowcount
        cursor.execute("DROP TABLE incoming")
        if written and wanted.source == CandleSource.IMPORTED != series.source:
            CandleSeries.objects.filter(pk=series.pk).update(source=wanted.source)
    return Stored(
        added=written - replaced, unchanged=count - written, replaced=replaced
    )


def _locked(wanted: CandleSeries) -> CandleSeries:
    """Return the series as it is stored, for nobody else to write to."""
    series, _ = CandleSeries.objects.get_or_create(
        market=wanted.market,
        symbol=wanted.symbol,
        interval=wanted.interval,
        seed=wanted.seed,
        defaults={"source": wanted.source, "base_price": wanted.base_price},
    )
    return CandleSeries.objects.select_for_update().get(pk=series.pk)


def _load(cursor: Any, rows: Iterable[CandleRow]) -> int:
    """Fill the table ``incoming``; return how many rows there were."""
    if connection.vendor == "postgresql":
        count = 0
        rows = iter(rows)
        with cursor.copy("COPY incoming FROM STDIN") as copy:
            while lines := [_copy_line(row) for row in islice(rows, _COPY_ROWS)]:
                copy.write("".join(lines))
                count += len(lines)
        cursor.execute("ANALYZE incoming")  # it knows nothing of a new table
        return count
    places = ", ".join(["%s"] * len(_COLUMNS))
    cursor.executemany(f"INSERT INTO incoming VALUES ({places})", _adapted(rows))  # noqa: S608
    return int(max(cursor.rowcount, 0))


def _copy_line(row: CandleRow) -> str:
    return f"{row[0].isoformat()}\t{row[1]}\t{row[2]}\t{row[3]}\t{row[4]}\t{row[5]}\n"


def _adapted(rows: Iterable[CandleRow]) -> Iterator[list[Any]]:
    """Yield rows as Django itself writes them to the database."""
    time, number = (
        connection.ops.adapt_datetimefield_value,
        connection.ops.adapt_decimalfield_value,
    )
    for open_time, *numbers in rows:
        yield [time(open_time), *map(number, numbers)]


def _differing(cursor: Any, series: CandleSeries, *, replace: bool) -> int:
    """Look for stored candles that differ from ``incoming``; delete them to replace.

    Returns how many. Raises CandleConflictError where they are to stay.
    """
    # The stored one on the left: on SQLite it is its collation that counts.
    differs = " OR ".join(f"stored.{name} <> incoming.{name}" for name in NUMBERS)
    found = (
        "FROM candles AS stored JOIN incoming USING (open_time) "
        f"WHERE stored.series_id = %s AND ({differs})"
    )
    # Without the first of them: for a LIMIT, PostgreSQL would loop over both tables.
    cursor.execute(f"SELECT count(*), min(open_time) {found}", [series.pk])
    count, first = cursor.fetchone()
    if count and not replace:
        raise _conflict(cursor, series, count, first)
    if count:
        cursor.execute(
            "DELETE FROM candles WHERE series_id = %s "  # noqa: S608
            f"AND open_time IN (SELECT open_time {found})",
            [series.pk, series.pk],
        )
    return int(count)


def _conflict(
    cursor: Any, series: CandleSeries, count: int, first: Any
) -> CandleConflictError:
    columns = ", ".join(_COLUMNS)
    cursor.execute(f"SELECT {columns} FROM incoming WHERE open_time = %s", [first])  # noqa: S608
    _, *new = cursor.fetchone()
    # SQLite says it as a text, without the zone.
    time = dt.datetime.fromisoformat(str(first)).replace(tzinfo=dt.UTC)
    old = Candle.objects.get(series=series, open_time=time)
    told = ", ".join(
        f"{name} {getattr(old, name)}, now {value}"
        for name, value in zip(NUMBERS, new, strict=True)
        if getattr(old, name) != Decimal(value)
    )
    return CandleConflictError(
        f"{count:,} of the candles are stored for {series} with other values. The "
        f"first opens at {spell_time(time)}: {told}. Nothing was stored. See "
        "which are right; --replace takes those that came now."
    )


# --- Reading ----------------------------------------------------------------------


def series_find(
    *, market: str, symbol: str, interval: str, seed: int | None = None
) -> CandleSeries:
    """Return the real series of a pair, or the synthetic one of a seed.

    One that is not stored is returned without a key, and has no candles.
    """
    key = {"market": market, "symbol": symbol, "interval": interval, "seed": seed}
    return CandleSeries.objects.filter(**key).first() or CandleSeries(
        **key,
        source=CandleSource.EXCHANGE if seed is None else CandleSource.SYNTHETIC,
    )


def candles_read(series: CandleSeries, period: Period) -> CandleColumns:
    """Return the candles of a period, all of them.

    Raises MissingCandlesError where one is missing. Loads NumPy.
    """
    columns = _read(series, period, NUMBERS)
    if gaps := _gaps(columns[0], period, series.length):
        raise MissingCandlesError(series, gaps)
    return CandleColumns(series=series, **dict(zip(_COLUMNS, columns, strict=True)))


def missing_find(series: CandleSeries, period: Period) -> list[Period]:
    """Return the parts of a period of which no candles are stored. Loads NumPy."""
    (times,) = _read(series, period, ())
    return _gaps(times, period, series.length)


def extent_read(series: CandleSeries) -> Extent:
    """Return which candles of a series are stored."""
    found = Candle.objects.filter(series_id=series.pk).aggregate(
        rows=Count("open_time"), first=Min("open_time"), last=Max("open_time")
    )
    if not found["rows"]:
        return Extent(rows=0, span=None, missing=[])
    span = Period(found["first"], found["last"] + series.length)
    whole = found["rows"] == (span.end - span.start) // series.length
    return Extent(
        rows=found["rows"],
        span=span,
        missing=[] if whole else missing_find(series, span),
    )


def fill_command(series: CandleSeries, period: Period) -> str:
    """Return the command that gets the candles of a period, or makes them."""
    made = series.seed is not None
    return " ".join(
        [
            f"manage.py {'make' if made else 'download'}_candles",
            f"--market {series.market} --symbol {series.symbol}",
            f"--interval {series.interval}",
            *([f"--seed {series.seed}"] if made else []),
            *([f"--base-price {series.base_price or 'PRICE'}"] if made else []),
            f"--from {spell_time(period.start)} --to {spell_time(period.end)}",
        ]
    )


def _gaps(
    times: NDArray[np.int64], period: Period, length: dt.timedelta
) -> list[Period]:
    """Return the parts of a period in which nothing opens that should."""
    import numpy as np

    step = length // dt.timedelta(milliseconds=1)
    start, end = ((time - EPOCH) // dt.timedelta(milliseconds=1) for time in period)
    # Up to the next time at which a candle opens.
    first, last = -(-start // step) * step, -(-end // step) * step
    edges = np.concatenate(([first - step], times, [last]))
    return [
        Period.of_ms(int(edges[before]) + step, int(edges[before + 1]))
        for before in np.flatnonzero(np.diff(edges) > step)
    ]


def _read(
    series: CandleSeries, period: Period, names: Sequence[str]
) -> list[NDArray[Any]]:
    """Return the open times, in milliseconds, and columns of floats.

    The database puts each column together to one value: to fetch a million rows takes
    longer than all the rest. It does so in the order of the rows that it is given.
    """
    time, number = _AGGREGATES[connection.vendor]
    columns = [time.format("open_time"), *map(number.format, names)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(columns)} FROM (SELECT * FROM candles "  # noqa: S608
            "WHERE series_id = %s AND open_time >= %s AND open_time < %s "
            "ORDER BY open_time) AS sorted",
            [series.pk, *map(connection.ops.adapt_datetimefield_value, period)],
        )
        times, *numbers = cursor.fetchone()
    return [_times(times), *map(_floats, numbers)]


def _times(value: bytes | str | None) -> NDArray[np.int64]:
    import numpy as np

    if isinstance(value, str):
        return np.array(value.split(","), "datetime64[ms]").astype(np.int64)
    microseconds = np.frombuffer(value or b"", ">i8").astype(np.int64)
    return microseconds // 1000 + _POSTGRESQL_EPOCH_MS


def _floats(value: bytes | str | None) -> NDArray[np.float64]:
    import numpy as np

    if isinstance(value, str):
        return np.fromstring(value, sep=",")
    return np.frombuffer(value or b"", ">f8").astype(np.float64)
