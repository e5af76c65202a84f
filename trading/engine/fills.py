"""At which price orders are filled, and what that costs.

``direction`` is 1 for a long position and -1 for a short one. Prices are in the quote
asset, rates are ratios: 0.01 means 1 %. What is switched off is infinite: a stop at an
infinite distance is never touched.
"""

from __future__ import annotations

from trading.engine.types import Number, Reason


def market_fill(price: Number, side: int, slippage: Number) -> Number:
    """Return what a market order gets where the market is at ``price``.

    ``side`` is 1 to buy, which then costs more, and -1 to sell.
    """
    return price * (1 + side * slippage)


def level(entry: Number, direction: int, gain: Number) -> Number:
    """Return the price at which a position has gained this ratio; negative: lost."""
    return entry * (1 + direction * gain)


def liquidation_level(
    entry: Number, direction: int, leverage: Number, maintenance: Number
) -> Number:
    """Return the price at which the exchange closes an isolated position.

    Long: entry · (1 - 1/leverage + maintenance), short: mirrored. What is bought
    without a loan has nothing to be liquidated for: 0, which no price reaches.
    """
    if direction > 0 and leverage == 1:
        return entry * 0
    return entry * (1 - direction * (1 / leverage - maintenance))


def effective_stop(
    direction: int, stop_loss: Number, extreme: Number, trailing: Number
) -> Number:
    """Return the nearer one of stop loss and trailing stop.

    ``extreme`` is the best price since the entry, up to the bar before this one: the
    peak of a bar never moves the stop of the same bar.
    """
    trail = extreme * (1 - direction * trailing)
    if direction > 0:
        return trail if trail > stop_loss else stop_loss
    return trail if trail < stop_loss else stop_loss


def protective_exit(
    direction: int,
    open_: Number,
    high: Number,
    low: Number,
    stop: Number,
    target: Number,
    liquidation: Number,
) -> tuple[Reason, Number]:
    """Return whether a bar closes a position, and at which price before slippage.

    At the open a gap counts first, whichever way it went. Within the bar, whose path
    nobody knows, the worse comes first: liquidation or stop, whichever is nearer, and
    the target last. A stop is answered as SL; whether it trails knows the caller.
    """
    worst, best = (low, high) if direction > 0 else (high, low)
    if direction * (open_ - target) >= 0:
        return Reason.TP, open_
    if direction * (stop - liquidation) > 0:
        nearer, reason = stop, Reason.SL
    else:
        nearer, reason = liquidation, Reason.LIQUIDATION
    if direction * (worst - nearer) <= 0:
        if direction * (open_ - liquidation) <= 0:
            return Reason.LIQUIDATION, open_
        return reason, nearer if direction * (open_ - nearer) > 0 else open_
    if direction * (best - target) >= 0:
        return Reason.TP, target
    return Reason.NONE, open_
