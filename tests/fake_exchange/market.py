"""What both markets of the fake exchange share: symbols, filters, orders, trades."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

OPEN = frozenset({"NEW", "PARTIALLY_FILLED"})

Params = dict[str, str]
_CLIENT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")
_PLAIN = re.compile(r"\d{1,20}(\.\d{1,20})?")


class Refusal(Exception):
    """An answer of Binance that is an error."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass
class Rules:
    """The filters of a symbol."""

    base: str
    quote: str
    tick: Decimal
    step: Decimal
    min_notional: Decimal
    max_quantity: Decimal = Decimal(9000)


@dataclass
class Order:
    order_id: int
    client_id: str
    symbol: str
    side: str
    kind: str
    quantity: Decimal
    time: int
    updated: int = 0
    price: Decimal = Decimal(0)
    stop: Decimal = Decimal(0)
    reduce_only: bool = False
    status: str = "NEW"
    executed: Decimal = Decimal(0)
    quote: Decimal = Decimal(0)
    list_id: int = -1
    reserved: Decimal = Decimal(0)
    visible_at: float = 0  # by the monotonic clock; what lags is not found before

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def left(self) -> Decimal:
        return self.quantity - self.executed

    @property
    def sign(self) -> int:
        return 1 if self.side == "BUY" else -1


@dataclass
class Market:
    """Prices, orders and trades; what an execution does to the account is up to those
    below. ``parts`` is in how many pieces an order executes: one that takes at once,
    one in the book by one piece each time the price touches it.
    """

    now: Callable[[], int]  # milliseconds
    rules: dict[str, Rules] = field(default_factory=dict)
    prices: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    trades: list[dict[str, Any]] = field(default_factory=list)
    taker_rate: Decimal = Decimal("0.001")
    maker_rate: Decimal = Decimal("0.001")
    parts: int = 1
    lag_s: float = 0  # of the orders that come next
    _ids: Iterable[int] = field(default_factory=lambda: itertools.count(1))

    def next_id(self) -> int:
        return next(iter(self._ids))

    def add_symbol(
        self,
        symbol: str,
        price: str,
        *,
        base: str,
        quote: str = "USDT",
        tick: str = "0.01",
        step: str = "0.00001",
        min_notional: str = "5",
    ) -> None:
        numbers = map(Decimal, (tick, step, min_notional))
        self.rules[symbol] = Rules(base, quote, *numbers)
        self.prices[symbol] = Decimal(price)

    def set_price(self, symbol: str, price: str | Decimal) -> None:
        """Move the last price, and execute what waits for it."""
        self.prices[symbol] = Decimal(price)
        self.match(symbol)

    def path(self, symbol: str, prices: Iterable[str | Decimal]) -> None:
        for price in prices:
            self.set_price(symbol, price)

    def match(self, symbol: str) -> None:
        raise NotImplementedError

    def settle(
        self, order: Order, quantity: Decimal, price: Decimal, commission: Decimal
    ) -> tuple[Decimal, str]:
        """Change the account; return the commission and its asset."""
        raise NotImplementedError

    def end(self, order: Order, status: str) -> None:
        order.status = status

    # --- Orders -------------------------------------------------------------------

    def new_order(self, parameters: Params, kind: str, **values: Any) -> Order:
        """Make an order of checked parameters, not yet in the book."""
        symbol, rules = self.symbol(parameters)
        order = Order(
            order_id=self.next_id(),
            client_id=values.pop("client_id", None)
            or client_id(take(parameters, "newClientOrderId")),
            symbol=symbol,
            side=choice(parameters, "side", "BUY", "SELL"),
            kind=kind,
            quantity=number(parameters, "quantity"),
            time=self.now(),
            visible_at=time.monotonic() + self.lag_s,
            **values,
        )
        if any(
            each.client_id == order.client_id and each.is_open
            for each in self.orders.values()
        ):
            raise self.duplicate()
        self.check_quantity(rules, order.quantity)
        for price in filter(None, (order.price, order.stop)):
            self.check_price(rules, price)
        worth = order.quantity * (order.price or order.stop or self.prices[symbol])
        if worth < rules.min_notional and not order.reduce_only:
            raise self.too_small()
        return order

    def duplicate(self) -> Refusal:
        return Refusal(-2010, "Duplicate order sent.")

    def too_small(self) -> Refusal:
        return Refusal(-1013, "Filter failure: NOTIONAL")

    def check_quantity(self, rules: Rules, quantity: Decimal) -> None:
        if not rules.step <= quantity <= rules.max_quantity or quantity % rules.step:
            raise Refusal(-1013, "Filter failure: LOT_SIZE")

    def check_price(self, rules: Rules, price: Decimal) -> None:
        if price <= 0 or price % rules.tick:
            raise Refusal(-1013, "Filter failure: PRICE_FILTER")

    def symbol(self, parameters: Params) -> tuple[str, Rules]:
        symbol = take(parameters, "symbol")
        if symbol not in self.rules:
            raise Refusal(-1121, "Invalid symbol.")
        return symbol, self.rules[symbol]

    def find(self, parameters: Params) -> Order:
        """Return an order by one of its ids; the last one that had it."""
        symbol, _ = self.symbol(parameters)
        order_id = parameters.pop("orderId", None)
        name = parameters.pop("origClientOrderId", None)
        if order_id is None and name is None:
            raise Refusal(-1102, "orderId or origClientOrderId must be sent.")
        for order in reversed(self.orders.values()):
            named = name is None or order.client_id == name
            numbered = order_id is None or str(order.order_id) == order_id
            if order.symbol == symbol and named and numbered and visible(order):
                return order
        raise Refusal(-2013, "Order does not exist.")

    def find_open(self, parameters: Params) -> Order:
        try:
            order = self.find(parameters)
        except Refusal as error:
            if error.code != -2013:
                raise
            raise Refusal(-2011, "Unknown order sent.") from error
        if not order.is_open:
            raise Refusal(-2011, "Unknown order sent.")
        return order

    def by_client_id(self, name: str) -> list[Order]:
        """Return all orders that ever had a client id, the tests' way to count."""
        return [each for each in self.orders.values() if each.client_id == name]

    # --- Executions ---------------------------------------------------------------

    def take_from_book(self, order: Order, quantity: Decimal | None = None) -> None:
        """Execute an order at the last price, each further part a tick worse."""
        rules = self.rules[order.symbol]
        left = order.left if quantity is None else quantity
        price = self.prices[order.symbol]
        part = max(left / self.parts // rules.step * rules.step, rules.step)
        while left:
            piece = left if left < 2 * part else part
            self.execute(order, piece, price, maker=False)
            left -= piece
            price += order.sign * rules.tick

    def touch(self, order: Order, quantity: Decimal | None = None) -> None:
        """Execute a part of an order in the book, at its price."""
        left = order.left if quantity is None else quantity
        step = self.rules[order.symbol].step
        part = order.quantity / self.parts // step * step
        self.execute(order, min(max(part, step), left), order.price, maker=True)

    def execute(
        self, order: Order, quantity: Decimal, price: Decimal, *, maker: bool
    ) -> None:
        rate = self.maker_rate if maker else self.taker_rate
        commission, asset = self.settle(order, quantity, price, rate)
        order.executed += quantity
        order.quote += quantity * price
        order.updated = self.now()
        self.trades.append(
            {
                "symbol": order.symbol,
                "id": self.next_id(),
                "orderId": order.order_id,
                "side": order.side,
                "price": text(price),
                "qty": text(quantity),
                "quoteQty": text(quantity * price),
                "commission": text(commission),
                "commissionAsset": asset,
                "time": self.now(),
                "maker": maker,
            }
        )
        if order.left:
            order.status = "PARTIALLY_FILLED"
        else:
            self.end(order, "FILLED")

    def trades_of(self, parameters: Params) -> list[dict[str, Any]]:
        symbol, _ = self.symbol(parameters)
        order_id = int(take(parameters, "orderId"))
        first = int(parameters.pop("fromId", "0"))
        limit = int(parameters.pop("limit", "500"))
        told = self.told_times(parameters, paged=first > 0)
        return [
            trade
            for trade in self.trades
            if trade["time"] in told
            and (trade["symbol"], trade["orderId"]) == (symbol, order_id)
            and trade["id"] >= first
            and visible(self.orders[order_id])
        ][:limit]

    def told_times(self, parameters: Params, *, paged: bool) -> range:
        """Return of which milliseconds trades are told."""
        return range(self.now() + 1)


def visible(order: Order) -> bool:
    return order.visible_at <= time.monotonic()


def take(parameters: Params, name: str) -> str:
    if not parameters.get(name):
        raise Refusal(-1102, f"Mandatory parameter '{name}' was not sent.")
    return parameters.pop(name)


def number(parameters: Params, name: str) -> Decimal:
    value = take(parameters, name)
    if not _PLAIN.fullmatch(value):  # 1e-05 is none, as with Binance
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
    return Decimal(value)


def choice(parameters: Params, name: str, *choices: str) -> str:
    value = take(parameters, name)
    if value not in choices:
        raise Refusal(-1116, f"Invalid {name}.")
    return value


def client_id(value: str) -> str:
    if not _CLIENT_ID.fullmatch(value):
        raise Refusal(-1100, "Illegal characters found in a client order id.")
    return value


def text(value: Decimal) -> str:
    return format(value, "f")
