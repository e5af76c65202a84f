"""The demo is made by the real parts, marked as made up, and goes without a trace."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import User
from backtests import demo
from backtests.models import Backtest
from bots.leases import leases_claim
from bots.models import BotConfig, BotState
from tests.factories import make_bot, make_user
from trading.models import Candle, CandleSeries, Fill, Order, Position, Trade

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
    looked = demo._keep

    def keep(bots: list[BotConfig]) -> None:
        looked(bots)
        taken.extend(leases_claim(now=timezone.now(), limit=100))

    monkeypatch.setattr(demo, "_keep", keep)
    monkeypatch.setattr(demo, "_WARMUP", demo._MINUTE * 320)

    text = run("--hours", "1")

    password = text.split("Password: ")[1].split()[0]
    assert authenticate(username=demo.EMAIL, password=password) is not None
    assert taken == []  # no runner could take a bot whose clock is moved
    bots = BotConfig.objects.exclude(pk=other.pk)
    assert all(bot.candle_seed is not None for bot in bots)
    assert set(CandleSeries.objects.values_list("source", flat=True)) == {"synthetic"}
    assert BotState.objects.count() == len(bots) == 8
    assert {"error", "stopped"} < set(BotState.objects.values_list("status", flat=True))
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


@pytest.mark.alike
@pytest.mark.parametrize("arguments", [(), ("--reset",)])
def test_demo_leaves_a_user_of_its_address_alone(arguments: tuple[str, ...]) -> None:
    user = make_user(demo.EMAIL)
    make_bot(user)

    with pytest.raises(CommandError, match="Nothing was changed"):
        run(*arguments)

    assert user.bot_configs.count() == 1
