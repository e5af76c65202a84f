"""List the candles that are stored, and delete series."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import connection

from tradebot.management.base import DataCommand
from trading.candles import Extent, extent_read, fill_command, spell_time
from trading.models import CandleSeries

_SHOWN = 5  # gaps of a series


class Command(DataCommand):
    help = (
        "Lists the series of candles: from when to when they are, how many, and which "
        "are missing in between."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--delete",
            nargs="+",
            type=int,
            metavar="ID",
            help="Delete series with all their candles.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["delete"]:
            self._delete(options["delete"])
            return
        order = ("symbol", "market", "interval", "seed", "id")
        stored = CandleSeries.objects.order_by(*order)
        found = [(series, extent_read(series)) for series in stored]
        if options["json"]:
            report = {
                "series": [_as_json(series, extent) for series, extent in found],
                "bytes": _size(),
            }
            self.stdout.write(json.dumps(report, indent=2))
            return
        for series, extent in found:
            self._tell(series, extent)
        size = _size()
        total = sum(extent.rows for _, extent in found)
        self.stdout.write(
            f"{len(found)} series, {total:,} candles"
            f"{f', {size / 2**20:,.1f} MiB with the index' if size else ''}."
        )

    def _tell(self, series: CandleSeries, extent: Extent) -> None:
        self.stdout.write(
            f"{series.pk}  {series}  {series.source}  {extent.span or 'empty'}  "
            f"{extent.rows:,} candles"
        )
        for gap in extent.missing[:_SHOWN]:
            self.stdout.write(f"    missing: {gap}. {fill_command(series, gap)}")
        if more := extent.missing[_SHOWN:]:
            self.stdout.write(f"    missing: {len(more):,} more; --json has all.")

    def _delete(self, ids: list[int]) -> None:
        found = list(CandleSeries.objects.filter(pk__in=ids))
        if unknown := set(ids) - {series.pk for series in found}:
            raise CommandError(
                f"There is no series {', '.join(map(str, sorted(unknown)))}; nothing "
                "was deleted. manage.py candles lists them."
            )
        for series in found:
            name = str(series)
            series.delete()
            self.stdout.write(f"Deleted: {name}.")


def _as_json(series: CandleSeries, extent: Extent) -> dict[str, Any]:
    return {
        "id": series.pk,
        "market": series.market,
        "symbol": series.symbol,
        "interval": series.interval,
        "source": series.source,
        "seed": series.seed,
        "base_price": None if series.base_price is None else f"{series.base_price:f}",
        "from": spell_time(extent.span.start) if extent.span else None,
        "to": spell_time(extent.span.end) if extent.span else None,
        "candles": extent.rows,
        "missing": [[spell_time(time) for time in gap] for gap in extent.missing],
    }


def _size() -> int | None:
    """Return the bytes of all candles; None on SQLite, which does not tell."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size('candles')")
        (size,) = cursor.fetchone()
    return int(size)
