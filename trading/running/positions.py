"""Positions as their orders are filled: opened, counted, closed, told of."""

from __future__ import annotations

from decimal import Decimal

from bots.models import BotConfig, BotRun
from trading.engine.fills import effective_stop, level
from trading.engine.rules import Rules
from trading.models import Fill, Order, Position, Trade
from trading.notifications.models import Kind
from trading.notifications.outbox import notify
from trading.running.accounting import position_account, trade_of
from trading.running.rules import Plan

Role = Order.Role
Reason = Position.Reason

_INFINITY = Decimal("Infinity")


def position_after(
    order: Order, *, run: BotRun, plan: Plan, position: Position | None
) -> Position | None:
    """Store what new fills of an order make of the bot's position, and its trade.

    Returns the position where it is open still. In a transaction that holds the lease.
    """
    if order.position is None and order.role == Role.ENTRY:
        position = _opened(order, run, plan)
    elif order.position is not None:
        # One that is closed already: the order was filled twice over.
        position = position if position == order.position else order.position
    if position is None:
        raise AssertionError(f"order {order.pk} closes no position")
    fills = list(
        Fill.objects.filter(order__position=position)
        .select_related("order")
        .order_by("filled_at", "pk")
    )
    position_account(position, fills, base_asset=plan.filters.base_asset)
    if order.role == Role.ENTRY:
        _set_levels(position, plan.rules)
    elif plan.filters.quantity(position.quantity) <= 0:
        position.closed_at = max(fill.filled_at for fill in fills)
        position.reason = _reason(order, position)
    position.save()
    order.position = position
    _store_trade(order, [fill for fill in fills if fill.order_id == order.pk], plan)
    _tell(order, position)
    return None if position.closed_at else position


def stop_of(position: Position, rules: Rules) -> Decimal | None:
    """Return where the stop of a position is now; None where it has none."""
    stop = effective_stop(
        position.sign,
        -position.sign * _INFINITY
        if position.stop_price is None
        else position.stop_price,
        position.best_price,
        _INFINITY if rules.trailing_stop is None else rules.trailing_stop,
    )
    return stop if stop.is_finite() else None


def _opened(order: Order, run: BotRun, plan: Plan) -> Position:
    first = order.fills.order_by("filled_at", "pk")[0]
    is_long = order.side == "BUY"
    position = Position.objects.create(
        bot_id=order.bot_id,
        environment=order.environment,
        market=order.market,
        symbol=order.symbol,
        direction=Position.Direction.LONG if is_long else Position.Direction.SHORT,
        leverage=plan.rules.leverage,
        best_price=first.price,
        opened_at=first.filled_at,
    )
    order.position = position
    order.save(update_fields=["position"])
    run.day_entries += 1
    run.save(update_fields=["day_entries"])
    return position


def _set_levels(position: Position, rules: Rules) -> None:
    """Set stop and target by the average price of the entry so far."""
    price, sign = position.entry_price, position.sign
    if rules.stop_loss is not None:
        position.stop_price = level(price, sign, -rules.stop_loss)
    if rules.take_profit is not None:
        position.target_price = level(price, sign, rules.take_profit)
    better = max if sign > 0 else min
    position.best_price = better(position.best_price, price)


def _reason(order: Order, position: Position) -> str:
    match order.role:
        case Role.TARGET:
            return Reason.TP
        case Role.STOP:
            # It has trailed where it is nearer than where it began.
            first = position.stop_price
            trailed = first is None or position.sign * (order_price(order) - first) > 0
            return Reason.TRAIL if trailed else Reason.SL
        case Role.LIQUIDATION:
            return Reason.LIQUIDATION
    return position.reason or Reason.SIGNAL


def order_price(order: Order) -> Decimal:
    """Return the price of an order that has one."""
    assert order.price is not None  # noqa: S101  # a stop or a target
    return order.price


def _store_trade(order: Order, fills: list[Fill], plan: Plan) -> None:
    """Store the trade of an order, or what it has become with more fills."""
    trade = trade_of(order, fills, plan.filters)
    same = Trade.objects.filter(
        binance_order_id=trade.binance_order_id,
        bot_config_id=trade.bot_config_id,
        symbol=trade.symbol,
    ).first()
    if same is not None and same.pk != order.trade_id:
        # Its owner has imported it: the id is on that one.
        trade.binance_order_id = None
    if order.trade_id is not None:
        trade.pk = order.trade_id
    trade.save()
    order.trade = trade


def _tell(order: Order, position: Position) -> None:
    """Let the owner know, in the transaction of what is told."""
    trade, owner = order.trade, order.bot.user
    assert trade is not None  # noqa: S101  # it was stored just now
    notify(
        user=owner,
        kind=Kind.ORDER_FILLED,
        bot_id=order.bot_id,
        payload={
            "symbol": order.symbol,
            "side": order.side,
            "price": trade.price,
            "quantity": trade.quantity_filled,
            "order_id": order.exchange_id,
            "timestamp": trade.timestamp,
        },
    )
    if position.closed_at is not None:
        tell_closed(position, order.bot)


def tell_closed(position: Position, bot: BotConfig) -> None:
    """Let the owner know that a position is closed."""
    sold = position.exit_quantity
    notify(
        user=bot.user,
        kind=Kind.POSITION_CLOSED,
        bot_id=bot.pk,
        payload={
            "symbol": position.symbol,
            "direction": position.direction,
            "quantity": sold,
            "entry_price": position.entry_price,
            "exit_price": position.exit_quote / sold if sold else None,
            "realized_pnl": position.realized_pnl,
            "reason": position.reason,
            "opened_at": position.opened_at,
            "closed_at": position.closed_at,
        },
    )
