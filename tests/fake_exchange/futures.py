"""The futures market (USDⓈ-M) of the fake exchange."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_UP, Decimal
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
    visible,
)

_WEEK_MS = 7 * 24 * 60 * 60 * 1000
MAINTENANCE = Decimal("0.004")  # of the notional


@dataclass
class Position:
    amount: Decimal = Decimal(0)
    entry: Decimal = Decimal(0)
    margin: Decimal = Decimal(0)
    leverage: int = 20
    margin_type: str = "CROSSED"

    def liquidation_price(self) -> Decimal:
        """Return where an isolated position has only its maintenance margin left."""
        sign = 1 if self.amount > 0 else -1
        buffer = self.margin / abs(self.amount)
        return (self.entry - sign * buffer) / (1 - sign * MAINTENANCE)


@dataclass
class Conditional:
    """An order of the algo service; ``child`` is the one it has become."""

    order: Order
    status: str = "NEW"
    child: Order | None = None

    @property
    def is_open(self) -> bool:
        return self.status == "NEW"


@dataclass
class Futures(Market):
    """One wallet in USDT, one position a symbol. Stops watch the mark price, which is
    the last price unless ``marks`` has another.
    """

    taker_rate: Decimal = Decimal("0.0005")
    maker_rate: Decimal = Decimal("0.0002")
    wallet: Decimal = Decimal(0)  # margins of positions included
    marks: dict[str, Decimal] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    conditionals: dict[int, Conditional] = field(default_factory=dict)
    dual_side: bool = False
    max_leverage: int = 125

    # --- Endpoints ----------------------------------------------------------------

    def post_order(self, parameters: Params) -> dict[str, Any]:
        if parameters.get("type") in {"STOP_MARKET", "TAKE_PROFIT_MARKET", "STOP"}:
            raise Refusal(
                -4120,
                "Order type not supported for this endpoint. Please use the Algo Order "
                "API endpoints instead.",
            )
        kind = choice(parameters, "type", "MARKET", "LIMIT")
        parameters.pop("newOrderRespType", None)
        values: dict[str, Any] = {"reduce_only": _flag(parameters, "reduceOnly")}
        if kind == "LIMIT":
            values["price"] = number(parameters, "price")
            choice(parameters, "timeInForce", "GTC")
        order = self.new_order(parameters, kind, **values)
        self._place(order)
        return shown(order)

    def post_algo_order(self, parameters: Params) -> dict[str, Any]:
        choice(parameters, "algoType", "CONDITIONAL")
        kind = choice(parameters, "type", "STOP_MARKET")
        choice(parameters, "workingType", "MARK_PRICE")
        name = client_id(take(parameters, "clientAlgoId"))
        if any(
            each.order.client_id == name and each.is_open
            for each in self.conditionals.values()
        ):
            raise self.duplicate()
        order = self.new_order(
            parameters,
            kind,
            stop=number(parameters, "triggerPrice"),
            reduce_only=_flag(parameters, "reduceOnly"),
            client_id=name,
        )
        # The mark price would have to come to the trigger from the other side.
        if order.sign * (self.mark(order.symbol) - order.stop) >= 0:
            raise Refusal(-2021, "Order would immediately trigger.")
        conditional = self.conditionals[order.order_id] = Conditional(order)
        return _shown_conditional(conditional)

    def get_order(self, parameters: Params) -> dict[str, Any]:
        return shown(self.find(parameters))

    def delete_order(self, parameters: Params) -> dict[str, Any]:
        order = self.find_open(parameters)
        self.end(order, "CANCELED")
        return shown(order)

    def get_algo_order(self, parameters: Params) -> dict[str, Any]:
        return _shown_conditional(self._conditional(parameters))

    def delete_algo_order(self, parameters: Params) -> dict[str, Any]:
        try:
            conditional = self._conditional(parameters)
        except Refusal as error:
            raise Refusal(-2011, "Unknown order sent.") from error
        if not conditional.is_open:
            raise Refusal(-2011, "Unknown order sent.")
        conditional.status = "CANCELED"
        return {
            "algoId": conditional.order.order_id,
            "clientAlgoId": conditional.order.client_id,
            "code": "200",
            "msg": "success",
        }

    def told_times(self, parameters: Params, *, paged: bool) -> range:
        """Return the last week, or what was asked for, of a week at most."""
        bounds = [parameters.pop(name, None) for name in ("startTime", "endTime")]
        if bounds == [None, None]:
            return range(self.now() - _WEEK_MS, self.now() + 1)
        if paged or None in bounds:
            raise Refusal(-1128, "Combination of optional parameters invalid.")
        start, end = (int(bound or 0) for bound in bounds)
        if not 0 <= end - start <= _WEEK_MS:
            raise Refusal(-4166, "Search window is restricted to recent 7 days only.")
        return range(start, end + 1)

    def get_force_orders(self, parameters: Params) -> list[dict[str, Any]]:
        symbol, _ = self.symbol(parameters)
        since = int(parameters.pop("startTime", "0"))
        until = int(parameters.pop("endTime", str(self.now())))
        limit = int(parameters.pop("limit", "50"))
        return [
            shown(order)
            for order in self.orders.values()
            if order.client_id.startswith("autoclose-")
            and order.symbol == symbol
            and since <= order.time <= until
        ][:limit]

    def get_position_risk(self, parameters: Params) -> list[dict[str, Any]]:
        symbol, _ = self.symbol(parameters)
        position = self.position(symbol)
        if not position.amount:
            return []
        return [
            {
                "symbol": symbol,
                "positionSide": "BOTH",
                "positionAmt": text(position.amount),
                "entryPrice": text(position.entry),
                "isolatedMargin": text(position.margin),
                "liquidationPrice": text(position.liquidation_price()),
            }
        ]

    def get_balance(self, parameters: Params) -> list[dict[str, Any]]:
        return [
            {
                "asset": "USDT",
                "balance": text(self.wallet),
                "availableBalance": text(self.available()),
            }
        ]

    def get_account_config(self, parameters: Params) -> dict[str, Any]:
        return {"canTrade": True, "canWithdraw": True, "canDeposit": True}

    def get_symbol_config(self, parameters: Params) -> list[dict[str, Any]]:
        symbol, _ = self.symbol(parameters)
        position = self.position(symbol)
        return [
            {
                "symbol": symbol,
                "marginType": position.margin_type,
                "isAutoAddMargin": False,
                "leverage": position.leverage,
            }
        ]

    def post_leverage(self, parameters: Params) -> dict[str, Any]:
        symbol, _ = self.symbol(parameters)
        leverage = int(take(parameters, "leverage"))
        if not 1 <= leverage <= self.max_leverage:
            raise Refusal(-4028, f"Leverage {leverage} is not valid")
        position = self.position(symbol)
        if position.amount and leverage < position.leverage:
            raise Refusal(
                -4161,
                "Leverage reduction is not supported in Isolated Margin Mode with open "
                "positions.",
            )
        position.leverage = leverage
        return {"symbol": symbol, "leverage": leverage, "maxNotionalValue": "1000000"}

    def post_margin_type(self, parameters: Params) -> dict[str, Any]:
        symbol, _ = self.symbol(parameters)
        wanted = choice(parameters, "marginType", "ISOLATED", "CROSSED")
        position = self.position(symbol)
        if position.margin_type == wanted:
            raise Refusal(-4046, "No need to change margin type.")
        if position.amount:
            raise Refusal(
                -4048, "Margin type cannot be changed if there exists position."
            )
        position.margin_type = wanted
        return {"code": 200, "msg": "success"}

    def get_dual_side(self, parameters: Params) -> dict[str, Any]:
        return {"dualSidePosition": self.dual_side}

    def post_dual_side(self, parameters: Params) -> dict[str, Any]:
        wanted = _flag(parameters, "dualSidePosition")
        if wanted == self.dual_side:
            raise Refusal(-4059, "No need to change position side.")
        if any(position.amount for position in self.positions.values()):
            raise Refusal(
                -4068, "Position side cannot be changed if there exists position."
            )
        self.dual_side = wanted
        return {"code": 200, "msg": "success"}

    # --- The account --------------------------------------------------------------

    def position(self, symbol: str) -> Position:
        return self.positions.setdefault(symbol, Position())

    def deposit(self, amount: str | Decimal) -> None:
        self.wallet += Decimal(amount)

    def available(self) -> Decimal:
        return self.wallet - sum(each.margin for each in self.positions.values())

    def mark(self, symbol: str) -> Decimal:
        return self.marks.get(symbol, self.prices[symbol])

    def set_mark(self, symbol: str, price: str | Decimal) -> None:
        """Move the mark price alone."""
        self.marks[symbol] = Decimal(price)
        self.match(symbol)

    def duplicate(self) -> Refusal:
        return Refusal(-4116, "ClientOrderId is duplicated.")

    def too_small(self) -> Refusal:
        return Refusal(-4164, "Order's notional must be no smaller than the minimum.")

    def settle(
        self, order: Order, quantity: Decimal, price: Decimal, rate: Decimal
    ) -> tuple[Decimal, str]:
        position = self.position(order.symbol)
        signed = order.sign * quantity
        if position.amount * signed >= 0:  # opens or adds
            total = position.amount + signed
            worth = position.entry * position.amount + price * signed
            position.entry = worth / total
            position.margin += quantity * price / position.leverage
        else:
            closed = min(quantity, abs(position.amount))
            gain = (price - position.entry) * closed * -order.sign
            self.wallet += gain
            # Not less the closed part: what is left of all would be rounded, not 0.
            position.margin *= 1 - closed / abs(position.amount)
            if quantity > closed:  # turns over
                position.entry = price
                position.margin = (quantity - closed) * price / position.leverage
        position.amount += signed
        commission = quantity * price * rate
        self.wallet -= commission
        return commission, "USDT"

    def match(self, symbol: str) -> None:
        mark, last = self.mark(symbol), self.prices[symbol]
        for conditional in list(self.conditionals.values()):
            stop = conditional.order
            if (
                stop.symbol == symbol
                and conditional.is_open
                and stop.sign * (mark - stop.stop) >= 0
            ):
                self._trigger(conditional)
        for order in list(self.orders.values()):
            reached = order.sign * (order.price - last) >= 0
            if order.symbol == symbol and order.is_open and order.price and reached:
                self._touch(order)
        position = self.position(symbol)
        if position.amount and position.margin_type == "ISOLATED":
            sign = 1 if position.amount > 0 else -1
            if sign * (mark - position.liquidation_price()) <= 0:
                self._liquidate(symbol, position)

    def _place(self, order: Order) -> None:
        last = self.prices[order.symbol]
        position = self.position(order.symbol)
        closes = position.amount * order.sign < 0
        if order.reduce_only and not closes:
            raise Refusal(-2022, "ReduceOnly Order is rejected.")
        if not closes and self.available() < order.quantity * (
            order.price or last
        ) / Decimal(position.leverage):
            raise Refusal(-2019, "Margin is insufficient.")
        self.orders[order.order_id] = order
        if not order.price or order.sign * (order.price - last) >= 0:
            self._take(order)

    def _take(self, order: Order) -> None:
        """Execute at once; one that only reduces, no more than there is."""
        quantity = self._closable(order) if order.reduce_only else order.left
        self.take_from_book(order, quantity)
        if order.left:
            self.end(order, "EXPIRED")

    def _touch(self, order: Order) -> None:
        if order.reduce_only and not self._closable(order):
            self.end(order, "EXPIRED")
        elif order.reduce_only:
            self.touch(order, self._closable(order))
        else:
            self.touch(order)

    def _closable(self, order: Order) -> Decimal:
        amount = self.position(order.symbol).amount
        return min(order.left, abs(amount)) if amount * order.sign < 0 else Decimal(0)

    def _trigger(self, conditional: Conditional) -> None:
        stop = conditional.order
        if stop.reduce_only and not self._closable(stop):
            conditional.status = "REJECTED"
            return
        child = conditional.child = Order(
            order_id=self.next_id(),
            client_id=stop.client_id,
            symbol=stop.symbol,
            side=stop.side,
            kind="MARKET",
            quantity=stop.quantity,
            time=self.now(),
            reduce_only=stop.reduce_only,
        )
        self.orders[child.order_id] = child
        self._take(child)
        conditional.status = "FINISHED"

    def _liquidate(self, symbol: str, position: Position) -> None:
        """Close a position where its margin is used up, whatever the price is now."""
        price = position.liquidation_price().quantize(
            self.rules[symbol].tick, rounding=ROUND_UP
        )
        order = Order(
            order_id=self.next_id(),
            client_id=f"autoclose-{self.now()}",
            symbol=symbol,
            side="SELL" if position.amount > 0 else "BUY",
            kind="LIMIT",
            quantity=abs(position.amount),
            time=self.now(),
        )
        self.orders[order.order_id] = order
        self.execute(order, order.quantity, price, maker=False)

    def _conditional(self, parameters: Params) -> Conditional:
        name = take(parameters, "clientAlgoId")
        for conditional in reversed(self.conditionals.values()):
            if conditional.order.client_id == name and visible(conditional.order):
                return conditional
        raise Refusal(-2013, "Order does not exist.")

    def by_client_id(self, name: str) -> list[Order]:
        plain = [
            order
            for order in super().by_client_id(name)
            if all(order is not each.child for each in self.conditionals.values())
        ]
        return plain + [
            each.order
            for each in self.conditionals.values()
            if each.order.client_id == name
        ]


def _flag(parameters: Params, name: str) -> bool:
    value = parameters.pop(name, "false")
    if value not in {"true", "false"}:
        raise Refusal(-1100, f"Illegal characters found in parameter '{name}'.")
    return value == "true"


def shown(order: Order) -> dict[str, Any]:
    average = order.quote / order.executed if order.executed else Decimal(0)
    return {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "clientOrderId": order.client_id,
        "price": text(order.price),
        "avgPrice": text(average),
        "origQty": text(order.quantity),
        "executedQty": text(order.executed),
        "cumQuote": text(order.quote),
        "status": order.status,
        "reduceOnly": order.reduce_only,
        "type": order.kind,
        "side": order.side,
        "time": order.time,
        "updateTime": order.updated or order.time,
    }


def _shown_conditional(conditional: Conditional) -> dict[str, Any]:
    order, child = conditional.order, conditional.child
    return {
        "algoId": order.order_id,
        "clientAlgoId": order.client_id,
        "algoType": "CONDITIONAL",
        "orderType": order.kind,
        "symbol": order.symbol,
        "side": order.side,
        "quantity": text(order.quantity),
        "algoStatus": conditional.status,
        "triggerPrice": text(order.stop),
        "actualOrderId": str(child.order_id) if child else "",
        "actualQty": text(child.executed) if child else "0",
        "workingType": "MARK_PRICE",
        "reduceOnly": order.reduce_only,
        "createTime": order.time,
    }
