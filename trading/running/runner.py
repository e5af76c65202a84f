"""Looks at all bots that are due, as long as the process lives.

Any number of runners can do so at once, on several machines: a bot is looked at by who
has its lease. Bots on paper are taken many at a time, with a few queries for all of
them; those on an exchange, which may be slow, one by one in threads.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.db.models import Q, Sum
from django.utils import timezone

from apikeys.crypto import DecryptionError
from apikeys.models import Environment
from bots.leases import (
    LEASE_FOR,
    LeaseLostError,
    lease_hold,
    lease_release,
    leases_claim,
    runs_create,
)
from bots.models import BotConfig, BotRun, BotState, Status
from trading.candles import EPOCH, MissingCandlesError
from trading.exchange_info import ExchangeUnavailableError
from trading.exchanges.base import (
    ACCEPTED_FOR,
    AmbiguousError,
    AuthenticationError,
    RejectedError,
    UnavailableError,
)
from trading.exchanges.environments import LiveLockedError
from trading.klines import ExchangeRefusedError
from trading.models import Order, Position, Symbol
from trading.notifications.models import Kind
from trading.notifications.outbox import notify
from trading.running.accounts import Accounts
from trading.running.feed import Feed, Signals
from trading.running.positions import stop_of
from trading.running.rules import (
    BotRefusedError,
    Plan,
    bot_market,
    bot_plan,
    caretaker_plan,
    exchange_symbol,
)
from trading.running.tick import MismatchError, Outcome, Tick

logger = logging.getLogger(__name__)

BATCH = 100  # bots on paper that are taken at once
_LOOK_FOR_NEW = dt.timedelta(seconds=10)
_IDLE_S = 0.5
_DEFAULT_INTERVAL_S = 60
_LONGEST_BACKOFF = dt.timedelta(minutes=15)
_IN_POSITION_BACKOFF = dt.timedelta(seconds=10)
_STORE_EVERY = dt.timedelta(seconds=10)  # well within a lease
# After the close of a candle: an exchange takes a moment to tell of it.
_AFTER_CLOSE = dt.timedelta(seconds=1)

ON_PAPER = Q(bot__environment=Environment.PAPER)

_FAILURES: tuple[tuple[type[Exception], str], ...] = (
    (LiveLockedError, "live_locked"),
    (BotRefusedError, "refused_settings"),
    (DecryptionError, "key_unreadable"),
    (MissingCandlesError, "no_candles"),
    (ExchangeRefusedError, "no_candles"),
    (ExchangeUnavailableError, "exchange_unavailable"),
    (UnavailableError, "exchange_unavailable"),
    (AuthenticationError, "key_refused"),
    (MismatchError, "mismatch"),
    (RejectedError, "order_rejected"),
)


@dataclass(slots=True, kw_only=True)
class Look:
    """One bot that was looked at, and what there is to be stored of it."""

    bot: BotConfig
    run: BotRun
    outcome: Outcome
    position: Position | None = None
    plan: Plan | None = None


class Runner:
    """Works through the bots that are due, until ``stop``."""

    def __init__(
        self,
        *,
        feed: Feed,
        threads: int,
        clock: Callable[[], dt.datetime] = timezone.now,
    ) -> None:
        self._feed, self._clock, self._threads = feed, clock, threads
        self._signals = Signals(feed)
        self._accounts = Accounts(feed, clock)
        self._stopping = threading.Event()
        self._looked_for_new: dt.datetime | None = None
        self._busy: set[Future[None]] = set()

    def stop(self) -> None:
        """Take no more bots; what is being looked at is finished."""
        self._stopping.set()

    def run(self) -> None:
        """Look at bots until there is a ``stop``."""
        with ThreadPoolExecutor(self._threads) as pool:
            while not self._stopping.is_set():
                close_old_connections()
                if not self.step(pool):
                    self._stopping.wait(_IDLE_S)

    def step(self, pool: ThreadPoolExecutor | None = None) -> int:
        """Look once at those that are due; return how many there were.

        Those on an exchange are left to the pool, where there is one.
        """
        now = self._clock()
        last = self._looked_for_new
        if last is None or now - last >= _LOOK_FOR_NEW:
            runs_create(now=now)
            self._looked_for_new = now
        taken = 0
        if pool is not None:
            self._busy = {future for future in self._busy if not future.done()}
            free = self._threads - len(self._busy)
            if free > 0:
                for run in leases_claim(now=now, limit=free, of=~ON_PAPER):
                    self._busy.add(pool.submit(self._look_beside, run))
                    taken += 1
        own = leases_claim(now=now, limit=BATCH, of=ON_PAPER if pool else None)
        self.look(own)
        return taken + len(own)

    def look(self, runs: Sequence[BotRun]) -> None:
        """Look at bots under our lease and store what came of it."""
        if not runs:
            return
        looks: list[Look] = []
        stored_at = self._clock()
        for position, context in enumerate(contexts := _contexts(runs)):
            if self._stopping.is_set():
                for rest in contexts[position:]:
                    lease_release(rest.run)
                break
            if self._is_ours(context.run) and (look := self._look(context)):
                looks.append(look)
            if self._clock() - stored_at > _STORE_EVERY:
                _store(looks, now=self._clock())
                looks, stored_at = [], self._clock()
        _store(looks, now=self._clock())

    def _is_ours(self, run: BotRun) -> bool:
        """Say whether a lease is ours still, and renew it where that is not sure."""
        now = self._clock()
        if run.leased_until is not None and run.leased_until - now > LEASE_FOR / 2:
            return True
        try:
            with transaction.atomic():
                lease_hold(run, now=now)
        except LeaseLostError:
            return False
        return True

    def _look_beside(self, run: BotRun) -> None:
        try:
            self.look([run])
        except Exception:
            # Its lease ends by itself; then it is looked at again.
            logger.exception("Bot %s could not be looked at", run.pk)
        finally:
            connection.close()

    def _plan(self, context: _Context) -> tuple[Plan, BotRefusedError | None]:
        """Return what a bot runs by, or why it cannot and what its position needs.

        Raises BotRefusedError where it has nothing.
        """
        try:
            return bot_plan(context.bot, context.symbol), None
        except BotRefusedError as error:
            if context.position is None and not context.orders:
                raise
            return caretaker_plan(context.bot, context.symbol), error

    def _look(self, context: _Context) -> Look | None:
        """Look at one bot; None where somebody else has it now."""
        tick = plan = None
        try:
            plan, refusal = self._plan(context)
            exchange = self._accounts.of(context.bot, plan)
            tick = Tick(
                bot=context.bot,
                run=context.run,
                plan=plan,
                exchange=exchange,
                feed=self._feed,
                signals=self._signals,
                position=context.position,
                orders=context.orders,
                clock=self._clock,
                refusal=refusal,
            )
            outcome = tick.look()
        except LeaseLostError as error:
            logger.warning("%s", error)
            return None
        except AmbiguousError as error:
            outcome = Outcome(
                status=Status.WAITING,
                reason="awaiting_exchange",
                message=str(error),
                due_at=self._clock() + ACCEPTED_FOR,
            )
        except tuple(kind for kind, _ in _FAILURES) as error:
            reason = next(word for kind, word in _FAILURES if isinstance(error, kind))
            logger.warning("Bot %s: %s", context.bot.pk, error)
            outcome = Outcome(status=Status.ERROR, reason=reason, message=str(error))
        except (OperationalError, InterfaceError):
            raise  # of the database: nothing can be stored of any bot
        except Exception:
            # One bot must not keep those behind it from being looked at.
            logger.exception("Bot %s failed", context.bot.pk)
            outcome = Outcome(
                status=Status.ERROR,
                reason="failed",
                message="The server failed. Its operator finds the cause in the log.",
            )
        return Look(
            bot=context.bot,
            run=context.run,
            outcome=outcome,
            position=tick.position if tick else context.position,
            plan=plan,
        )


@dataclass(slots=True, kw_only=True)
class _Context:
    """What a look begins with."""

    bot: BotConfig
    run: BotRun
    symbol: Symbol | None
    position: Position | None
    orders: list[Order]


def _contexts(runs: Sequence[BotRun]) -> list[_Context]:
    """Read what is needed for some bots, with a few queries for all."""
    ids = [run.pk for run in runs]
    bots = {
        bot.pk: bot
        for bot in BotConfig.objects.filter(pk__in=ids).select_related(
            "api_key", "user"
        )
    }
    positions = {
        position.bot_id: position
        for position in Position.objects.filter(bot__in=ids, closed_at__isnull=True)
    }
    orders: dict[int, list[Order]] = {}
    unfinished = Order.objects.filter(bot__in=ids, status__in=Order.UNFINISHED)
    for order in unfinished.select_related("position").order_by("pk"):
        order.bot = bots[order.bot_id]
        orders.setdefault(order.bot_id, []).append(order)
    names = {exchange_symbol(bot.symbol) for bot in bots.values()}
    symbols = {
        (symbol.market, symbol.symbol): symbol
        for symbol in Symbol.objects.filter(symbol__in=names)
    }
    return [
        _Context(
            bot=bot,
            run=run,
            symbol=symbols.get((bot_market(bot), exchange_symbol(bot.symbol))),
            position=positions.get(bot.pk),
            orders=orders.get(bot.pk, []),
        )
        for run in runs
        # A bot that was deleted meanwhile has taken its lease with it.
        if (bot := bots.get(run.pk)) is not None
    ]


# --- What is stored of a look ---------------------------------------------------------


@transaction.atomic
def _store(looks: Sequence[Look], *, now: dt.datetime) -> None:
    """Store what came of some looks and give their leases back.

    Whose lease is not ours any more is left as it is.
    """
    stored = {
        run.pk: run
        for run in BotRun.objects.select_for_update(of=("self",))
        .filter(pk__in=[look.run.pk for look in looks])
        .order_by("pk")
        .select_related("bot")
    }
    ours = [
        look
        for look in looks
        if (run := stored.get(look.run.pk)) is not None
        and run.lease_token == look.run.lease_token
    ]
    ids = [look.bot.pk for look in ours]
    pnl, before = _daily_pnl(ids, now), BotState.objects.in_bulk(ids)
    states = []
    for look in ours:
        run = stored[look.run.pk]
        if look.bot.is_active and not run.bot.is_active:
            # It was stopped while it was looked at: at once again.
            look.outcome = Outcome(status=Status.STOPPED, reason="stopped", due_at=now)
        _finish(look, now)
        if run.is_closing and not look.run.is_closing:
            look.run.due_at = now  # asked for while it was looked at
        states.append(_state(look, pnl.get(look.bot.pk), now))
        _tell(look, before.get(look.bot.pk))
    # Not bulk_update, which takes a millisecond a row. All of them are there, locked.
    BotRun.objects.bulk_create(
        [look.run for look in ours],
        update_conflicts=True,
        unique_fields=["bot"],
        update_fields=_RUN_FIELDS,
    )
    closed = [
        look.run.pk
        for look in ours
        if look.run.is_closing
        and not look.position
        and look.outcome.status == Status.STOPPED
    ]
    if closed:
        BotRun.objects.filter(pk__in=closed).update(is_closing=False)
    BotState.objects.bulk_create(
        states,
        update_conflicts=True,
        unique_fields=["bot_config"],
        update_fields=_STATE_FIELDS,
    )


_TOLD = {
    Status.ERROR: Kind.BOT_ERROR,
    Status.PAUSED: Kind.BOT_PAUSED,
    Status.STOPPED: Kind.BOT_STOPPED,
}


def _tell(look: Look, before: BotState | None) -> None:
    """Let the owner know of a state that is new."""
    outcome = look.outcome
    kind = _TOLD.get(outcome.status)
    known = (before.status, before.reason) if before else None
    if kind is None or known == (outcome.status, outcome.reason):
        return
    notify(
        user=look.bot.user,
        kind=kind,
        bot_id=look.bot.pk,
        payload={
            "bot": look.bot.name,
            "symbol": look.bot.symbol,
            "reason": outcome.reason,
            "message": outcome.message,
            "paused_until": outcome.paused_until,
        },
    )


def _finish(look: Look, now: dt.datetime) -> None:
    """Set when to look again."""
    run, outcome = look.run, look.outcome
    run.leased_until = None
    run.failures = run.failures + 1 if outcome.status == Status.ERROR else 0
    interval = dt.timedelta(
        seconds=look.bot.check_interval_seconds or _DEFAULT_INTERVAL_S
    )
    if outcome.due_at is not None:
        run.due_at = outcome.due_at
    elif outcome.status == Status.STOPPED and look.position is None:
        run.due_at = None
    elif outcome.status == Status.ERROR:
        wait = dt.timedelta(seconds=2 ** min(run.failures, 12))
        longest = _LONGEST_BACKOFF if look.position is None else _IN_POSITION_BACKOFF
        run.due_at = now + min(max(wait, _AFTER_CLOSE), longest)
    else:
        run.due_at = min(now + interval, _next_close(look, now) + _AFTER_CLOSE)


def _next_close(look: Look, now: dt.datetime) -> dt.datetime:
    assert look.plan is not None  # noqa: S101  # without one it is an error
    length = look.plan.interval.length
    return now - (now - EPOCH) % length + length


_RUN_FIELDS = [
    "due_at",
    "leased_until",
    "decided_at",
    "day",
    "day_equity",
    "day_entries",
    "failures",
]
_STATE_FIELDS = [
    "status",
    "reason",
    "paused_until",
    "in_position",
    "entry_price",
    "current_position_size_coins",
    "trailing_stop_price",
    "max_price_since_entry",
    "take_profit_price",
    "stop_loss_price",
    "daily_pnl",
    "daily_trades_count",
    "last_run_at",
    "last_error_message",
    "last_updated_at",
]


def _state(look: Look, daily_pnl: Decimal | None, now: dt.datetime) -> BotState:
    """Return the documented state of a bot, not stored."""
    state = BotState(
        bot_config=look.bot,
        status=look.outcome.status,
        reason=look.outcome.reason,
        paused_until=look.outcome.paused_until,
        in_position=False,
        daily_pnl=daily_pnl or Decimal(0),
        daily_trades_count=look.run.day_entries,
        last_run_at=now,
        last_error_message=look.outcome.message,
        last_updated_at=now,
    )
    if (position := look.position) is not None:
        state.in_position = True
        state.entry_price = position.entry_price
        state.current_position_size_coins = position.quantity
        state.max_price_since_entry = position.best_price
        state.take_profit_price = position.target_price
        state.stop_loss_price = position.stop_price
        if look.plan is not None and look.plan.rules.trailing_stop is not None:
            state.trailing_stop_price = stop_of(position, look.plan.rules)
    return state


def _daily_pnl(ids: Sequence[int], now: dt.datetime) -> dict[int, Decimal]:
    """Return what bots have realised since the UTC day began, in the quote asset."""
    midnight = dt.datetime.combine(now.date(), dt.time(), dt.UTC)
    closed = Position.objects.filter(bot__in=ids, closed_at__gte=midnight)
    rows = closed.values_list("bot").annotate(Sum("realized_pnl"))
    return dict(rows)
