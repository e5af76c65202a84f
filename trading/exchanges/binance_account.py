"""What the accounts of both markets of Binance have in common.

Numbers are the strings that Binance sends and is sent.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from trading.exchanges.base import (
    AmbiguousError,
    ExchangeError,
    FillReport,
    OrderReport,
    OrderRequest,
    RejectedError,
    ReportStatus,
    UnavailableError,
)
from trading.exchanges.binance_client import ATTEMPTS, Client, backoff

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)

_PAGE = 1000  # trades in one answer
_UNKNOWN_TO_CANCEL = -2011
_UNKNOWN_TO_FIND = -2013

_STATUSES = {
    "NEW": ReportStatus.OPEN,
    "PENDING_NEW": ReportStatus.OPEN,
    "PARTIALLY_FILLED": ReportStatus.OPEN,
    "PENDING_CANCEL": ReportStatus.OPEN,
    "FILLED": ReportStatus.FILLED,
    "CANCELED": ReportStatus.CANCELED,
    "EXPIRED": ReportStatus.CANCELED,
    "EXPIRED_IN_MATCH": ReportStatus.CANCELED,
    "REJECTED": ReportStatus.REJECTED,
}


class Account:
    """What both markets have in common."""

    _trades: str  # the endpoint

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        self._client.close()

    def _post(self, endpoint: str, order: OrderRequest, **parameters: Any) -> Any:
        return self._client.once(
            endpoint,
            symbol=order.symbol,
            side=order.side.value,
            quantity=text(order.quantity),
            signed_at=order.signed_at,
            **parameters,
        )

    def _taken(self, row: Any) -> OrderReport:
        """Return the report on an order that was just taken.

        It cannot be unavailable any more: whatever fails now, the order is there.
        """
        try:
            with understood(AmbiguousError):
                return self._report(row)
        except ExchangeError as error:
            raise AmbiguousError(
                f"The order was taken, what became of it is not known yet: {error}"
            ) from error

    def _report(self, row: Any) -> OrderReport:
        executed = Decimal(row["executedQty"])
        status = _STATUSES[row["status"]]
        fills: Sequence[FillReport] = ()
        if executed:
            fills = self._fills(row, executed)
        return OrderReport(
            client_id=row["clientOrderId"],
            order_id=str(row["orderId"]),
            status=status,
            fills=fills,
        )

    def _fills(self, row: Any, executed: Decimal) -> Sequence[FillReport]:
        """Return all trades of an order, once each.

        They may come later than the order says that it was executed.
        """
        for attempt in range(1, ATTEMPTS + 1):
            fills = self._known_fills(row)
            if sum(fill.quantity for fill in fills) >= executed:
                return fills
            time.sleep(backoff(attempt))
        raise UnavailableError("Binance does not tell all trades of an order yet.")

    def _known_fills(self, row: Any) -> list[FillReport]:
        fills: dict[int, FillReport] = {}
        page = self._first_page(row)
        while True:
            trades = self._client.read(
                self._trades,
                urgent=True,
                symbol=row["symbol"],
                orderId=row["orderId"],
                limit=_PAGE,
                **page,
            )
            known = len(fills)
            fills |= {int(trade["id"]): _fill(trade) for trade in trades}
            if len(trades) < _PAGE or len(fills) == known:
                return [fills[number] for number in sorted(fills)]
            page = {"fromId": max(fills) + 1}

    def _first_page(self, row: Any) -> dict[str, int]:
        """Return what the trades of an order have to be asked with, besides its id."""
        return {}

    def _find(self, endpoint: str, **parameters: Any) -> Any:
        """Return an order as Binance shows it; None where there is none."""
        try:
            return self._client.read(endpoint, **parameters)
        except RejectedError as error:
            if error.code == _UNKNOWN_TO_FIND:
                return None
            raise

    def _cancel(self, endpoint: str, **parameters: Any) -> bool:
        """Cancel an order, which twice is no more than once; return if it was open."""
        try:
            self._client.repeat(endpoint, **parameters)
        except RejectedError as error:
            if error.code == _UNKNOWN_TO_CANCEL:
                return False
            raise
        return True


@contextmanager
def understood(
    error_type: type[UnavailableError] | type[AmbiguousError],
) -> Iterator[None]:
    """Raise ``error_type`` where an answer is not as documented."""
    try:
        yield
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise error_type(f"Binance's answer is malformed: {error!r:.300}") from error


def _fill(row: Any) -> FillReport:
    return FillReport(
        trade_id=str(row["id"]),
        price=Decimal(row["price"]),
        quantity=Decimal(row["qty"]),
        commission=Decimal(row["commission"]),
        commission_asset=row["commissionAsset"],
        filled_at=EPOCH + int(row["time"]) * MILLISECOND,
    )


def text(value: Decimal) -> str:
    return format(value, "f")


def price_of(order: OrderRequest) -> str:
    if order.price is None:
        raise ValueError(f"A {order.kind} order needs a price.")
    return text(order.price)


def flag(value: bool) -> str:
    return "true" if value else "false"
