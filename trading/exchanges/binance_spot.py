"""An account on the spot market of Binance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from trading.exchanges.base import (
    AmbiguousError,
    OrderKind,
    OrderReport,
    OrderRequest,
    RejectedError,
    Side,
    UnavailableError,
)
from trading.exchanges.binance_account import Account, price_of, understood
from trading.exchanges.binance_client import Client


class BinanceSpot(Account):
    """An account on the spot market."""

    _trades = "privateGetMyTrades"

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._bases: dict[str, str] = {}

    def send(self, order: OrderRequest) -> OrderReport:
        parameters: dict[str, str] = {}
        if order.kind is OrderKind.MARKET:
            parameters["type"] = "MARKET"
        elif order.kind is OrderKind.STOP:
            parameters |= {"type": "STOP_LOSS", "stopPrice": price_of(order)}
        else:
            parameters |= {"type": "LIMIT", "timeInForce": "GTC"}
            parameters["price"] = price_of(order)
        return self._taken(
            self._post(
                "privatePostOrder",
                order,
                newClientOrderId=order.client_id,
                newOrderRespType="RESULT",
                **parameters,
            )
        )

    def send_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        """Send an OCO list: the target is in the book above the price, the stop waits
        below it.
        """
        if stop.side is not Side.SELL:
            raise RejectedError("On spot a pair closes what is held: it sells.")
        answer = self._post(
            "privatePostOrderListOco",
            stop,
            listClientOrderId=stop.client_id,
            aboveType="LIMIT_MAKER",
            abovePrice=price_of(target),
            aboveClientOrderId=target.client_id,
            belowType="STOP_LOSS",
            belowStopPrice=price_of(stop),
            belowClientOrderId=stop.client_id,
            newOrderRespType="RESULT",
        )
        with understood(AmbiguousError):
            rows = {row["clientOrderId"]: row for row in answer["orderReports"]}
            sent = rows[stop.client_id], rows[target.client_id]
        return self._taken(sent[0]), self._taken(sent[1])

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        row = self._find("privateGetOrder", symbol=symbol, origClientOrderId=client_id)
        if row is None:
            return None
        with understood(UnavailableError):
            return self._report(row)

    def cancel(self, symbol: str, client_id: str) -> None:
        # Binance itself takes the other order of the list back.
        self._cancel("privateDeleteOrder", symbol=symbol, origClientOrderId=client_id)

    def held(self, symbol: str) -> Decimal:
        free, locked = self._balance(self._base(symbol))
        return free + locked

    def free(self, asset: str) -> Decimal:
        return self._balance(asset)[0]

    def price(self, symbol: str) -> Decimal:
        with understood(UnavailableError):
            row = self._client.read("publicGetTickerPrice", symbol=symbol)
            return Decimal(row["price"])

    def liquidations(self, symbol: str, since: dt.datetime) -> Sequence[OrderReport]:
        return ()

    def prepare(self, symbol: str, leverage: int) -> None:
        pass

    def _balance(self, asset: str) -> tuple[Decimal, Decimal]:
        """Return what is free of an asset and what orders have locked."""
        with understood(UnavailableError):
            account = self._client.read("privateGetAccount", omitZeroBalances="true")
            for row in account["balances"]:
                if row["asset"] == asset:
                    return Decimal(row["free"]), Decimal(row["locked"])
        return Decimal(0), Decimal(0)

    def _base(self, symbol: str) -> str:
        if symbol not in self._bases:
            with understood(UnavailableError):
                info = self._client.read("publicGetExchangeInfo", symbol=symbol)
                self._bases[symbol] = info["symbols"][0]["baseAsset"]
        return self._bases[symbol]
