"""Store the candles of files."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from tradebot.errors import TradeBotError
from tradebot.management.base import DataCommand
from tradebot.management.progress import Progress
from trading.candle_files import CandleFile
from trading.candles import (
    CandleRow,
    candles_store,
    fill_command,
    missing_find,
    series_find,
)
from trading.management.arguments import add_series_arguments, series_of
from trading.models import CandleSource, Interval

_TOLD_EVERY = 5_000  # candles


class Command(DataCommand):
    help = (
        "Stores candles of CSV files, packed by gzip or zip or not: with a header "
        "open_time,open,high,low,close,volume, or as Binance publishes them. Each file "
        "is stored whole or not at all, and can be imported again. Exits with 1 at the "
        "first file that is not stored; those before it are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
        add_series_arguments(parser, required=False)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="Take the candles of the files where others are stored.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        done = [
            self._import(CandleFile(path), options, now) for path in options["files"]
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"files": done}, indent=2))

    def _import(
        self, file: CandleFile, options: dict[str, Any], now: dt.datetime
    ) -> dict[str, Any]:
        wanted = series_of(
            {**options, **_named(file, options)}, source=CandleSource.IMPORTED
        )
        rows = file.read(length=wanted.length, now=now)
        try:
            stored = candles_store(
                wanted, self._followed(file, rows), replace=options["replace"]
            )
        except TradeBotError as error:
            raise CommandError(str(error)) from error
        assert file.period  # noqa: S101  # it has candles, or was refused
        series = series_find(
            market=wanted.market, symbol=wanted.symbol, interval=wanted.interval
        )
        missing = missing_find(series, file.period)
        if not options["json"]:
            self.stdout.write(
                f"{file.path}: {series}, {file.period}: {stored.added:,} stored, "
                f"{stored.unchanged:,} were there, {stored.replaced:,} replaced."
            )
        for gap in missing:
            self.stderr.write(
                f"{file.path} has no candles from {gap}. {fill_command(series, gap)}"
            )
        return {
            "file": str(file.path),
            "series": str(series),
            "from": file.period.start.isoformat(),
            "to": file.period.end.isoformat(),
            "added": stored.added,
            "unchanged": stored.unchanged,
            "replaced": stored.replaced,
            "missing": [[time.isoformat() for time in gap] for gap in missing],
        }

    def _followed(
        self, file: CandleFile, rows: Iterator[CandleRow]
    ) -> Iterator[CandleRow]:
        """Yield the candles while the progress is shown."""
        size = file.path.stat().st_size if file.path.is_file() else 0
        with Progress(self.stderr, file.path.name, size) as progress:
            for row in rows:
                if file.rows % _TOLD_EVERY == 0:
                    progress.update(file.position, file.rows)
                yield row


def _named(file: CandleFile, options: dict[str, Any]) -> dict[str, str]:
    """Return symbol and interval: those of the options, or else of the file's name."""
    named = file.named()
    found = {
        name: options[name] or named.get(name, "") for name in ("symbol", "interval")
    }
    if not all(found.values()) or found["interval"] not in Interval.values:
        raise CommandError(
            f"{file.path} does not tell its symbol and interval by a name such as "
            "BTCUSDT-1m-2025-01.csv; say --symbol and --interval."
        )
    return found
