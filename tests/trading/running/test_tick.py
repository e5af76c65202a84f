"""What a look at a bot on paper does, and what it does not do."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal as D
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from bots.leases import LEASE_FOR, LeaseLostError, lease_hold, leases_claim
from bots.models import BotConfig, BotRun, BotState
from bots.services import bot_config_delete, bot_config_update, bot_stop
from tests.factories import make_user
from tests.trading.engine.bars import NEW_YEAR_MS, candles
from tests.trading.running.replay import Replay, make_running_bot, replay
from tradebot.errors import ConflictError
from trading.candles import MissingCandlesError, Period
from trading.engine.candles import Candles
from trading.exchange_info import ExchangeUnavailableError
from trading.exchanges.environments import LiveLockedError
from trading.models import (
    CandleSeries,
    Order,
    Position,
    Trade,
    TradingHalt,
)
from trading.notifications.models import Notification
from trading.notifications.outbox import webhook_save
from trading.running.feed import Series
from trading.running.rules import BotRefusedError
from trading.running.runner import Runner
from trading.running.services import bot_start
from trading.running.tick import Tick

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

WARMUP = 201
Bar = tuple[float, float, float, float]
EAGER = {"rsi_oversold": 1, "rsi_overbought": 99}


def drifting(*closes: float, before: int = WARMUP) -> Candles:
    """Return bars that fall slowly for long, then close at these prices.

    The first one up makes the averages cross; bars open where the last one closed.
    """
    falling = [100 + 0.005 * left for left in range(before, 0, -1)]
    all_closes = [falling[0], *falling, *closes]
    bars: list[Bar] = [
        (open_, max(open_, close), min(open_, close), close)
        for open_, close in pairwise(all_closes)
    ]
    return candles(*bars, start_ms=NEW_YEAR_MS)


def state_of(bot: BotConfig) -> tuple[str | None, str | None]:
    state = BotState.objects.get(pk=bot.pk)
    return state.status, state.reason


def entered(**values: Any) -> tuple[BotConfig, Replay, Runner]:
    """Return a bot with a position, the market at the bar after the entry."""
    bot = make_running_bot(**{**EAGER, **values})
    market = Replay(drifting(100.8, 100.8, 100.8, 100.8, 100.8, 100.8), WARMUP + 1)
    runner = replay(bot, market, WARMUP + 2)
    assert Position.objects.get(bot=bot).closed_at is None
    return bot, market, runner


def test_one_signal_is_followed_once_however_often_one_looks() -> None:
    bot = make_running_bot(**EAGER)
    market = Replay(drifting(100.8, 100.8), WARMUP + 1)
    for _ in range(5):
        replay(bot, market, WARMUP + 2)
        market.at = WARMUP + 1
    assert Order.objects.filter(role="ENTRY").count() == 1
    assert state_of(bot) == ("running", "in_position")


class Broken(Replay):
    """A market whose candles cannot be had."""

    error: Exception

    def candles(self, series: Series, count: int, now: dt.datetime) -> Candles:
        raise self.error


SERIES = CandleSeries(market="spot", symbol="BTCUSDT", interval="1m")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ExchangeUnavailableError("Binance does not answer."), "exchange_unavailable"),
        (MissingCandlesError(SERIES, [Period.of_ms(0, 60_000)]), "no_candles"),
    ],
)
def test_without_candles_nothing_is_sent_and_the_owner_is_told(
    error: Exception, reason: str, settings: Any
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    bot = make_running_bot(**EAGER)
    market = Broken(drifting(100.8, 100.8, 100.8), WARMUP + 1)
    market.error = error

    replay(bot, market, WARMUP + 3)

    assert not Order.objects.exists()
    assert state_of(bot) == ("error", reason)
    assert BotRun.objects.get(pk=bot.pk).failures == 2
    assert Notification.objects.get().kind == "bot_error"  # not at each look


def test_old_candles_are_not_decided_on() -> None:
    bot = make_running_bot(**EAGER)
    market = Replay(drifting(100.8, 100.8), WARMUP + 1)
    late = market.now() + dt.timedelta(minutes=5)
    BotRun.objects.update(due_at=late)

    Runner(feed=market, threads=1, clock=lambda: late).step()

    assert not Order.objects.exists()
    assert state_of(bot) == ("error", "stale_candles")


def test_an_error_is_forgotten_when_it_is_over() -> None:
    bot = make_running_bot(**EAGER)
    BotState.objects.update(status="error", last_error_message="Something.")
    replay(bot, Replay(drifting(99.9, 99.8), WARMUP + 1), WARMUP + 2)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.last_error_message) == ("waiting", None)


def test_the_trailing_stop_does_not_see_what_was_before_the_entry() -> None:
    bot = make_running_bot(
        **EAGER,
        trailing_stop_active=True,
        trailing_stop_perc=D(2),
        stop_loss_perc=D(9),
        take_profit_perc=D(20),
    )
    market = Replay(drifting(100.8, 100.8, 100.8), WARMUP + 1)
    replay(bot, market, WARMUP + 2)
    position = Position.objects.get()
    position.opened_at += dt.timedelta(seconds=50)
    position.save()
    flat = (100.8, 100.8, 100.8, 100.8)
    bars: list[Bar] = [flat] * (WARMUP + 3)
    bars[WARMUP + 1] = (100.8, 110, 100.8, 100.8)  # the one of the entry
    market.all = candles(*bars, start_ms=int(market.all.open_time[0]))
    replay(bot, market, WARMUP + 3)
    position.refresh_from_db()
    assert position.closed_at is None
    assert position.best_price < 101


def test_another_capital_is_no_loss_of_the_day() -> None:
    bot = make_running_bot(**EAGER, max_daily_loss_perc=D(5))
    market = Replay(drifting(99.9, 99.8, 99.7, 99.6), WARMUP + 1)
    replay(bot, market, WARMUP + 2)
    bot_config_update(bot=bot, values={"initial_capital": D(900)})
    replay(bot, market, WARMUP + 3)
    assert state_of(bot) == ("waiting", "no_signal")
    assert BotRun.objects.get().day_equity == 900


def test_a_limit_pauses_until_midnight_and_never_switches_off() -> None:
    falling = [100.8, 100.8, 98, 98, 101, 101, 101]
    bot = make_running_bot(**EAGER, max_daily_trades=1, stop_loss_perc=D("0.5"))
    market = Replay(drifting(*falling), WARMUP + 1)

    replay(bot, market, WARMUP + 1 + len(falling) - 1)

    assert Order.objects.filter(role="ENTRY").count() == 1
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.reason) == ("paused", "max_daily_trades")
    assert state.paused_until == dt.datetime(2022, 1, 2, tzinfo=dt.UTC)
    bot.refresh_from_db()
    assert bot.is_active is True

    # Another process, and another day: it goes on by itself.
    tomorrow = candles(
        *([(100.0, 100.0, 100.0, 100.0)] * (WARMUP + 2)),
        start_ms=NEW_YEAR_MS + 24 * 3_600_000,
    )
    replay(bot, Replay(tomorrow, WARMUP + 1), WARMUP + 2)
    assert state_of(bot) == ("waiting", "no_signal")


def test_exits_are_never_held_back_by_a_limit() -> None:
    bot, market, _ = entered(max_daily_trades=1)
    bot_stop(bot=bot, close=True)
    replay(bot, market, market.at + 1)
    position = Position.objects.get()
    assert (position.reason, position.closed_at) == ("STOPPED", position.closed_at)
    assert position.closed_at is not None


def test_a_stopped_bot_keeps_its_position_and_its_stop() -> None:
    bot, market, _ = entered()
    bot_stop(bot=bot)

    replay(bot, market, market.at + 1)

    assert state_of(bot) == ("stopped", "position_kept")
    assert Position.objects.get().closed_at is None
    resting = Order.objects.filter(status="OPEN").order_by("role")
    assert [order.role for order in resting] == ["STOP", "TARGET"]
    assert BotRun.objects.get(pk=bot.pk).due_at is not None  # it is looked after


def test_a_flat_stopped_bot_is_not_looked_at_any_more() -> None:
    bot = make_running_bot(**EAGER)
    bot_stop(bot=bot)
    replay(bot, Replay(drifting(100.8, 100.8), WARMUP + 1), WARMUP + 2)
    assert BotRun.objects.get(pk=bot.pk).due_at is None
    assert not Order.objects.exists()


def test_a_stop_while_it_is_looked_at_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    bot = make_running_bot(**EAGER)
    market = Replay(drifting(100.8, 100.8), WARMUP + 1)
    price = market.price

    def stopped_meanwhile(*arguments: Any) -> D:
        bot_stop(bot=bot)
        return price(*arguments)

    monkeypatch.setattr(market, "price", stopped_meanwhile)
    replay(bot, market, WARMUP + 2)

    assert not Order.objects.exists()
    assert BotState.objects.get(pk=bot.pk).status == "stopped"


def test_under_a_halt_nothing_is_entered() -> None:
    bot = make_running_bot(**EAGER)
    TradingHalt.objects.create(halted_by="operator")
    replay(bot, Replay(drifting(100.8, 100.8), WARMUP + 1), WARMUP + 2)
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"position_size_perc": None}, "exactly one of position_size_fixed"),
        ({"position_size_fixed": D(10)}, "exactly one of position_size_fixed"),
        ({"initial_capital": None, "max_daily_loss_perc": D(1)}, "initial_capital"),
        ({"strategy": "grid"}, "strategy is grid"),
        ({"timeframe": "7m"}, "timeframe is 7m"),
        ({"ema_fast": 30}, "must be below ema_slow"),
        ({"custom_ema_fast": 0}, "ema_fast is 0"),
        ({"symbol": "NOPEUSDT"}, "NOPEUSDT is not traded"),
        ({"environment": "testnet"}, "no API key"),
    ],
)
def test_a_bot_that_could_not_trade_is_not_started(
    values: dict[str, Any], words: str
) -> None:
    with pytest.raises(BotRefusedError, match=words):
        make_running_bot(**values)
    bot = BotConfig.objects.get()
    assert not bot.is_active


def test_what_cannot_run_any_more_says_so_and_waits() -> None:
    bot = make_running_bot(**EAGER)
    BotConfig.objects.update(ema_fast=30)
    replay(bot, Replay(drifting(100.8, 100.8), WARMUP + 1), WARMUP + 2)
    assert state_of(bot) == ("error", "refused_settings")


def test_a_running_bot_is_not_started_again() -> None:
    bot = make_running_bot(**EAGER)
    with pytest.raises(ConflictError):
        bot_start(bot=bot)


def test_live_is_locked_without_each_of_the_three(settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = False
    with pytest.raises(BotRefusedError):
        make_running_bot(environment="live")  # it has no key
    bot = BotConfig.objects.get()
    key = bot.user.api_keys.create(
        encrypted_api_key="a",
        encrypted_secret_key="b",
        environment="live",
        is_valid=True,
    )
    BotConfig.objects.update(api_key=key)
    bot.refresh_from_db()
    with pytest.raises(LiveLockedError, match="LIVE_TRADING_ENABLED"):
        bot_start(bot=bot)
    settings.LIVE_TRADING_ENABLED = True
    with pytest.raises(LiveLockedError, match="owner"):
        bot_start(bot=bot)


def test_what_a_position_stands_on_cannot_change_under_it() -> None:
    bot, market, _ = entered()
    with pytest.raises(ConflictError, match="open position"):
        bot_config_update(bot=bot, values={"symbol": "ETHUSDT"})
    with pytest.raises(ConflictError, match="open position"):
        bot_config_delete(bot=bot)
    bot_config_update(bot=bot, values={"name": "Another"})
    bot_stop(bot=bot, close=True)
    replay(bot, market, market.at + 1)
    bot_config_delete(bot=bot)
    assert not Order.objects.exists()


def test_a_change_takes_the_confirmation_away() -> None:
    bot = make_running_bot(**EAGER)
    BotConfig.objects.update(live_confirmed_at=dt.datetime.now(dt.UTC))
    bot.refresh_from_db()
    bot_config_update(bot=bot, values={"name": "Another"})
    bot.refresh_from_db()
    assert bot.live_confirmed_at is not None
    bot_config_update(bot=bot, values={"symbol": "ETHUSDT"})
    bot.refresh_from_db()
    assert bot.live_confirmed_at is None


def test_a_lease_that_was_taken_over_writes_nothing() -> None:
    bot = make_running_bot(**EAGER)
    now = dt.datetime.now(dt.UTC)
    (first,) = leases_claim(now=now, limit=5)
    assert leases_claim(now=now, limit=5) == []
    later = now + LEASE_FOR
    (second,) = leases_claim(now=later, limit=5)
    assert second.pk == bot.pk

    with pytest.raises(LeaseLostError):
        lease_hold(first, now=later)
    lease_hold(second, now=later)


def test_bots_of_the_old_program_that_are_on_run_on_paper() -> None:
    bot = make_running_bot(**EAGER)
    BotRun.objects.all().delete()
    market = Replay(drifting(100.8, 100.8), WARMUP + 1)
    Runner(feed=market, threads=1, clock=market.now).step()
    assert Position.objects.get(bot=bot).environment == "paper"


def test_the_owner_is_told_of_fills_and_of_a_closed_position() -> None:
    owner = make_user()
    webhook_save(user=owner, values={"url": "https://receiver.example.com/"})
    bot, market, _ = entered(user=owner)
    assert Trade.objects.get().order.role == "ENTRY"
    bot_stop(bot=bot, close=True)
    replay(bot, market, market.at + 1)

    kinds = Notification.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [
        "order_filled",
        "order_filled",
        "position_closed",
        "bot_stopped",
    ]


# --- Money ----------------------------------------------------------------------------


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.floats(-1.5, 1.5, allow_nan=False), min_size=5, max_size=25),
    st.sampled_from(["spot", "futures"]),
)
def test_realised_and_unrealised_are_what_the_account_has_changed_by(
    steps: list[float], market: str
) -> None:
    BotConfig.objects.all().delete()
    closes = [100.8]
    for step in steps:
        closes.append(round(max(closes[-1] + step, 1), 2))
    values = {"allow_short": True, "leverage": 2} if market == "futures" else {}
    User.objects.all().delete()
    bot = make_running_bot(
        **{**EAGER, "stop_loss_perc": D("0.7"), "position_type": market, **values}
    )
    world = Replay(drifting(*closes), WARMUP + 1)
    replay(bot, world, WARMUP + len(closes))

    account = bot.paper_account
    account.refresh_from_db()
    positions = list(Position.objects.filter(bot=bot))
    realised = sum((position.realized_pnl for position in positions), D(0))
    last = D(repr(closes[-2]))
    unrealised = sum((position.unrealized_pnl(last) for position in positions), D(0))
    account_gain = account.realized + account.quantity * (last - account.entry_price)
    assert abs(realised + unrealised - account_gain) <= D("1e-18")
    traded = Trade.objects.filter(bot_config=bot, realized_pnl__isnull=False)
    of_trades = sum((trade.realized_pnl or D(0) for trade in traded), D(0))
    closed = [each.realized_pnl for each in positions if each.closed_at]
    assert abs(of_trades - sum(closed, D(0))) <= D("1e-18")


def test_a_bot_that_fails_does_not_hold_up_those_behind_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = make_running_bot(**EAGER)
    second = make_running_bot(**EAGER, user=first.user)
    look = Tick.look

    def failing(self: Tick) -> Any:
        if self.bot == first:
            raise ZeroDivisionError
        return look(self)

    monkeypatch.setattr(Tick, "look", failing)
    market = Replay(drifting(100.8, 100.8), WARMUP + 1)
    BotRun.objects.update(due_at=market.now())

    Runner(feed=market, threads=1, clock=market.now).step()

    assert state_of(first) == ("error", "failed")
    assert state_of(second) == ("running", "in_position")
    assert f"Bot {first.pk} failed" in caplog.text
