"""The kill switch stops every bot at once, and runners clear what it left."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.leases import lease_hold, leases_claim
from bots.models import BotConfig, BotRun, BotState
from bots.services import bot_config_delete, bot_stop
from tests.factories import make_bot, make_order, make_position, make_user
from tests.trading.engine.bars import real_minutes
from tests.trading.running.replay import Replay, make_running_bot, replay
from trading.halts import bots_halt, trading_halt, trading_lift
from trading.models import Order, PaperOrder, Position, TradingHalt
from trading.notifications.models import Notification
from trading.notifications.outbox import webhook_save
from trading.running.runner import Runner

pytestmark = pytest.mark.django_db

WARMUP = 201


class Running:
    """A bot whose position is open, with a stop and a target behind it."""

    def __init__(self) -> None:
        self.bot = make_running_bot(stop_loss_perc=D(3), take_profit_perc=D(3))
        self.market = Replay(real_minutes(), WARMUP)
        while not Position.objects.exists():
            self.runner = replay(self.bot, self.market, self.market.at + 1)
        assert self.resting() == {"STOP", "TARGET"}

    def look(self) -> BotState:
        """Let the runner look once at what is due; return the state after it."""
        self.market.at += 1
        BotRun.objects.filter(due_at__isnull=False).update(due_at=self.market.now())
        self.runner.step()
        return BotState.objects.get()

    def resting(self) -> set[str]:
        """Return what rests, by our orders and by those of the exchange."""
        ours = Order.objects.filter(status="OPEN")
        theirs = PaperOrder.objects.filter(status="OPEN")
        assert {order.client_id for order in ours} == {one.client_id for one in theirs}
        return {order.role for order in ours}


@pytest.fixture
def running() -> Running:
    return Running()


def test_halt_switches_off_at_once_and_the_next_look_cancels(running: Running) -> None:
    halted = trading_halt(by="admin@example.com", reason="a drill")

    assert (halted.stopped, [one.bot for one in halted.positions]) == (1, [running.bot])
    assert not BotConfig.objects.get().is_active
    state = BotState.objects.get()
    assert (state.status, state.reason) == ("stopped", "halted")
    assert running.resting() == {"STOP", "TARGET"}  # nobody has looked yet

    state = running.look()

    assert running.resting() == set()
    assert Position.objects.get().closed_at is None
    assert (state.status, state.reason) == ("stopped", "halted")
    assert "NO stop" in (state.last_error_message or "")


def test_lift_gives_the_stop_back_and_starts_nothing(running: Running) -> None:
    trading_halt(by="x")
    running.look()

    assert trading_lift(by="x") == 1

    state = running.look()
    assert running.resting() == {"STOP", "TARGET"}
    assert (state.status, state.reason) == ("stopped", "position_kept")
    assert state.last_error_message is None
    assert not BotConfig.objects.get().is_active
    assert trading_lift(by="x") == 0


def test_halt_that_keeps_protection_leaves_what_protects(running: Running) -> None:
    trading_halt(by="x", keep_protection=True)

    running.look()

    assert running.resting() == {"STOP", "TARGET"}


def test_halt_that_closes_sells_at_the_market(running: Running) -> None:
    trading_halt(by="x", close=True)

    state = running.look()

    position = Position.objects.get()
    assert (position.reason, position.quantity) == ("STOPPED", D(0))
    assert running.resting() == set()
    assert (state.status, state.in_position) == ("stopped", False)
    assert BotRun.objects.get().due_at is None  # there is nothing left to look at


def test_second_halt_may_close_what_the_first_kept(running: Running) -> None:
    trading_halt(by="x")
    running.look()

    assert trading_halt(by="x", close=True).stopped == 0
    running.look()

    assert Position.objects.get().closed_at is not None


def test_position_of_a_bot_that_was_stopped_before_is_no_exception(
    running: Running,
) -> None:
    BotConfig.objects.update(is_active=False)

    halted = trading_halt(by="x")

    assert (halted.stopped, len(halted.positions)) == (0, 1)
    running.look()
    assert running.resting() == set()


def test_bot_that_is_switched_on_again_opens_nothing() -> None:
    bot = make_running_bot()
    trading_halt(by="x")
    BotConfig.objects.update(is_active=True)
    market = Replay(real_minutes(), WARMUP)

    replay(bot, market, WARMUP + 100)

    assert not Order.objects.exists()


@pytest.mark.parametrize("close", [False, True])
def test_halt_of_some_bots_keeps_their_positions_protected_or_closes_them(
    running: Running, close: bool
) -> None:
    assert bots_halt(bots=BotConfig.objects.all(), by="x", close=close) == 1

    state = running.look()

    assert running.resting() == (set() if close else {"STOP", "TARGET"})
    assert (Position.objects.get().closed_at is not None) is close
    assert state.reason == ("stopped" if close else "position_kept")


def test_halt_of_many_bots_takes_few_queries_and_no_runner() -> None:
    user = make_user()
    bots = BotConfig.objects.bulk_create(
        [
            BotConfig(
                user=user, name=f"Bot {number}", symbol="BTCUSDT", timeframe="1h",
                is_active=True, stop_loss_perc=1, take_profit_perc=1, ema_fast=9,
                ema_slow=21, rsi_period=14, rsi_oversold=30, rsi_overbought=70,
            )
            for number in range(1200)
        ]
    )  # fmt: skip
    BotRun.objects.bulk_create([BotRun(bot=bot) for bot in bots[:1000]])
    BotState.objects.bulk_create([BotState(bot_config=bot) for bot in bots[:900]])

    with CaptureQueriesContext(connection) as captured:
        assert trading_halt(by="x").stopped == 1200

    assert len(captured) < 30
    assert not BotConfig.objects.filter(is_active=True).exists()
    assert BotState.objects.filter(reason="halted").count() == 900
    assert BotRun.objects.filter(due_at__lte=timezone.now()).count() == 1000


def test_owners_of_what_is_halted_are_told_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("trading.halts._BATCH", 2)
    owner, other, idle = (make_user(f"{name}@example.com") for name in "abc")
    for user in (owner, other, idle):
        webhook_save(user=user, values={"url": "https://receiver.example.com/"})
    for user in (owner, owner, other, owner):
        make_bot(user, is_active=True)
    make_bot(idle, is_active=False)

    trading_halt(by="admin@example.com", reason="a drill", keep_protection=True)

    told = Notification.objects.filter(kind="trading_halted", channel="webhook")
    assert {each.user_id for each in told} == {owner.pk, other.pk}
    assert len(told) == 2
    payload = json.loads(told[0].payload)
    at = TradingHalt.objects.get().halted_at.isoformat()
    assert payload == {"reason": "a drill", "positions": "kept", "halted_at": at}


def test_runner_that_comes_up_later_clears_up(running: Running) -> None:
    trading_halt(by="x")
    running.runner = Runner(
        feed=running.market, threads=1, clock=running.market.now
    )  # another process

    running.look()

    assert running.resting() == set()


def halt(*arguments: str) -> str:
    output = StringIO()
    call_command("halt", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "kept WITHOUT A STOP"),
        (("--keep-protection",), "with the orders that protect them"),
        (("--close",), "closing these positions"),
    ],
)
def test_command_tells_what_becomes_of_positions(
    arguments: tuple[str, ...], words: str
) -> None:
    bot = make_bot(make_user(), name="Mine", is_active=True)
    make_order(bot, make_position(bot), role="STOP", status="OPEN")

    text = halt("--reason", "a drill", *arguments)

    assert "Bots switched off: 1." in text
    assert words in text
    assert "LONG 1 BTCUSDT (paper), bot" in text
    assert "'Mine' of owner@example.com" in text
    made = TradingHalt.objects.get()
    assert (made.reason, made.lifted_at) == ("a drill", None)
    assert "still switched off" in halt("--lift")
    with pytest.raises(CommandError, match="not halted"):
        halt("--lift")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["stop", "halt", "delete"])
def test_stopping_waits_for_who_stores_an_intent(how: str) -> None:
    """Both lock the run of a bot, then the bot: neither is a deadlock's victim."""
    bot = make_running_bot()
    (run,) = leases_claim(now=timezone.now(), limit=1)

    def stop() -> None:
        try:
            match how:
                case "stop":
                    bot_stop(bot=bot)
                case "halt":
                    trading_halt(by="x")
                case "delete":
                    bot_config_delete(bot=bot)
        finally:
            connection.close()

    with ThreadPoolExecutor() as pool:
        with transaction.atomic():
            lease_hold(run, now=timezone.now())
            stopping = pool.submit(stop)
            time.sleep(0.5)  # it waits for the run by now
            assert not stopping.done()
            wanted = BotConfig.objects.filter(pk=bot.pk, is_active=True)
            assert wanted.select_for_update(no_key=True).exists()
        stopping.result(timeout=10)

    assert not BotConfig.objects.filter(is_active=True).exists()
