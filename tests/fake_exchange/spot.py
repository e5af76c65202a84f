"""The spot market of the fake exchange."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.fake_exchange.market import (
    Market,
    Order,
    Params,
    Refusal,
    choice,
    client_id,
    number,
    take,
    text,
)

_BNB_DISCOUNT = Decimal("0.75")


@dataclass
class Spot(Market):
    """Balances are kept to the last digit. A commission is in what was received, or in
    BNB where ``bnb_price`` says what one costs.
    """

    balances: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    locked: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    bnb_price: Decimal | None = None

    # --- Endpoints ----------------------------------------------------------------

    def post_order(self, parameters: Params) -> dict[str, Any]:
        kind = choice(parameters, "type", "MARKET", "LIMIT", "LIMIT_MAKER", "STOP_LOSS")
        parameters.pop("newOrderRespType", None)
        values: dict[str, Any] = {}
        if kind in {"LIMIT", "LIMIT_MAKER"}:
            values["price"] = number(parameters, "price")
        if kind == "LIMIT":
            choice(parameters, "timeInForce", "GTC")
        if kind == "STOP_LOSS":
            values["stop"] = number(parameters, "stopPrice")
        order = self.new_order(parameters, kind, **values)
        self._place(order)
        return shown(order)

    def post_oco(self, parameters: Params) -> dict[str, Any]:
        parameters.pop("newOrderRespType", None)
        list_name = client_id(take(parameters, "listClientOrderId"))
        if choice(parameters, "side", "BUY", "SELL") != "SELL":
            raise Refusal(-1104, "Only lists that sell are known here.")
        choice(parameters, "aboveType", "LIMIT_MAKER")
        choice(parameters, "belowType", "STOP_LOSS")
        common = {"symbol": take(parameters, "symbol"), "side": "SELL"}
        common["quantity"] = take(parameters, "quantity")
        above = self.new_order(
            dict(common),
            "LIMIT_MAKER",
            price=number(parameters, "abovePrice"),
            client_id=client_id(take(parameters, "aboveClientOrderId")),
        )
        below = self.new_order(
            dict(common),
            "STOP_LOSS",
            stop=number(parameters, "belowStopPrice"),
            client_id=client_id(take(parameters, "belowClientOrderId")),
        )
        if above.client_id == below.client_id:
            raise self.duplicate()
        last = self.prices[above.symbol]
        if not above.price > last > below.stop:
            raise Refusal(
                -2010, "The relationship of the prices for the orders is not correct."
            )
        self._reserve(above)
        above.list_id = below.list_id = self.next_id()
        self.orders |= {below.order_id: below, above.order_id: above}
        return {
            "orderListId": above.list_id,
            "contingencyType": "OCO",
            "listClientOrderId": list_name,
            "symbol": above.symbol,
            "orderReports": [shown(below), shown(above)],
        }

    def get_order(self, parameters: Params) -> dict[str, Any]:
        return shown(self.find(parameters))

    def delete_order(self, parameters: Params) -> dict[str, Any]:
        order = self.find_open(parameters)
        for each in [order, *self._others(order)]:
            self.end(each, "CANCELED")
        return shown(order)

    def get_account(self, parameters: Params) -> dict[str, Any]:
        parameters.pop("omitZeroBalances", None)
        return {
            "canTrade": True,
            "canWithdraw": True,  # the account's, whatever the key may do
            "permissions": ["SPOT"],
            "balances": [
                {
                    "asset": asset,
                    "free": text(self.free(asset)),
                    "locked": text(self.locked[asset]),
                }
                for asset in list(self.balances)
            ],
        }

    # --- The account --------------------------------------------------------------

    def deposit(self, asset: str, amount: str | Decimal) -> None:
        self.balances[asset] += Decimal(amount)

    def free(self, asset: str) -> Decimal:
        return self.balances[asset] - self.locked[asset]

    def settle(
        self, order: Order, quantity: Decimal, price: Decimal, rate: Decimal
    ) -> tuple[Decimal, str]:
        rules = self.rules[order.symbol]
        quote = quantity * price
        self.balances[rules.base] += order.sign * quantity
        self.balances[rules.quote] -= order.sign * quote
        if order.reserved:
            spent = quantity if order.side == "SELL" else quantity * order.price
            self._release(order, spent)
        received = (
            (rules.base, quantity) if order.side == "BUY" else (rules.quote, quote)
        )
        asset, commission = received[0], received[1] * rate
        if self.bnb_price:
            asset, commission = "BNB", quote * rate * _BNB_DISCOUNT / self.bnb_price
        self.balances[asset] -= commission
        return commission, asset

    def end(self, order: Order, status: str) -> None:
        super().end(order, status)
        self._release(order, order.reserved)

    def match(self, symbol: str) -> None:
        last = self.prices[symbol]
        for order in [each for each in self.orders.values() if each.symbol == symbol]:
            if not order.is_open:  # perhaps only since another one was executed
                continue
            if order.stop:
                if last <= order.stop:
                    self._end_others(order)
                    self.take_from_book(order)
            elif order.sign * (order.price - last) >= 0:
                self._end_others(order)
                self.touch(order)

    def _place(self, order: Order) -> None:
        rules = self.rules[order.symbol]
        last = self.prices[order.symbol]
        crosses = order.price and order.sign * (order.price - last) >= 0
        if order.kind == "LIMIT_MAKER" and crosses:
            raise Refusal(-2010, "Order would immediately match and take.")
        if order.kind == "STOP_LOSS":
            if order.side == "BUY":
                raise Refusal(-2010, "Only stops that sell are known here.")
            if last <= order.stop:
                raise Refusal(-2010, "Stop price would trigger immediately.")
        if order.kind == "MARKET" or crosses:
            cost = order.quantity * last if order.side == "BUY" else order.quantity
            self._check(rules.quote if order.side == "BUY" else rules.base, cost)
            self.orders[order.order_id] = order
            self.take_from_book(order)
        else:
            self._reserve(order)
            self.orders[order.order_id] = order

    def _check(self, asset: str, amount: Decimal) -> None:
        if self.free(asset) < amount:
            raise Refusal(
                -2010, "Account has insufficient balance for requested action."
            )

    def _reserve(self, order: Order) -> None:
        buys = order.side == "BUY"
        amount = order.quantity * order.price if buys else order.quantity
        asset = self._reserved_asset(order)
        self._check(asset, amount)
        order.reserved = amount
        self.locked[asset] += amount

    def _release(self, order: Order, amount: Decimal) -> None:
        order.reserved -= amount
        self.locked[self._reserved_asset(order)] -= amount

    def _reserved_asset(self, order: Order) -> str:
        rules = self.rules[order.symbol]
        return rules.quote if order.side == "BUY" else rules.base

    def _others(self, order: Order) -> list[Order]:
        return [
            each
            for each in self.orders.values()
            if each.list_id == order.list_id != -1
            and each is not order
            and each.is_open
        ]

    def _end_others(self, order: Order) -> None:
        for other in self._others(order):
            self.end(other, "EXPIRED")


def shown(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "stopPrice": text(order.stop),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed),
        "cummulativeQuoteQty": text(order.quote),
        "status": order.status,
        "type": order.kind,
        "side": order.side,
        "time": order.time,
    }
