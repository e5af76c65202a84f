"""Orders for the tests, of one BTC at a price of about 100, and what became of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from trading.exchanges.base import (
    Exchange,
    OrderKind,
    OrderReport,
    OrderRequest,
    Side,
)

SYMBOL = "BTCUSDT"


def order(
    client_id: str,
    side: str = "BUY",
    kind: str = "MARKET",
    quantity: str = "1",
    price: str | None = None,
    **values: Any,
) -> OrderRequest:
    return OrderRequest(
        client_id=client_id,
        symbol=SYMBOL,
        side=Side(side),
        kind=OrderKind(kind),
        quantity=Decimal(quantity),
        price=None if price is None else Decimal(price),
        **{"signed_at": dt.datetime.now(dt.UTC), **values},
    )


def stop(side: str = "SELL", price: str = "90", **values: Any) -> OrderRequest:
    return order("stop", side, "STOP", price=price, **values)


def target(side: str = "SELL", price: str = "110", **values: Any) -> OrderRequest:
    return order("target", side, "LIMIT", price=price, **values)


def found(exchange: Exchange, client_id: str) -> OrderReport:
    report = exchange.find(SYMBOL, client_id)
    assert report is not None
    return report
