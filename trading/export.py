"""Trades as CSV, for spreadsheets and tax tools."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from trading.models import Trade

COLUMNS = (
    "id",
    "timestamp",
    "user__email",
    "bot_config_id",
    "bot_config__name",
    "binance_order_id",
    "symbol",
    "side",
    "order_type",
    "price",
    "quantity_filled",
    "quote_quantity_filled",
    "commission_amount",
    "commission_asset",
    "pnl",
    "realized_pnl",
)
_HEADER = ("id", "time_utc", "user", "bot_id", "bot", *COLUMNS[5:])
_BATCH = 2_000  # rows


class _Line:
    """A file for csv.writer, which returns what it has written."""

    def write(self, text: str) -> str:
        return text


def trades_as_csv(trades: QuerySet[Trade]) -> Iterator[str]:
    """Yield the lines of a CSV file with these trades, the last one first.

    Numbers have all their digits and no exponent, times are UTC in ISO 8601.
    """
    writer = csv.writer(_Line())
    yield writer.writerow(_HEADER)
    # Along the key, not by a cursor: that would need one transaction, or a copy of all
    # rows in the server, for as long as the client takes.
    rows = trades.order_by("-pk").values_list(*COLUMNS)
    batch = list(rows[:_BATCH])
    while batch:
        for row in batch:
            yield writer.writerow(map(_cell, row))
        batch = list(rows.filter(pk__lt=batch[-1][0])[:_BATCH])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    text = str(value)
    # A spreadsheet would compute what begins so, and users choose the names.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
