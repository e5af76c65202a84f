"""An account on the market of USDⓈ-M futures of Binance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from trading.exchanges.base import (
    AmbiguousError,
    ExchangeError,
    FillReport,
    OrderKind,
    OrderReport,
    OrderRequest,
    RejectedError,
    ReportStatus,
    UnavailableError,
)
from trading.exchanges.binance_account import (
    EPOCH,
    MILLISECOND,
    Account,
    flag,
    price_of,
    understood,
)

_FORCE_ORDERS = 100  # in one answer
_UNCHANGED = {-4046, -4059}
# Trades are told for the last seven days, or for as many around a time.
_TOLD = dt.timedelta(days=6)

# Of one that has not become an order of the market yet.
_CONDITIONAL_STATUSES = {
    "NEW": ReportStatus.OPEN,
    "TRIGGERING": ReportStatus.OPEN,
    "TRIGGERED": ReportStatus.OPEN,
    "CANCELED": ReportStatus.CANCELED,
    "EXPIRED": ReportStatus.CANCELED,
    "REJECTED": ReportStatus.REJECTED,
}


class BinanceFutures(Account):
    """An account on the market of USDⓈ-M futures, in one-way mode.

    A stop is an order of Binance's algo service until its trigger, and has a number of
    that: its report keeps it afterwards.
    """

    _trades = "fapiPrivateGetUserTrades"

    def send(self, order: OrderRequest) -> OrderReport:
        if order.kind is OrderKind.STOP:
            row = self._post(
                "fapiPrivatePostAlgoOrder",
                order,
                algoType="CONDITIONAL",
                type="STOP_MARKET",
                triggerPrice=price_of(order),
                workingType="MARK_PRICE",
                reduceOnly=flag(order.reduce_only),
                clientAlgoId=order.client_id,
            )
            return self._taken(row)
        parameters: dict[str, str] = {"type": "MARKET"}
        if order.kind is OrderKind.LIMIT:
            parameters = {
                "type": "LIMIT",
                "timeInForce": "GTC",
                "price": price_of(order),
            }
        return self._taken(
            self._post(
                "fapiPrivatePostOrder",
                order,
                reduceOnly=flag(order.reduce_only),
                newClientOrderId=order.client_id,
                newOrderRespType="RESULT",
                **parameters,
            )
        )

    def send_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        """Send the stop, which protects, then the target.

        Where the target was refused the stop is taken back. Where it is not known
        whether it was taken, the stop stays: both are to be looked for.
        """
        stopped = self.send(stop)
        try:
            return stopped, self.send(target)
        except AmbiguousError:
            raise
        except ExchangeError as error:
            self._take_back(stop, error)
            raise

    def _take_back(self, stop: OrderRequest, reason: ExchangeError) -> None:
        try:
            canceled = self._cancel(
                "fapiPrivateDeleteAlgoOrder", clientAlgoId=stop.client_id
            )
        except ExchangeError as error:
            raise AmbiguousError(
                f"The target was not taken ({reason}), and whether the stop is still "
                f"there is not known: {error}"
            ) from error
        if not canceled:
            raise AmbiguousError(
                f"The target was not taken ({reason}), and the stop has been triggered."
            ) from reason

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        # The order that a stop becomes may have the same name: the stop comes first.
        row = self._find("fapiPrivateGetAlgoOrder", clientAlgoId=client_id)
        if row is None:
            row = self._find(
                "fapiPrivateGetOrder", symbol=symbol, origClientOrderId=client_id
            )
        if row is None:
            return None
        with understood(UnavailableError):
            return self._report(row)

    def cancel(self, symbol: str, client_id: str) -> None:
        if not self._cancel("fapiPrivateDeleteAlgoOrder", clientAlgoId=client_id):
            self._cancel(
                "fapiPrivateDeleteOrder", symbol=symbol, origClientOrderId=client_id
            )

    def held(self, symbol: str) -> Decimal:
        with understood(UnavailableError):
            rows = self._client.read("fapiPrivateV3GetPositionRisk", symbol=symbol)
            sides = {row["positionSide"]: Decimal(row["positionAmt"]) for row in rows}
            return sum(sides.values(), Decimal(0))

    def free(self, asset: str) -> Decimal:
        with understood(UnavailableError):
            for row in self._client.read("fapiPrivateV3GetBalance"):
                if row["asset"] == asset:
                    return Decimal(row["availableBalance"])
        return Decimal(0)

    def price(self, symbol: str) -> Decimal:
        with understood(UnavailableError):
            row = self._client.read("fapiPublicV2GetTickerPrice", symbol=symbol)
            return Decimal(row["price"])

    def liquidations(self, symbol: str, since: dt.datetime) -> Sequence[OrderReport]:
        with understood(UnavailableError):
            rows = self._client.read(
                "fapiPrivateGetForceOrders",
                symbol=symbol,
                startTime=(since - EPOCH) // MILLISECOND,
                limit=_FORCE_ORDERS,
            )
            reports = [
                self._report(row)
                for row in {row["orderId"]: row for row in rows}.values()
            ]
        # Those of a deleveraging all have the same name.
        return [
            replace(report, client_id=f"autoclose-{report.order_id}")
            for report in reports
        ]

    def prepare(self, symbol: str, leverage: int) -> None:
        if self._is_dual():
            self._change("PositionSideDual", dualSidePosition="false")
        margin, now = self._configuration(symbol)
        if margin != "ISOLATED":
            self._change("MarginType", symbol=symbol, marginType="ISOLATED")
        if now != leverage:
            self._change("Leverage", symbol=symbol, leverage=leverage)
        if self._is_dual() or self._configuration(symbol) != ("ISOLATED", leverage):
            raise RejectedError(
                f"Binance does not keep {symbol} at leverage {leverage}, isolated "
                "margin and one-way mode."
            )

    def _is_dual(self) -> bool:
        with understood(UnavailableError):
            row = self._client.read("fapiPrivateGetPositionSideDual")
            return row["dualSidePosition"] is not False

    def _configuration(self, symbol: str) -> tuple[str, int]:
        with understood(UnavailableError):
            rows = self._client.read("fapiPrivateGetSymbolConfig", symbol=symbol)
            row = {row["symbol"]: row for row in rows}[symbol]
            return row["marginType"], int(row["leverage"])

    def _change(self, what: str, **parameters: Any) -> None:
        """Set something, which twice is no more than once; it is read back later."""
        try:
            self._client.repeat(f"fapiPrivatePost{what}", **parameters)
        except RejectedError as error:
            if error.code not in _UNCHANGED:
                raise

    def _first_page(self, row: Any) -> dict[str, int]:
        updated = EPOCH + int(row["updateTime"]) * MILLISECOND
        if dt.datetime.now(dt.UTC) - updated < _TOLD:
            return {}
        return {
            "startTime": (updated - _TOLD - EPOCH) // MILLISECOND,
            "endTime": int(row["updateTime"]) + 1,
        }

    def _report(self, row: Any) -> OrderReport:
        if "algoId" not in row:
            return super()._report(row)
        became = row.get("actualOrderId")
        if not became or became == "0":
            status = _CONDITIONAL_STATUSES[row["algoStatus"]]
            fills: Sequence[FillReport] = ()
        else:
            order = self._find(
                "fapiPrivateGetOrder", symbol=row["symbol"], orderId=became
            )
            if order is None:
                raise UnavailableError("Binance does not know a triggered order yet.")
            report = super()._report(order)
            status, fills = report.status, report.fills
        return OrderReport(
            client_id=row["clientAlgoId"],
            order_id=str(row["algoId"]),
            status=status,
            fills=fills,
        )
