"""A bot that trades at a fake Binance, its candles, and whether the two agree."""

from __future__ import annotations

import datetime as dt
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import time_machine
from django.db import connections
from django.utils import timezone

from apikeys import crypto
from apikeys.models import APIKey
from bots.models import BotConfig, BotRun
from tests.factories import make_user
from tests.fake_exchange import FakeBinance
from tests.trading.running.replay import make_running_bot
from trading.candles import EPOCH
from trading.engine.candles import Candles
from trading.exchanges import binance_client
from trading.models import Fill, Order, Position, Symbol, Trade
from trading.running.feed import Bar, Series
from trading.running.runner import Runner

MINUTE = dt.timedelta(minutes=1)
_WARMUP = 201

UP, DOWN = 0.8, -2.0  # by how much the price jumps


class World:
    """The fake exchange, a clock that can be put forward, and minute candles.

    ``signals`` are at which minutes from the first the candles make a bot buy or sell.
    """

    def __init__(
        self, fake: FakeBinance, market: str, clock: time_machine.Traveller
    ) -> None:
        self.fake, self.market, self._clock = fake, market, clock
        now = timezone.now()
        self.start = now - (now - EPOCH) % MINUTE
        # Early in a minute, or it might end before the bot is looked at.
        clock.shift(self.start + dt.timedelta(seconds=2) - now)
        self.signals = {0: UP}

    def wait(self, **time: float) -> None:
        """Let time pass, for the exchange as well."""
        self._clock.shift(dt.timedelta(**time))
        self.fake.catch_up()

    @property
    def book(self) -> Any:
        return self.fake.spot if self.market == "spot" else self.fake.futures

    # --- As a feed --------------------------------------------------------------------

    def candles(self, series: Series, count: int, now: dt.datetime) -> Candles:
        """Return candles of which the last one opened in the minute before.

        The price drifts down and jumps where there is a signal, so that the averages
        cross there and nowhere else.
        """
        end = now - (now - EPOCH) % MINUTE
        minutes = (end - self.start) // MINUTE + 1
        closes = [100.0]
        for minute in range(1 - _WARMUP, minutes):
            closes.append(closes[-1] + self.signals.get(minute, -0.005))
        close = np.array(closes[-count:])
        first = end - len(close) * MINUTE
        return Candles.of(
            interval="1m",
            open_time=(first - EPOCH) // dt.timedelta(milliseconds=1)
            + 60_000 * np.arange(len(close)),
            open=close,
            high=close + 0.01,
            low=close - 0.01,
            close=close,
            volume=np.ones(len(close)),
        )

    def bars(
        self, series: Series, since: dt.datetime, now: dt.datetime
    ) -> Iterator[Bar]:
        raise AssertionError("only simulated exchanges fill by candles")

    def price(self, series: Series, now: dt.datetime) -> Decimal:
        raise AssertionError("the exchange tells its price")


def make_bot_with_key(world: World, **values: Any) -> BotConfig:
    """Return a bot that trades at the exchange, started and due."""
    user = make_user()
    Symbol.objects.get_or_create(
        market=world.market,
        symbol="BTCUSDT",
        defaults={
            "base_asset": "BTC",
            "quote_asset": "USDT",
            "status": "TRADING",
            "tick_size": Decimal("0.01"),
            "step_size": Decimal("0.00001"),
            "min_quantity": Decimal("0.00001"),
            "min_notional": Decimal(5),
        },
    )
    key = APIKey.objects.create(
        user=user,
        encrypted_api_key=crypto.encrypt("key"),
        encrypted_secret_key=crypto.encrypt("secret"),
        environment="testnet",
        is_valid=True,
    )
    futures = {"position_type": "futures", "leverage": 3, "allow_short": True}
    return make_running_bot(
        user=user,
        api_key=key,
        environment="testnet",
        **{
            "stop_loss_perc": Decimal(2),
            "take_profit_perc": Decimal(4),
            "rsi_oversold": 2,
            "rsi_overbought": 99,
            **(futures if world.market == "futures" else {}),
            **values,
        },
    )


def look(world: World) -> None:
    """Let a new runner look at all bots once, as after a start."""
    BotRun.objects.update(due_at=timezone.now())
    Runner(feed=world, threads=1).step()


def settle(world: World, *, looks: int = 3) -> None:
    """Let a dead worker's lease end, and look at the bots until nothing is open."""
    world.wait(seconds=50)
    for _ in range(looks):
        world.wait(seconds=12)
        look(world)


# --- Being killed ---------------------------------------------------------------------


def killed_at(moment: int, work: Callable[[], None]) -> bool:
    """Do the work in a process that kills itself at a moment of it, counted from 0.

    Moments are before each statement and each commit, and before and after each
    request. Returns False where the work was done before.
    """
    connections.close_all()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with _dying_at(moment):
                work()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


@contextmanager
def _dying_at(moment: int) -> Iterator[None]:
    left = moment

    def count() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    def statement(execute: Any, *arguments: Any) -> Any:
        count()
        return execute(*arguments)

    database: Any = connections["default"]
    commit, send = database._commit, binance_client._Adapter.send

    def counted_commit() -> Any:
        count()
        return commit()

    def counted_send(self: Any, *arguments: Any, **options: Any) -> Any:
        count()
        answer = send(self, *arguments, **options)
        count()
        return answer

    database._commit = counted_commit
    binance_client._Adapter.send = counted_send  # type: ignore[method-assign]
    with database.execute_wrapper(statement):
        yield


# --- Whether they agree ---------------------------------------------------------------


def disagreements(world: World) -> list[str]:
    """Return where the database and the exchange are not of one mind."""
    orders = list(Order.objects.order_by("pk"))
    theirs = _their_orders(world)
    found: list[str] = []
    for order in orders:
        name = order.client_id
        if order.role == Order.Role.LIQUIDATION:
            name = f"autoclose {order.exchange_id}"
        found += _about_order(order, theirs.pop(name, []))
    found += [f"{name} is not known here" for name in theirs]
    followed = [order.candle_at for order in orders if order.role == Order.Role.ENTRY]
    if len(set(followed)) != len(followed):
        found.append("one signal was followed twice")
    if Trade.objects.count() != Order.objects.filter(trade__isnull=False).count():
        found.append("there is a trade without an order")
    if len(world.book.trades) != Fill.objects.count():
        found.append(f"{len(world.book.trades)} fills there, not as many here")
    return [*found, *_about_position(world, orders)]


def _about_order(order: Order, there: Sequence[_Theirs]) -> Iterator[str]:
    if order.status in Order.UNSETTLED:
        yield f"{order} is not settled"
    executed = sum((each.executed for each in there), Decimal(0))
    filled = sum((fill.quantity for fill in order.fills.all()), Decimal(0))
    if executed != filled:
        yield f"{order}: {executed} executed there, {filled} here"
    if len(there) > 1:
        yield f"{order} is {len(there)} times on the exchange"
    if any(each.is_open for each in there) == order.is_finished:
        yield f"{order}: {there} there"
    if bool(filled) != (order.trade is not None):
        yield f"{order} filled {filled} with trade {order.trade}"
    if order.trade and order.trade.quantity_filled != filled:
        yield f"{order.trade} is not what {order} has filled"


def _about_position(world: World, orders: Sequence[Order]) -> Iterator[str]:
    position = Position.objects.filter(closed_at__isnull=True).first()
    held = position.sign * position.quantity if position else Decimal(0)
    if _held(world) - held not in (0, *_dust()):
        yield f"{_held(world)} held there, {held} here"
    if position:
        behind = [order for order in orders if not order.is_finished]
        if {order.role for order in behind} != {"STOP", "TARGET"}:
            yield f"{behind} rest behind the position"
    elif any(not order.is_finished for order in orders):
        yield "something rests behind nothing"


class _Theirs(NamedTuple):
    executed: Decimal
    is_open: bool


def _their_orders(world: World) -> dict[str, list[_Theirs]]:
    """Return the orders there by client id; a stop is one with what it becomes."""
    found: dict[str, list[_Theirs]] = {}
    conditionals = getattr(world.book, "conditionals", {}).values()
    children = [each.child.order_id for each in conditionals if each.child]
    for order in world.book.orders.values():
        if order.order_id not in children:
            told = _Theirs(order.executed, order.is_open)
            name = order.client_id
            if name.startswith("autoclose"):
                name = f"autoclose {order.order_id}"
            found.setdefault(name, []).append(told)
    for each in conditionals:
        executed = each.child.executed if each.child else Decimal(0)
        told = _Theirs(executed, each.is_open)
        found.setdefault(each.order.client_id, []).append(told)
    return found


def _held(world: World) -> Decimal:
    if world.market == "spot":
        return world.fake.spot.balances["BTC"]
    position = world.fake.futures.positions.get("BTCUSDT")
    return position.amount if position else Decimal(0)


def _dust() -> Sequence[Decimal]:
    """Return what commissions in coins have left of closed positions."""
    closed = Position.objects.filter(closed_at__isnull=False)
    return [sum((position.quantity for position in closed), Decimal(0))]
