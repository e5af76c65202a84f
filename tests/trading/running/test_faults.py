"""Whatever goes wrong at the exchange, it and the database agree in the end."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.services import user_delete
from apikeys.services import api_key_delete
from bots.leases import leases_claim
from bots.models import BotConfig, BotRun, BotState
from bots.services import bot_config_update, bot_stop
from tests.trading.running.exchange import (
    DOWN,
    World,
    disagreements,
    look,
    make_bot_with_key,
    settle,
)
from tradebot.errors import ConflictError
from trading.exchange_info import ExchangeUnavailableError
from trading.halts import trading_halt
from trading.models import Order, Position, Symbol, Trade
from trading.running.budget import Budget
from trading.running.runner import Runner

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

FAULTS: dict[str, dict[str, Any]] = {
    "reject": {"kind": "reject", "code": -2010},
    "hang before": {"kind": "hang before", "wait_s": 0.4},
    "hang after": {"kind": "hang after", "wait_s": 0.4},
    "held up": {"kind": "held up", "wait_s": 0.1},
    "error before": {"kind": "error before", "status": 503},
    "error after": {"kind": "error after", "status": 503},
    "reset before": {"kind": "reset before"},
    "reset after": {"kind": "reset after"},
    "malformed": {"kind": "malformed"},
    "repeat": {"kind": "repeat"},
    "lag": {"kind": "lag", "wait_s": 0.3},
    "too many": {"kind": "error before", "status": 429, "retry_after_s": 1},
    "banned": {"kind": "error before", "status": 418, "retry_after_s": 1},
}
ENDPOINTS = {
    ("spot", "market"): "POST /api/v3/order",
    ("spot", "pair"): "POST /api/v3/orderList/oco",
    ("spot", "cancel"): "DELETE /api/v3/order",
    ("spot", "find"): "GET /api/v3/order",
    ("futures", "market"): "POST /fapi/v1/order",
    ("futures", "stop"): "POST /fapi/v1/algoOrder",
    ("futures", "cancel"): "DELETE /fapi/v1/algoOrder",
    ("futures", "find"): "GET /fapi/v1/order",
}


def open_positions() -> int:
    return Position.objects.filter(closed_at__isnull=True).count()


def _round_trip(world: World) -> None:
    """Enter, and a minute later leave, with looks in between."""
    bot = make_bot_with_key(world)
    look(world)
    settle(world)
    bot_stop(bot=bot, close=True)
    look(world)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    ("market", "what"),
    [
        pytest.param(
            *each,
            id=" ".join(each),
            marks=[] if each[1] == "market" else [pytest.mark.long],
        )
        for each in ENDPOINTS
    ],
)
def test_one_fault_of_any_kind_leaves_no_disagreement(
    world: World, market: str, what: str, fault: str
) -> None:
    world.fake.fault(ENDPOINTS[market, what], **FAULTS[fault])

    _round_trip(world)

    world.fake.no_faults()
    settle(world)
    assert disagreements(world) == []
    assert open_positions() == 0
    held = world.fake.spot.balances["BTC"]
    assert held < Decimal("0.00001")


def test_an_exchange_that_goes_down_is_settled_with_when_it_is_back(
    world: World,
) -> None:
    bot = make_bot_with_key(world)
    look(world)
    assert open_positions() == 1
    world.fake.down()
    bot_stop(bot=bot, close=True)
    look(world)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.reason) == ("error", "exchange_unavailable")
    world.fake.up()

    settle(world)

    assert disagreements(world) == []
    assert open_positions() == 0


def test_fills_in_parts_add_up(world: World) -> None:
    world.book.parts = 3
    make_bot_with_key(world)
    look(world)
    (trade,) = Trade.objects.all()
    assert trade.order.fills.count() == 3
    assert disagreements(world) == []


def test_a_rejected_entry_is_no_trade_and_is_told(world: World) -> None:
    world.fake.fault(
        ENDPOINTS[world.market, "market"], "reject", code=-2010, message="No funds."
    )
    bot = make_bot_with_key(world)

    look(world)
    look(world)

    state = BotState.objects.get(pk=bot.pk)
    assert not Trade.objects.exists()
    assert not Position.objects.exists()
    assert Order.objects.get().status == "REJECTED"  # once for the signal
    assert state.daily_trades_count == 0


def test_a_position_without_a_stop_is_closed(world: World) -> None:
    endpoint = ENDPOINTS[world.market, "pair" if world.market == "spot" else "stop"]
    world.fake.fault(endpoint, "reject", code=-2010, times=10)
    make_bot_with_key(world)

    look(world)

    position = Position.objects.get()
    assert position.reason == "UNPROTECTED"
    assert position.closed_at is not None


@pytest.mark.parametrize("market", ["futures"])
def test_a_signal_against_the_position_turns_it_around(world: World) -> None:
    make_bot_with_key(world)
    look(world)
    world.signals[1] = DOWN
    world.wait(minutes=1)

    look(world)

    first, second = Position.objects.order_by("pk")
    assert (first.direction, first.reason) == ("LONG", "SIGNAL")
    assert (second.direction, second.closed_at) == ("SHORT", None)
    assert disagreements(world) == []


@pytest.mark.parametrize("market", ["futures"])
def test_a_liquidation_is_taken_over(world: World) -> None:
    make_bot_with_key(world, leverage=50, stop_loss_perc=Decimal(5))
    look(world)
    world.book.set_price("BTCUSDT", "97")

    look(world)

    position = Position.objects.get()
    assert position.reason == "LIQUIDATION"
    assert disagreements(world) == []


@pytest.mark.parametrize("market", ["futures"])
def test_a_position_of_somebody_else_is_left_alone(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    held = world.fake.futures.positions["BTCUSDT"]
    held.amount -= 1

    look(world)

    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.reason) == ("error", "mismatch")
    assert Order.objects.count() == 3


def test_a_position_that_was_closed_by_hand_can_be_let_go(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    if world.market == "spot":
        world.fake.spot.balances["BTC"] = Decimal(0)
    else:
        world.fake.futures.positions["BTCUSDT"].amount = Decimal(0)
    look(world)
    assert BotState.objects.get(pk=bot.pk).reason == "mismatch"
    assert open_positions() == 1

    bot_stop(bot=bot, close=True)
    look(world)

    assert Position.objects.get().reason == "ELSEWHERE"
    assert not Order.objects.filter(status="OPEN").exists()
    assert BotState.objects.get(pk=bot.pk).status == "stopped"


def test_closing_is_not_forgotten_while_an_entry_is_unsettled(world: World) -> None:
    world.fake.fault(ENDPOINTS[world.market, "market"], "error after", status=503)
    bot = make_bot_with_key(world)
    look(world)
    assert Order.objects.get().status == "UNKNOWN"
    world.fake.fault("*", "error before", status=503, times=5)
    bot_stop(bot=bot, close=True)
    look(world)
    world.fake.no_faults()

    settle(world)

    assert Position.objects.get().reason == "STOPPED"
    assert disagreements(world) == []


def test_a_bot_with_an_unsettled_order_stays_where_it_is(world: World) -> None:
    world.fake.fault(ENDPOINTS[world.market, "market"], "error after", status=503)
    bot = make_bot_with_key(world)
    look(world)
    with pytest.raises(ConflictError, match="orders on the exchange"):
        bot_config_update(bot=bot, values={"environment": "paper"})


def test_what_changed_before_the_intent_is_not_entered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = make_bot_with_key(world)
    size = Budget.size

    def changed_meanwhile(self: Budget, direction: int) -> Any:
        BotConfig.objects.filter(pk=bot.pk).update(environment="paper")
        return size(self, direction)

    monkeypatch.setattr(Budget, "size", changed_meanwhile)
    look(world)
    assert not Order.objects.exists()
    assert BotState.objects.get().reason == "changed"


@pytest.mark.parametrize("market", ["futures"])
def test_orders_that_futures_do_not_tell_of_any_more_hold_up_nothing(
    world: World,
) -> None:
    bot = make_bot_with_key(world)
    look(world)
    Order.objects.filter(status="OPEN").update(
        signed_at=timezone.now() - dt.timedelta(days=4)
    )
    world.fake.fault("GET /fapi/v1/order", "reject", code=-2013, times=9)
    world.fake.fault("GET /fapi/v1/algoOrder", "reject", code=-2013, times=9)
    bot_stop(bot=bot, close=True)

    look(world)

    assert Position.objects.get().closed_at is not None


@pytest.mark.parametrize("market", ["spot"])
def test_a_rest_below_the_minimum_is_let_go(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    world.book.parts = 100
    world.book.set_price("BTCUSDT", "104")  # the target, in small parts
    for _ in range(98):
        world.book.match("BTCUSDT")
    assert world.fake.spot.balances["BTC"] < Decimal("0.06")
    world.book.rules["BTCUSDT"].min_notional = Decimal(50)
    Symbol.objects.update(min_notional=Decimal(50))
    bot_stop(bot=bot, close=True)

    look(world)
    settle(world)

    position = Position.objects.get()
    assert (position.reason, position.closed_at is None) == ("STOPPED", False)
    assert 0 < position.quantity < Decimal("0.06")


@pytest.mark.parametrize("market", ["spot"])
def test_what_could_not_be_sold_again_is_not_bought(world: World) -> None:
    make_bot_with_key(
        world, position_size_perc=None, position_size_fixed=Decimal("5.005")
    )
    look(world)
    assert not Order.objects.exists()
    assert BotState.objects.get().reason == "below_minimum"


def test_a_rejected_exit_leaves_a_stop_and_is_tried_again_soon(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    world.fake.fault(ENDPOINTS[world.market, "market"], "reject", code=-2010, times=1)
    bot_stop(bot=bot, close=True)
    look(world)
    assert BotState.objects.get().reason == "order_rejected"
    assert Order.objects.filter(status="OPEN", role="STOP").exists()
    due_at = BotRun.objects.get().due_at
    assert due_at is not None
    assert due_at - timezone.now() < dt.timedelta(seconds=11)

    look(world)

    assert Position.objects.get().reason == "STOPPED"
    assert disagreements(world) == []


@pytest.mark.parametrize("market", ["spot"])
def test_a_commission_without_a_price_does_not_hide_a_fill(world: World) -> None:
    world.fake.spot.bnb_price = Decimal(600)
    world.fake.spot.balances["BNB"] = Decimal(1)
    make_bot_with_key(world)
    look(world)
    assert disagreements(world) == []
    assert open_positions() == 1


def test_what_cannot_trade_any_more_is_looked_after_and_closed(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    BotConfig.objects.update(position_size_perc=None)
    look(world)
    assert BotState.objects.get().reason == "refused_settings"
    assert disagreements(world) == []

    bot_stop(bot=bot, close=True)
    look(world)

    assert Position.objects.get().reason == "STOPPED"


def test_a_halt_reaches_a_bot_in_trouble(world: World) -> None:
    make_bot_with_key(world)
    look(world)
    Position.objects.update(entry_quantity=Decimal(77))  # a mismatch
    look(world)
    assert BotState.objects.get().reason == "mismatch"
    trading_halt(by="operator")

    look(world)

    assert not Order.objects.filter(status="OPEN").exists()
    assert not any(order.is_open for order in world.book.orders.values())


def test_a_worker_without_its_lease_cancels_nothing(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    bot_stop(bot=bot, close=True)
    BotRun.objects.update(due_at=timezone.now())
    (run,) = leases_claim(now=timezone.now(), limit=1)
    BotRun.objects.update(lease_token=run.lease_token + 1)

    Runner(feed=world, threads=1).look([run])

    assert world.fake.sent("DELETE") == 0
    assert Order.objects.filter(status="OPEN").count() == 2


def test_a_key_stays_as_long_as_a_position_needs_it(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    bot_stop(bot=bot)
    assert bot.api_key is not None
    with pytest.raises(ConflictError, match="close=true"):
        api_key_delete(api_key=bot.api_key)
    bot_stop(bot=bot, close=True)
    look(world)
    api_key_delete(api_key=bot.api_key)


def test_a_user_stays_as_long_as_a_bot_holds_something(world: World) -> None:
    bot = make_bot_with_key(world)
    look(world)
    with pytest.raises(ConflictError, match="Some bot"):
        user_delete(user=bot.user)
    bot_stop(bot=bot, close=True)
    look(world)
    user_delete(user=bot.user)


def test_a_position_is_protected_without_candles(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_bot_with_key(world)
    look(world)
    for order in world.book.orders.values():
        if order.is_open:
            world.book.end(order, "CANCELED")
    for conditional in getattr(world.book, "conditionals", {}).values():
        conditional.status = "CANCELED"

    def away(*arguments: Any) -> Any:
        raise ExchangeUnavailableError("No candles today.")

    monkeypatch.setattr(world, "candles", away)
    look(world)

    resting = Order.objects.filter(status="OPEN")
    assert sorted(order.role for order in resting) == ["STOP", "TARGET"]
    assert BotState.objects.get().reason == "exchange_unavailable"
