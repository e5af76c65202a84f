"""Files of candles: CSV, as it is, in gzip or in zip, read line by line.

Understood are a header with the names ``open_time,open,high,low,close,volume`` among
others, and Binance's public files of klines, with a header or without one:
https://github.com/binance/binance-public-data
"""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from tradebot.errors import TradeBotError
from trading.candles import (
    EPOCH,
    NUMBERS,
    BadCandleError,
    CandleRow,
    Period,
    candle_row,
    spell_time,
)

_NAMES = ("open_time", *NUMBERS)
_BINANCE_COLUMNS = 12
_SHOWN = 20  # bad lines in a message
# Times as numbers, by how many digits they have from 2001 to 2286.
_UNITS = {10: "seconds", 13: "milliseconds", 16: "microseconds"}
_FILE_NAME = re.compile(
    r"(?P<symbol>[A-Z0-9_]+)-(?P<interval>[0-9]+[mhd])-[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?\."
)


class BadFileError(TradeBotError):
    """A file that holds something else than candles; the message names the lines."""


class CandleFile:
    """A file while it is read; ``period`` is what the candles read so far are of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0  # bytes, packed where it is
        self.rows = 0
        self.period: Period | None = None
        self._raw: BinaryIO | None = None

    @property
    def position(self) -> int:
        """How many of its bytes are read."""
        return self._raw.tell() if self._raw and not self._raw.closed else self.size

    def named(self) -> dict[str, str]:
        """Return ``symbol`` and ``interval`` of a file that is named as Binance's."""
        match = _FILE_NAME.match(self.path.name)
        return match.groupdict() if match else {}

    def read(self, *, length: dt.timedelta, now: dt.datetime) -> Iterator[CandleRow]:
        """Yield the candles, each of which lasts ``length``, the oldest first.

        Raises BadFileError, at the end where it is for bad lines, so that it can name
        them: what was made of the candles until then is to be undone.
        """
        bad: list[str] = []
        count = 0
        shortest = dt.timedelta.max
        for line, fields in self._lines():
            try:
                open_time, *numbers = fields
                row = candle_row(_time(open_time), numbers, length=length, now=now)
                if self.period:
                    _check_order(row, self.period)
                    shortest = min(shortest, row.open_time - self.period.end + length)
            except BadCandleError as error:
                count += 1
                if count <= _SHOWN:
                    bad.append(f"line {line}: {error}.")
                continue
            start = self.period.start if self.period else row.open_time
            self.period = Period(start, row.open_time + length)
            self.rows += 1
            yield row
        if count:
            if count > _SHOWN:
                bad.append(f"And {count - _SHOWN:,} more lines.")
            raise BadFileError(
                f"{self.path} has {count:,} bad line{'s' if count > 1 else ''}, and "
                "nothing of it was stored.\n" + "\n".join(bad)
            )
        if not self.period:
            raise BadFileError(f"{self.path} has no candles; expected one at least.")
        if length < shortest < dt.timedelta.max:
            raise BadFileError(
                f"{self.path} has no candles {length} apart; some are {shortest} "
                "apart. Expected those of the --interval. Nothing of it was stored."
            )

    def _lines(self) -> Iterator[tuple[int, Sequence[str]]]:
        """Yield the number of each line with its open time and its numbers.

        A line of another width than the first is yielded as it is. One that goes on in
        others, within quotes, has the number of where it begins.
        """
        begins = 1
        try:
            with self.path.open("rb") as self._raw:
                self.size = self.path.stat().st_size
                with _unpacked(self.path, self._raw) as text:
                    lines = csv.reader(text, strict=True)
                    first = next(lines, [])
                    pick = self._columns(first)
                    if first[0].isdecimal():
                        yield 1, pick(first)
                    begins = lines.line_num + 1
                    for fields in lines:
                        if fields:
                            same = len(fields) == len(first)
                            yield begins, pick(fields) if same else fields
                        begins = lines.line_num + 1
        except csv.Error as error:
            raise BadFileError(
                f"{self.path} cannot be read from line {begins} on: {error}. Expected "
                "CSV, with an end of each quote. Nothing of it was stored."
            ) from error
        except (
            OSError,
            EOFError,
            UnicodeDecodeError,
            zlib.error,
            zipfile.BadZipFile,
        ) as error:
            raise BadFileError(
                f"{self.path} cannot be read: {error}. Nothing of it was stored."
            ) from error

    def _columns(
        self, first: Sequence[str]
    ) -> Callable[[Sequence[str]], Sequence[str]]:
        """Return what picks the columns wanted, in their order, by the first line."""
        names = [field.strip().lower() for field in first]
        if set(_NAMES) <= set(names):
            return itemgetter(*map(names.index, _NAMES))
        if len(first) == _BINANCE_COLUMNS and first[0].isdecimal():
            return itemgetter(*range(len(_NAMES)))
        raise BadFileError(
            f"{self.path}, line 1: {','.join(first)!r:.80}; expected a header with the "
            f"names {','.join(_NAMES)}, or the {_BINANCE_COLUMNS} columns of Binance."
        )


@contextmanager
def _unpacked(path: Path, raw: BinaryIO) -> Iterator[TextIO]:
    """Open what is in a file, by how it begins."""
    start = raw.read(4)
    raw.seek(0)
    with ExitStack() as stack:
        body: Any = raw
        if start.startswith(b"\x1f\x8b"):
            body = stack.enter_context(gzip.open(raw))
        elif start == b"PK\x03\x04":
            archive = stack.enter_context(zipfile.ZipFile(raw))
            names = archive.namelist()
            if len(names) != 1:
                raise BadFileError(
                    f"{path} holds {len(names)} files; expected one, as from Binance."
                )
            body = stack.enter_context(archive.open(names[0]))
        yield stack.enter_context(
            io.TextIOWrapper(body, encoding="utf-8-sig", newline="")
        )


def _time(text: str) -> dt.datetime:
    """Return a time that is written as a number or in ISO 8601 with its zone."""
    try:
        if text.isdecimal() and len(text) in _UNITS:
            return EPOCH + dt.timedelta(**{_UNITS[len(text)]: int(text)})
        time = dt.datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        time = None
    if time is None or time.tzinfo is None:
        raise BadCandleError(
            f"open_time is {text!r:.40}; expected a UTC time such as "
            "2025-01-01T00:00:00Z or 1735689600000"
        )
    return time.astimezone(dt.UTC)


def _check_order(row: CandleRow, before: Period) -> None:
    if row.open_time < before.end:
        raise BadCandleError(
            f"it opens at {spell_time(row.open_time)}; expected "
            f"{spell_time(before.end)} or later: the oldest come first, each once"
        )
