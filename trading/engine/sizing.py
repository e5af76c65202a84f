"""How much to buy or to sell short. Units are those of the base asset."""

from __future__ import annotations

from enum import IntEnum

from trading.engine.types import Number


class SizeBy(IntEnum):
    """What the size in the rules means."""

    QUOTE = 0  # the notional of each entry, in the quote asset
    EQUITY = 1  # the notional, as a ratio of equity
    RISK = 2  # what is lost at the stop, as a ratio of equity


def loss_at_stop(
    price: Number,
    direction: int,
    stop_loss: Number,
    taker_fee: Number,
    slippage: Number,
) -> Number:
    """Return what a unit loses from its entry to its stop, with both commissions."""
    exit_price = price * (1 - direction * stop_loss) * (1 - direction * slippage)
    return direction * (price - exit_price) + taker_fee * (price + exit_price)


def units_wanted(
    size_by: int, size: Number, equity: Number, price: Number, loss: Number
) -> Number:
    """Return the units that the rules ask for; ``loss`` is that of ``loss_at_stop``."""
    if size_by == SizeBy.RISK:
        return equity * size / loss
    if size_by == SizeBy.EQUITY:
        return equity * size / price
    return size / price


def units_affordable(equity: Number, price: Number, leverage: Number) -> Number:
    """Return the units for which 95 % of equity are the margin.

    The rest is for commissions. On spot the margin is the whole price.
    """
    return equity * 95 / 100 * leverage / price


def units_sendable(
    units: Number,
    price: Number,
    step: Number,
    min_units: Number,
    min_notional: Number,
) -> Number:
    """Return the units rounded down to the exchange's step; 0 where that is too few.

    An order is never made larger than what was asked for. A ``step`` of 0 rounds
    nothing.
    """
    if step > 0:
        steps = units / step
        # 0.3 / 0.1 is a bit less than 3 in binary: a part in 10**12 is no step less.
        steps += steps / 10**12
        units = (steps - steps % 1) * step
    if units <= 0 or units < min_units or units * price < min_notional:
        return units * 0
    return units
