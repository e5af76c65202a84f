"""What fills come to: positions by average cost, trades in their documented columns.

Fees count as soon as they are paid. So at any time what a position has realised, and
what it would gain if the rest were sold, is by how much it has changed the account.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from trading.models import Fill, Order, Position, Trade
from trading.running.rules import Filters

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The sums of fills: base coins, and amounts in the quote asset."""

    quantity: Decimal
    quote: Decimal
    fees: Decimal


def figures(fills: Iterable[Fill], *, base_asset: str) -> Figures:
    """Sum fills up.

    A commission that was taken of the coins themselves makes them fewer; it counts as
    a fee at the price of its fill, and those coins as never bought.
    """
    quantity = quote = fees = _ZERO
    for fill in fills:
        coins = fill.quantity
        if fill.commission_asset == base_asset and fill.order.side == "BUY":
            coins -= fill.commission
        quantity += coins
        quote += coins * fill.price
        fees += fill.commission_quote
    return Figures(quantity=quantity, quote=quote, fees=fees)


def position_account(
    position: Position, fills: Iterable[Fill], *, base_asset: str
) -> None:
    """Set the sums and the profit of a position from all its fills."""
    entries: list[Fill] = []
    exits: list[Fill] = []
    for fill in fills:
        is_entry = fill.order.role == Order.Role.ENTRY
        (entries if is_entry else exits).append(fill)
    entry = figures(entries, base_asset=base_asset)
    exit_ = figures(exits, base_asset=base_asset)
    position.entry_quantity, position.entry_quote = entry.quantity, entry.quote
    position.exit_quantity, position.exit_quote = exit_.quantity, exit_.quote
    position.entry_fees, position.exit_fees = entry.fees, exit_.fees
    position.realized_pnl = (
        _gross(position, exit_.quantity, exit_.quote) - entry.fees - exit_.fees
    )


def trade_of(order: Order, fills: Sequence[Fill], filters: Filters) -> Trade:
    """Return an order's trade, not stored: averages and sums of its fills.

    ``pnl`` is what a closing order has gained by its price, ``realized_pnl`` the same
    after its fees and its share of those of the entry.
    """
    quantity = sum((fill.quantity for fill in fills), _ZERO)
    quote = sum((fill.quantity * fill.price for fill in fills), _ZERO)
    own = figures(fills, base_asset=filters.base_asset)
    commission, asset = _commission(fills, filters.quote_asset)
    trade = Trade(
        bot_config_id=order.bot_id,
        user_id=order.bot.user_id,
        binance_order_id=order.exchange_id,
        symbol=order.symbol,
        side=order.side,
        order_type=order.kind,
        price=quote / quantity,
        quantity_filled=quantity,
        quote_quantity_filled=quote,
        commission_amount=commission,
        commission_asset=asset,
        timestamp=max(fill.filled_at for fill in fills),
    )
    position = order.position
    if order.role != Order.Role.ENTRY and position is not None:
        share = own.quantity / position.entry_quantity
        trade.pnl = _gross(position, own.quantity, own.quote)
        trade.realized_pnl = trade.pnl - position.entry_fees * share - own.fees
    return trade


def _gross(position: Position, quantity: Decimal, quote: Decimal) -> Decimal:
    """Return what closing a part of a position has gained by its price."""
    if not quantity:
        return _ZERO
    cost = position.entry_quote
    if quantity != position.entry_quantity:  # a division is not exact
        cost = cost * quantity / position.entry_quantity
    return position.sign * (quote - cost)


def _commission(fills: Sequence[Fill], quote_asset: str) -> tuple[Decimal, str | None]:
    """Return the commission in its asset; where there are several, in the quote's."""
    assets = {fill.commission_asset for fill in fills if fill.commission}
    if len(assets) > 1:
        return sum((fill.commission_quote for fill in fills), _ZERO), quote_asset
    total = sum((fill.commission for fill in fills), _ZERO)
    return total, assets.pop() if assets else None
