"""The trades of a run once more, with Decimal: what they come to exactly.

The kernel computes with floats. This computes prices, commissions and the balance from
the digits of the candles and the rules, for the same trades, by the same functions.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

from trading.engine.backtest import BacktestResult
from trading.engine.candles import Candles
from trading.engine.fills import (
    effective_stop,
    level,
    market_fill,
)
from trading.engine.rules import Rules
from trading.engine.types import Reason

_INFINITY = Decimal("Infinity")
_DIGITS = 60


def exact_balances(backtest: BacktestResult) -> list[Decimal]:
    """Return the exact balance after each trade; the last is the final capital.

    With a step the units are its exact multiples; without one they are those of the
    kernel, digit by digit.
    """
    rules, trades = backtest.rules, backtest.trades
    balances = []
    with localcontext(prec=_DIGITS):
        balance = rules.initial_capital
        for entry_bar, exit_bar, direction, reason, units in zip(
            trades.entry_bar.tolist(),
            trades.exit_bar.tolist(),
            trades.direction.tolist(),
            trades.reason.tolist(),
            trades.units.tolist(),
            strict=True,
        ):
            balance += _exact_pnl(
                backtest.candles,
                rules,
                entry_bar,
                exit_bar,
                direction,
                Reason(reason),
                _exact_units(units, rules.step),
            )
            balances.append(balance)
    return balances


def _exact_pnl(
    candles: Candles,
    rules: Rules,
    entry_bar: int,
    exit_bar: int,
    direction: int,
    reason: Reason,
    units: Decimal,
) -> Decimal:
    entry = market_fill(_exact(candles.open[entry_bar]), direction, rules.slippage)
    entry_fee = units * entry * rules.taker_fee
    if reason == Reason.LIQUIDATION:
        return -units * entry / rules.leverage - entry_fee
    price = _market_price(candles, rules, entry, entry_bar, exit_bar, direction, reason)
    fee_rate = rules.maker_fee
    if reason != Reason.TP:
        price = market_fill(price, -direction, rules.slippage)
        fee_rate = rules.taker_fee
    return direction * (price - entry) * units - entry_fee - units * price * fee_rate


def _market_price(
    candles: Candles,
    rules: Rules,
    entry: Decimal,
    entry_bar: int,
    exit_bar: int,
    direction: int,
    reason: Reason,
) -> Decimal:
    """Return the price of an exit before slippage, found anew from its reason."""
    open_ = _exact(candles.open[exit_bar])
    if reason == Reason.SIGNAL:
        return open_
    if reason in (Reason.END, Reason.EOD):
        return _exact(candles.close[exit_bar])
    if reason == Reason.TP:
        target = level(entry, direction, _or_off(rules.take_profit))
        return max(open_, target) if direction > 0 else min(open_, target)
    stop = level(entry, direction, -_or_off(rules.stop_loss))
    if reason == Reason.TRAIL:
        peaks = candles.high if direction > 0 else candles.low
        furthest = max if direction > 0 else min
        extreme = furthest([entry, *map(_exact, peaks[entry_bar:exit_bar])])
        stop = effective_stop(direction, stop, extreme, _or_off(rules.trailing_stop))
    return min(open_, stop) if direction > 0 else max(open_, stop)


def _exact_units(units: float, step: Decimal) -> Decimal:
    return round(_exact(units) / step) * step if step else _exact(units)


def _exact(value: float) -> Decimal:
    """Return the digits that a float was read from, not those of its binary."""
    return Decimal(repr(float(value)))


def _or_off(value: Decimal | None) -> Decimal:
    return _INFINITY if value is None else value
