"""The simulation: one pass over the bars of a run, with at most one position.

This source runs as it stands, on lists, and compiled by numba, on arrays, to the same
bits (``trading.engine.compiled``). So it keeps to scalars, columns and named tuples.

What happens in a bar, in this order:

1. At the open: the decision of the bar before is carried out. It closes a position
   that it is against (SIGNAL) and, where there is none now, opens one. A position that
   a stop closes leaves the decision of the bar before without effect.
2. Within the bar: gaps, liquidation, stop, target (``fills.protective_exit``). For a
   position that was opened in this bar too.
3. At the close: END at the last bar, EOD at the last of a UTC day if the rules say so.
4. Whatever is open then gets its trailing stop for the next bar.
"""

from __future__ import annotations

from typing import NamedTuple

from trading.engine.fills import (
    effective_stop,
    level,
    liquidation_level,
    market_fill,
    protective_exit,
)
from trading.engine.limits import entry_limit
from trading.engine.sizing import (
    loss_at_stop,
    units_affordable,
    units_sendable,
    units_wanted,
)
from trading.engine.types import DAY_MS, Floats, Ints, Reason, Signals, Skip

FloatColumn = list[float] | Floats
IntColumn = list[int] | Ints | Signals


class Bars(NamedTuple):
    """The columns that are simulated on; bar 0 opens at ``first_ms``."""

    first_ms: int
    interval_ms: int
    open: FloatColumn
    high: FloatColumn
    low: FloatColumn
    close: FloatColumn
    decided: IntColumn  # the signal at the close of the bar before


class Setup(NamedTuple):
    """The rules as the kernel wants them: off is infinite."""

    size_by: int
    size: float
    allow_short: bool
    leverage: float
    maintenance: float
    stop_loss: float
    take_profit: float
    trailing_stop: float
    maker_fee: float
    taker_fee: float
    slippage: float
    max_daily_trades: float
    max_daily_loss: float
    daily_target: float
    close_at_day_end: bool
    step: float
    min_units: float
    min_notional: float


class Position(NamedTuple):
    """An open position, as it was entered; ``direction`` 0 is none."""

    bar: int
    direction: int
    units: float
    price: float
    fee: float
    slipped: float  # what slippage cost
    margin: float
    stop_loss: float  # the price of it, and of the next two
    target: float
    liquidation: float


FLAT = Position(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class Today(NamedTuple):
    """The UTC day of the last entry, counted from 1970, and the entries of that day."""

    day: int
    entries: int


class State(NamedTuple):
    """What one call of ``simulate`` hands to the next."""

    balance: float  # equity without what is open
    position: Position
    extreme: float  # the best price since the entry
    today: Today
    closed: int  # rows that this call wrote to the ledger


class Ledger(NamedTuple):
    """Columns for the trades of one call; two rows a bar are enough."""

    entry_bar: IntColumn
    exit_bar: IntColumn
    direction: IntColumn
    reason: IntColumn
    units: FloatColumn
    entry_price: FloatColumn
    exit_price: FloatColumn
    entry_fee: FloatColumn
    exit_fee: FloatColumn
    slippage: FloatColumn
    pnl: FloatColumn
    capital: FloatColumn  # the balance afterwards


def simulate(
    begin: int,
    end: int,
    bars: Bars,
    setup: Setup,
    state: State,
    equity: FloatColumn,
    ledger: Ledger,
    skipped: IntColumn,
) -> State:
    """Go on from ``state`` over the bars from ``begin`` to ``end``, without the latter.

    Writes what the account is worth at the close of bar i to ``equity[i + 1]``;
    ``equity[0]`` is the capital before the first. ``skipped`` counts by ``Skip``.
    """
    balance, position, extreme, today, _ = state
    closed = 0
    last = len(equity) - 2
    direction = position.direction
    stop = effective_stop(direction, position.stop_loss, extreme, setup.trailing_stop)
    for bar in range(begin, end):
        decided = bars.decided[bar]
        if direction == 0 and decided == 0:
            equity[bar + 1] = balance
            continue
        open_ = bars.open[bar]
        if direction * decided < 0 and direction * (open_ - position.liquidation) > 0:
            balance = close_position(
                position, bar, Reason.SIGNAL, open_, setup, balance, ledger, closed
            )
            closed += 1
            direction = 0
        if direction == 0 and (decided > 0 or setup.allow_short):
            skip, position, today = enter(
                bar, 1 if decided > 0 else -1, bars, setup, balance, today, equity
            )
            skipped[skip] += 1
            if skip == Skip.NONE:
                balance -= position.fee
                direction = position.direction
                extreme = position.price
                stop = effective_stop(
                    direction, position.stop_loss, extreme, setup.trailing_stop
                )
        if direction == 0:
            equity[bar + 1] = balance
            continue
        reason, price = exit_at(bar, bar == last, bars, setup, position, stop)
        if reason != Reason.NONE:
            balance = close_position(
                position, bar, reason, price, setup, balance, ledger, closed
            )
            closed += 1
            direction = 0
            equity[bar + 1] = balance
            continue
        if direction > 0:
            extreme = max(extreme, bars.high[bar])
        else:
            extreme = min(extreme, bars.low[bar])
        stop = effective_stop(
            direction, position.stop_loss, extreme, setup.trailing_stop
        )
        gain = direction * (bars.close[bar] - position.price) * position.units
        equity[bar + 1] = balance + gain
    if direction == 0:
        position = FLAT
    return State(balance, position, extreme, today, closed)


def enter(
    bar: int,
    direction: int,
    bars: Bars,
    setup: Setup,
    balance: float,
    today: Today,
    equity: FloatColumn,
) -> tuple[Skip, Position, Today]:
    """Carry a decision out at the open of a bar, if the limits and the size allow it.

    The day begins with the equity at the close before its first bar.
    """
    opened_ms = bars.first_ms + bar * bars.interval_ms
    if opened_ms // DAY_MS != today.day:
        today = Today(opened_ms // DAY_MS, 0)
    day_begin = max(bar - opened_ms % DAY_MS // bars.interval_ms, 0)
    skip = entry_limit(
        today.entries,
        balance / equity[day_begin] - 1,
        setup.max_daily_trades,
        setup.max_daily_loss,
        setup.daily_target,
    )
    if skip != Skip.NONE:
        return skip, FLAT, today
    skip, position = open_position(bar, direction, bars.open[bar], setup, balance)
    if skip != Skip.NONE:
        return skip, FLAT, today
    return Skip.NONE, position, Today(today.day, today.entries + 1)


def exit_at(
    bar: int, is_last: bool, bars: Bars, setup: Setup, position: Position, stop: float
) -> tuple[Reason, float]:
    """Return why a bar ends a position, and at which price before slippage."""
    reason, price = protective_exit(
        position.direction,
        bars.open[bar],
        bars.high[bar],
        bars.low[bar],
        stop,
        position.target,
        position.liquidation,
    )
    if reason == Reason.SL and stop != position.stop_loss:
        return Reason.TRAIL, price
    if reason != Reason.NONE:
        return reason, price
    if is_last:
        return Reason.END, bars.close[bar]
    closed_ms = bars.first_ms + (bar + 1) * bars.interval_ms
    if setup.close_at_day_end and closed_ms % DAY_MS == 0:
        return Reason.EOD, bars.close[bar]
    return Reason.NONE, price


def open_position(
    bar: int, direction: int, market: float, setup: Setup, balance: float
) -> tuple[Skip, Position]:
    """Return the position that a signal opens at a market price, or why it does not."""
    price = market_fill(market, direction, setup.slippage)
    loss = loss_at_stop(
        price, direction, setup.stop_loss, setup.taker_fee, setup.slippage
    )
    units = units_sendable(
        min(
            units_wanted(setup.size_by, setup.size, balance, price, loss),
            units_affordable(balance, price, setup.leverage),
        ),
        price,
        setup.step,
        setup.min_units,
        setup.min_notional,
    )
    if units <= 0:
        return Skip.BELOW_MINIMUM, FLAT
    fee = units * price * setup.taker_fee
    margin = units * price / setup.leverage
    if margin + fee > balance:
        return Skip.FUNDS, FLAT
    return Skip.NONE, Position(
        bar,
        direction,
        units,
        price,
        fee,
        direction * (price - market) * units,
        margin,
        level(price, direction, -setup.stop_loss),
        level(price, direction, setup.take_profit),
        liquidation_level(price, direction, setup.leverage, setup.maintenance),
    )


def close_position(
    position: Position,
    bar: int,
    reason: Reason,
    market: float,
    setup: Setup,
    balance: float,
    ledger: Ledger,
    row: int,
) -> float:
    """Write a trade that ends at a market price; return the balance afterwards.

    A target is a limit order: it waits in the book, pays the maker's commission and
    slips not. Of a liquidated position the whole margin is lost, whatever the price,
    and nothing more.
    """
    direction, units = position.direction, position.units
    price = market
    if reason == Reason.LIQUIDATION:
        gross, fee = -position.margin, 0.0
    else:
        fee_rate = setup.maker_fee
        if reason != Reason.TP:
            price = market_fill(market, -direction, setup.slippage)
            fee_rate = setup.taker_fee
        gross = direction * (price - position.price) * units
        fee = units * price * fee_rate
    balance += gross - fee
    ledger.entry_bar[row] = position.bar
    ledger.exit_bar[row] = bar
    ledger.direction[row] = direction
    ledger.reason[row] = reason
    ledger.units[row] = units
    ledger.entry_price[row] = position.price
    ledger.exit_price[row] = price
    ledger.entry_fee[row] = position.fee
    ledger.exit_fee[row] = fee
    ledger.slippage[row] = position.slipped + direction * (market - price) * units
    ledger.pnl[row] = gross - position.fee - fee
    ledger.capital[row] = balance
    return balance
