"""Looks at all bots that are due, as long as the process lives.

Any number of runners can do so at once, on several machines: a bot is looked at by who
has its lease. Bots on paper are taken many at a time, with a few queries for all of
them; those on an exchange, which may be slow, one by one in threads.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from django.db import (
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    transaction,
)
from django.db.models import Q
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
from bots.models import BotConfig, BotRun, Status
from trading.candles import MissingCandlesError
from trading.exchange_info import ExchangeUnavailableError
from trading.exchanges.base import (
    ACCEPTED_FOR,
    AmbiguousError,
    AuthenticationError,
    RejectedError,
    UnavailableError,
)
from trading.exchanges.environments import LiveLockedError
from trading.halts import REASON as HALTED
from trading.halts import halt_in_force
from trading.klines import ExchangeRefusedError
from trading.models import Order, Position, Symbol
from trading.running.accounts import Accounts
from trading.running.feed import Feed, Signals
from trading.running.looks import Look, looks_store
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
_STORE_EVERY = dt.timedelta(seconds=10)  # well within a lease

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
        for look in self.looks(runs):
            looks.append(look)
            if self._clock() - stored_at > _STORE_EVERY:
                looks_store(looks, now=self._clock())
                looks, stored_at = [], self._clock()
        looks_store(looks, now=self._clock())

    def looks(self, runs: Sequence[BotRun]) -> Iterator[Look]:
        """Look at bots under our lease; what came of it is still to be stored."""
        for position, context in enumerate(contexts := _contexts(runs)):
            if self._stopping.is_set():
                for rest in contexts[position:]:
                    lease_release(rest.run)
                return
            if self._is_ours(context.run) and (look := self._look(context)):
                yield look

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
        idle = context.position is None and not context.orders
        if idle and not context.bot.is_active:
            reason = HALTED if halt_in_force() else "stopped"
            outcome = Outcome(status=Status.STOPPED, reason=reason)
            return Look(bot=context.bot, run=context.run, outcome=outcome)
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
