"""One look at one bot: what has become of its orders, and what it does next.

In this order: ask the exchange about every order that is not finished; compare what it
holds with what we think; close what is to be closed; put a stop behind what is open;
follow a new signal. Candles that have not closed are never looked at. What cannot be
known stops the look: nothing is traded on a guess.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from bots.models import BotConfig, BotRun, Status
from trading.candles import EPOCH
from trading.engine.candles import Candles
from trading.engine.types import Skip
from trading.exchanges.base import Exchange, ExchangeError, RejectedError, Side
from trading.halts import REASON as HALTED
from trading.halts import halt_in_force
from trading.models import Order, Position
from trading.running.budget import Budget
from trading.running.feed import Feed, Series, Signals, bars_of, opened_at
from trading.running.orders import NotWantedError, OrderDesk
from trading.running.positions import order_price, stop_of
from trading.running.rules import BotRefusedError, Plan

Reason = Position.Reason
Role = Order.Role

_ZERO = Decimal(0)
_INFINITY = Decimal("Infinity")
_PROTECT_TRIES = 3
_STALE_AFTER = 2  # intervals without a candle
_SOON = dt.timedelta(seconds=2)
_AT_ITS_OPENING = dt.timedelta(seconds=5)
_UNPROTECTED = (
    "Trading is halted by the operator, who had all orders canceled: the position of "
    "this bot has NO stop."
)


class MismatchError(ExchangeError):
    """The exchange holds something else than the bot's orders have come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a look came to: a status, why in a word, and for people.

    ``due_at`` is when to look again; None leaves it to the bot's interval.
    """

    status: Status
    reason: str
    message: str | None = None
    paused_until: dt.datetime | None = None
    due_at: dt.datetime | None = None


class Tick:
    """A bot under our lease, with its market; ``look`` does the work.

    Raises what exchanges and feeds raise, BotRefusedError, and LeaseLostError.
    """

    def __init__(
        self,
        *,
        bot: BotConfig,
        run: BotRun,
        plan: Plan,
        exchange: Exchange,
        feed: Feed,
        signals: Signals,
        position: Position | None,
        orders: Sequence[Order],
        clock: Callable[[], dt.datetime],
        refusal: BotRefusedError | None = None,
    ) -> None:
        self.bot, self.run, self.plan = bot, run, plan
        # Why it cannot trade: what it has is looked after all the same.
        self.refusal = refusal
        self.exchange, self.feed, self.signals, self.clock = (
            exchange,
            feed,
            signals,
            clock,
        )
        self.series = Series(plan.market, plan.symbol, plan.interval, bot.candle_seed)
        self.budget = Budget(
            bot=bot, run=run, plan=plan, exchange=exchange, clock=clock
        )
        self.desk = OrderDesk(
            bot=bot,
            run=run,
            plan=plan,
            exchange=exchange,
            position=position,
            orders=orders,
            clock=clock,
        )

    @property
    def position(self) -> Position | None:
        """The position that is open."""
        return self.desk.position

    def look(self) -> Outcome:
        """Do all that is to be done now."""
        again = self.desk.settle()
        if not self.bot.is_active:
            self._obey_halt()
        if again is not None:
            return Outcome(
                status=Status.WAITING, reason="awaiting_exchange", due_at=again
            )
        self._reconcile()
        if self._is_closing():
            return self._awaited()
        if self.refusal is not None:
            if self.bot.is_active and self.position:
                self._protect(self.position)
            raise self.refusal
        if self.bot.is_active and self.position and not self.desk.orders:
            self._protect(self.position)  # whether there are candles or not
        return self._trade() if self.bot.is_active else self._watch()

    def _trade(self) -> Outcome:
        """Follow the last closed candle."""
        signal, candles = self.signals.last(
            self.series, self.plan.strategy, self.clock()
        )
        self.budget.begin_day(self.position, candles)
        candle_at = opened_at(candles)
        if self._is_stale(candle_at):
            if self.position:
                self._protect(self.position, candles)
            return Outcome(
                status=Status.ERROR,
                reason="stale_candles",
                message=f"The last candle opened at {candle_at:%Y-%m-%d %H:%M} UTC: "
                "nothing is decided on old prices.",
            )
        if self._is_new(candle_at):
            self._reverse(signal)
        if self.position is None and self._is_new(candle_at):
            return self._consider(signal, candles)
        if self.position and not self.position.reason:
            self.run.decided_at = candle_at
            self._protect(self.position, candles)
        if self._is_closing():
            return self._awaited()
        if self.position:
            return self._in_position()
        return self._limited() or Outcome(status=Status.WAITING, reason="no_signal")

    def _in_position(self) -> Outcome:
        resting = {order.role for order in self.desk.orders}
        # One of the pair is being filled: there is no stop until it is.
        waits = Role.TARGET in resting and Role.STOP not in resting and self._has_stop()
        return Outcome(
            status=Status.RUNNING,
            reason="in_position",
            due_at=self.clock() + _SOON if waits else None,
        )

    def _has_stop(self) -> bool:
        return (
            self.position is not None
            and stop_of(self.position, self.plan.rules) is not None
        )

    def _is_closing(self) -> bool:
        return self.position is not None and self.position.reason is not None

    def _awaited(self) -> Outcome:
        return Outcome(
            status=Status.WAITING,
            reason="awaiting_exchange",
            due_at=self.clock() + _SOON,
        )

    # --- Before anything new ----------------------------------------------------------

    def _reconcile(self) -> None:
        """Make the exchange and the bot agree, and go on with what was begun."""
        self._check_held()
        self._drop_leftovers()
        position = self.position
        if position is None:
            return
        if self.run.is_closing and not position.reason:
            self._set_reason(position, Reason.STOPPED)
        if position.reason:
            self._close(position)

    def _obey_halt(self) -> None:
        """Cancel what rests where trading is halted, whatever else is the matter."""
        halt = halt_in_force()
        if halt is not None and not halt.keeps_protection:
            self.desk.cancel(list(self.desk.orders))

    def _check_held(self) -> None:
        """Compare what the exchange holds with the position; raises MismatchError."""
        position, held = self.position, self._held()
        if position is None or self._agrees(position, held):
            return
        # Something may have been filled between the two questions.
        self.desk.settle()
        position, held = self.position, self._held()
        if position is None or self._agrees(position, held):
            return
        expected = position.sign * position.quantity
        for report in self.exchange.liquidations(position.symbol, position.opened_at):
            self.desk.liquidate(position, report)
        if self.position is None:
            return
        if self.run.is_closing and self.plan.filters.quantity(abs(held)) == 0:
            position.reason = Reason.ELSEWHERE
            self.desk.forget(position)  # its owner says so, and there is nothing
            return
        raise MismatchError(
            f"The exchange holds {held} {position.symbol}; by the orders of the bot it "
            f"should be {expected}. Nothing is traded until they agree. Where it was "
            "closed by hand, close what is left of it there, then stop the bot with "
            "close=true."
        )

    def _held(self) -> Decimal:
        return self.exchange.held(self.plan.symbol) if self.position else _ZERO

    def _agrees(self, position: Position, held: Decimal) -> bool:
        expected = position.sign * position.quantity
        if self.plan.market == "spot":
            return held >= expected  # more coins are none of the bot's
        return held == expected

    def _check_nothing_held(self) -> None:
        """See to it that a position on futures is all the bot's own."""
        if self.plan.market == "spot":
            return
        held = self.exchange.held(self.plan.symbol)
        if held:
            raise MismatchError(
                f"The account holds {held} {self.plan.symbol} already, which is none "
                "of the bot's. Close it, or let the bot trade another symbol."
            )

    def _drop_leftovers(self) -> None:
        """Cancel what rests behind a position that is closed."""
        own = self.position.pk if self.position else None
        left = [
            order
            for order in self.desk.orders
            if order.role != Role.ENTRY and order.position_id != own
        ]
        if left:
            self.desk.cancel(left)

    # --- Closing ----------------------------------------------------------------------

    def _set_reason(self, position: Position, reason: Reason) -> None:
        position.reason = reason
        position.save(update_fields=["reason"])

    def _close(self, position: Position) -> None:
        """Close a position for its reason: what rests behind it goes first."""
        resting = (Role.STOP, Role.TARGET)
        self.desk.cancel([order for order in self.desk.orders if order.role in resting])
        if self.position is None:
            return  # what rested was filled meanwhile
        if self.desk.orders:
            return  # an exit is being filled
        if self._is_dust(position):
            self.desk.forget(position)
            return
        try:
            self.desk.exit(position, candle_at=self._candle_of_now())
        except RejectedError:
            stop, target = self._levels(position)
            with suppress(RejectedError):  # until it is tried again
                self.desk.protect(
                    position,
                    stop=stop,
                    target=target,
                    candle_at=self._candle_of_now(),
                )
            raise

    def _is_dust(self, position: Position) -> bool:
        """Say whether too little is left to be sold: on spot, coins stay coins.

        A position on futures may be closed whatever it is worth.
        """
        filters, quantity = self.plan.filters, position.quantity
        if self.plan.market != "spot" or self.bot.environment == "paper":
            return filters.quantity(quantity) <= 0
        worth = filters.quantity(quantity) * self.exchange.price(position.symbol)
        return (
            filters.quantity(quantity) < max(filters.min_quantity, filters.step)
            or worth < filters.min_notional
            or not worth
        )

    def _watch(self) -> Outcome:
        """Look after the position of a bot that was stopped with it."""
        halt = halt_in_force()
        if halt is not None and not halt.keeps_protection:
            return Outcome(
                status=Status.STOPPED,
                reason=HALTED,
                message=_UNPROTECTED if self.position else None,
            )
        if self.position is None and self.desk.orders:
            return self._awaited()
        if self.position is None:
            reason = "stopped" if halt is None else HALTED
            return Outcome(status=Status.STOPPED, reason=reason)
        if not self.desk.orders:
            self._protect(self.position)
        candles = self.feed.candles(
            self.series, self.plan.strategy.warmup, self.clock()
        )
        if self.position is not None:
            self._protect(self.position, candles)
        if self._is_closing():
            return self._awaited()
        reason = "position_kept" if self.position else "stopped"
        return Outcome(status=Status.STOPPED, reason=reason)

    def _reverse(self, signal: int) -> None:
        """Close a position that a new signal is against."""
        position = self.position
        if position is not None and position.sign * signal < 0:
            self._set_reason(position, Reason.SIGNAL)
            self._close(position)

    # --- Protecting -------------------------------------------------------------------

    def _protect(self, position: Position, candles: Candles | None = None) -> None:
        """See to it that a stop and a target rest behind the whole position.

        The stop trails by candles that have closed. Where the price has passed it, or
        none is taken, the position is closed.
        """
        if candles is not None:
            self._note_best(position, candles)
        for _ in range(_PROTECT_TRIES):
            stop, target = self._levels(position)
            resting = {
                order.role: order
                for order in self.desk.orders
                if order.position_id == position.pk
            }
            if self._is_right(resting, position, stop, target):
                return
            price = self.exchange.price(position.symbol)
            if stop is not None and position.sign * (price - stop) <= 0:
                first = position.stop_price
                trailed = first is None or position.sign * (stop - first) > 0
                self._set_reason(position, Reason.TRAIL if trailed else Reason.SL)
                self._close(position)
                return
            if target is not None and position.sign * (price - target) >= 0:
                if Role.TARGET in resting:
                    return  # it is being filled
                self._set_reason(position, Reason.TP)
                self._close(position)
                return
            self.desk.cancel(list(resting.values()))
            if self.position is None:
                return
            try:
                self.desk.protect(
                    position,
                    stop=stop,
                    target=target,
                    candle_at=self._candle_of_now(),
                )
            except RejectedError:
                continue
            return
        self._set_reason(position, Reason.UNPROTECTED)
        self._close(position)

    def _note_best(self, position: Position, candles: Candles) -> None:
        """Move the best price by the candles since the entry."""
        best = position.best_price
        # Not what was before it: a candle counts from its opening or not at all.
        for bar in bars_of(candles, position.opened_at - _AT_ITS_OPENING):
            best = max(best, bar.high) if position.sign > 0 else min(best, bar.low)
        if best != position.best_price:
            position.best_price = best
            position.save(update_fields=["best_price"])

    def _levels(self, position: Position) -> tuple[Decimal | None, Decimal | None]:
        """Return stop and target as they are sent: on the tick, away from the price."""
        filters = self.plan.filters
        stop, target = stop_of(position, self.plan.rules), position.target_price
        is_long = position.sign > 0
        return (
            None if stop is None else filters.price(stop, up=not is_long),
            None if target is None else filters.price(target, up=is_long),
        )

    def _is_right(
        self,
        resting: dict[str, Order],
        position: Position,
        stop: Decimal | None,
        target: Decimal | None,
    ) -> bool:
        wanted = {Role.STOP: stop, Role.TARGET: target}
        prices = {role: price for role, price in wanted.items() if price is not None}
        quantity = self.plan.filters.quantity(position.quantity)
        return resting.keys() == prices.keys() and all(
            order_price(order) == prices[Role(role)] and order.quantity == quantity
            for role, order in resting.items()
        )

    # --- Entering ---------------------------------------------------------------------

    def _consider(self, signal: int, candles: Candles) -> Outcome:
        """Follow the decision on a new candle, if limits and money allow it."""
        candle_at, rules = opened_at(candles), self.plan.rules
        if signal == 0 or (signal < 0 and not rules.allow_short):
            self.run.decided_at = candle_at
            return self._limited() or Outcome(status=Status.WAITING, reason="no_signal")
        if limited := self._limited():
            self.run.decided_at = candle_at
            return limited
        self._check_nothing_held()
        self.exchange.prepare(self.plan.symbol, rules.leverage)
        quantity, skip = self.budget.size(signal)
        if skip:
            self.run.decided_at = candle_at
            return Outcome(status=Status.WAITING, reason=skip)
        try:
            self.desk.enter(
                Side.BUY if signal > 0 else Side.SELL, quantity, candle_at=candle_at
            )
        except NotWantedError as error:
            status = Status.STOPPED if error.reason == HALTED else Status.WAITING
            return Outcome(status=status, reason=error.reason)
        if self.position is None:
            return self._awaited()
        self._protect(self.position, candles)
        if self._is_closing():
            return self._awaited()
        return self._in_position()

    # --- Limits and candles -----------------------------------------------------------

    def _limited(self) -> Outcome | None:
        """Return the outcome where a daily limit holds entries back."""
        skip = self.budget.limit()
        if skip == Skip.NONE:
            return None
        midnight = dt.datetime.combine(self.clock().date(), dt.time(), dt.UTC)
        return Outcome(
            status=Status.PAUSED,
            reason=skip.name.lower(),
            paused_until=midnight + dt.timedelta(days=1),
        )

    def _is_new(self, candle_at: dt.datetime) -> bool:
        return self.run.decided_at is None or candle_at > self.run.decided_at

    def _is_stale(self, candle_at: dt.datetime) -> bool:
        length = self.plan.interval.length
        return self.clock() - (candle_at + length) > _STALE_AFTER * length

    def _candle_of_now(self) -> dt.datetime:
        """Return when the candle opened that is being made now."""
        now = self.clock()
        return now - (now - EPOCH) % self.plan.interval.length
