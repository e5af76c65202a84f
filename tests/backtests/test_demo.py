"""The demo is made by the real parts, marked as made up, and goes without a trace."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import User
from backtests import demo, simulation
from backtests.models import Backtest
from bots.leases import leases_claim
from bots.models import BotConfig, BotState
from tests.factories import make_bot, make_user
from trading.models import Candle, CandleSeries, Fill, Order, Position, Trade
from trading.running import looks as running
from trading.running.runner import Runner

pytestmark = [pytest.mark.alike, pytest.mark.django_db]


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("demo", *arguments, stdout=output)
    return output.getvalue()


def test_demo_shows_something_everywhere_and_goes_without_a_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = make_bot(make_user("other@example.com"), is_active=True)
    taken: list[object] = []
    inside: set[str] = set()
    looks, simulate, store = Runner.looks, simulation.simulate, running.looks_store

    def watched_looks(runner: Runner, runs: Any) -> Any:
        inside.update(connection.savepoint_ids)
        found = list(looks(runner, runs))
        taken.extend(leases_claim(now=timezone.now(), limit=100))
        return found

    def watched_simulate(run: Any, say: Any) -> Backtest:
        inside.update(connection.savepoint_ids)
        return simulate(run, say)

    def watched_store(found: Any, *, now: Any) -> None:
        assert connection.savepoint_ids  # until the lease is there again
        store(found, now=now)

    monkeypatch.setattr(Runner, "looks", watched_looks)
    monkeypatch.setattr(simulation, "simulate", watched_simulate)
    monkeypatch.setattr(running, "looks_store", watched_store)
    monkeypatch.setattr(demo, "_WARMUP", demo._MINUTE * 320)

    text = run("--hours", "1")

    password = text.split("Password: ")[1].split()[0]
    assert authenticate(username=demo.EMAIL, password=password) is not None
    assert taken == []  # no runner could take a bot whose clock is moved
    assert inside == set()  # nobody had to wait for a transaction
    bots = BotConfig.objects.exclude(pk=other.pk)
    assert all(bot.candle_seed is not None for bot in bots)
    assert set(CandleSeries.objects.values_list("source", flat=True)) == {"synthetic"}
    assert BotState.objects.count() == len(bots) == 8
    assert {"error", "stopped"} < set(BotState.objects.values_list("status", flat=True))
    states = {bot.name: bot.state.reason for bot in bots.select_related("state")}
    assert states["Demo: stopped, position closed"] == "stopped"
    assert states["Demo: stopped, position kept"] == "position_kept"
    assert states["Demo: misconfigured"] == "refused_settings"
    positions = Position.objects.order_by("-pk")
    sold = positions.filter(bot__name="Demo: stopped, position closed").first()
    assert sold is not None
    assert sold.reason == "STOPPED"
    fills = Fill.objects.filter(order__bot__in=bots)
    assert Position.objects.exists()
    assert Trade.objects.count() == fills.values("order").distinct().count() > 0
    assert all(order.created_at == order.signed_at for order in Order.objects.all())
    backtests = Backtest.objects.filter(data_source="synthetic", test_mode="true")
    assert backtests.count() == 3

    assert "there already" in run()
    assert BotConfig.objects.count() == 9
    Backtest.objects.first().delete()  # type: ignore[union-attr]  # as if cut off
    assert "100 %" in run("--hours", "1")

    assert "removed" in run("--reset")
    assert list(User.objects.all()) == [other.user]
    assert list(BotConfig.objects.all()) == [other]
    for model in (CandleSeries, Candle, Order, Trade, Backtest):
        assert not model._default_manager.exists()
    assert "no demo" in run("--reset")


@pytest.mark.parametrize("part", ["_make_bots", "_trade", "_try_out"])
def test_demo_that_was_cut_off_is_removed(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_trade", lambda *_: None)
    monkeypatch.setattr(demo, part, cut_off)
    with pytest.raises(KeyboardInterrupt):
        run("--hours", "1")
    assert CandleSeries.objects.exists()

    assert "removed" in run("--reset")

    for model in (User, BotConfig, CandleSeries, Candle):
        assert not model._default_manager.exists()


@pytest.mark.parametrize("arguments", [(), ("--reset",)])
def test_demo_leaves_a_user_of_its_address_alone(arguments: tuple[str, ...]) -> None:
    user = make_user(demo.EMAIL)
    make_bot(user)

    with pytest.raises(CommandError, match="Nothing was changed"):
        run(*arguments)

    assert user.bot_configs.count() == 1
