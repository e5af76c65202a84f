"""Stored results as CSV, for spreadsheets and for the web client.

That splits lines at commas and knows no quotes; a spreadsheet takes some texts for
formulas. So no cell has a character that would need care: others become ``_``.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from backtests.models import Backtest
from tradebot.errors import ConflictError

_UNSAFE = re.compile(r"^[^\w]|[^\w.: -]")


def daily_csv(backtest: Backtest) -> str:
    """Return a row for each day on which trades ended; money to six places."""
    return _written(["date", "pnl_usdt", "trades", "capital"], _daily_rows(backtest))


def monthly_csv(backtest: Backtest) -> str:
    """Return a row for each month in which trades ended, in their order."""
    results = backtest.monthly_results
    months = results.items() if isinstance(results, dict) else ()
    rows = [
        [_text(month), _plain(_number(each.get("pnl_pct"))), _plain_count(each)]
        for month, each in sorted(months)
        if isinstance(each, dict)
    ]
    return _written(["month", "pnl_pct", "trades"], rows)


_TRADE_COLUMNS = (
    *("entry_price", "exit_price", "units"),
    *("pnl_usdt", "pnl_pct", "fees_entry", "fees_exit", "capital_after"),
)


def trades_csv(backtest: Backtest) -> str:
    """Return a row for each trade, in the order of their exits.

    Raises ConflictError where they were not stored.
    """
    if backtest.trades is None:
        raise ConflictError(
            gettext(
                "The program before this one did not store the trades of this "
                "backtest. Run it again."
            )
        )
    header = [
        *("date", "side", "entry_time", "exit_time", *_TRADE_COLUMNS),
        *("leverage", "exit_reason"),
    ]
    rows = [
        [
            _time(trade["exit_time"])[:10],
            trade["side"],
            _time(trade["entry_time"]),
            _time(trade["exit_time"]),
            *(f"{trade[name]:.8f}" for name in _TRADE_COLUMNS[:3]),
            *(f"{trade[name]:.6f}" for name in _TRADE_COLUMNS[3:]),
            str(trade["leverage"]),
            trade["exit_reason"],
        ]
        for trade in backtest.trades
    ]
    return _written(header, rows)


def _time(milliseconds: int) -> str:
    moment = dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def export_name(backtest: Backtest, kind: str) -> str:
    """Return the name of a file: ASCII letters, digits and ``_``."""
    symbol = re.sub("[^0-9A-Za-z]", "_", backtest.symbol)
    return f"backtest_{backtest.pk}_{symbol}_{kind}.csv"


def _daily_rows(backtest: Backtest) -> Iterator[list[str]]:
    results = backtest.daily_results
    before = _number(backtest.initial_capital)
    for day in results if isinstance(results, list) else ():
        if not isinstance(day, dict):
            continue
        capital = _number(day.get("capital"))
        pnl = None if capital is None or before is None else capital - before
        yield [
            _text(day.get("date")), _money(pnl), _plain_count(day), _money(capital)
        ]  # fmt: skip
        before = capital


def _written(header: list[str], rows: Iterable[list[str]]) -> str:
    target = io.StringIO()
    writer = csv.writer(target)  # ends lines with CRLF
    writer.writerow(header)
    writer.writerows(rows)
    return target.getvalue()


def _number(value: Any) -> Decimal | None:
    """Return a number of JSON; None for whatever else the column may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = Decimal(repr(value))  # the digits that JSON has
    return number if number.is_finite() else None


def _money(number: Decimal | None) -> str:
    return "" if number is None else _plain(Decimal(f"{number:.6f}"))


def _plain(number: Decimal | None) -> str:
    """Return the digits of a number, without an exponent and zeros at the end."""
    if number is None:
        return ""
    text = f"{number:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def _plain_count(result: dict[str, Any]) -> str:
    return _plain(_number(result.get("trades")))


def _text(value: Any) -> str:
    return _UNSAFE.sub("_", value) if isinstance(value, str) else ""
