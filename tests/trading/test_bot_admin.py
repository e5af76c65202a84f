"""The admin starts, stops and halts bots, and shows what they do."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from bots.models import BotConfig, BotState
from tests.admin_data import (
    admin_url,
    cells_of,
    client_of,
    form_data,
    make_rows,
    make_staff,
    make_superuser,
)
from tests.factories import (
    BOT,
    make_bot,
    make_closed_position,
    make_order,
    make_position,
    make_symbols,
    make_user,
)
from trading.models import Order, Position, Symbol, TradingHalt

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

HALT = "/admin/trading/tradinghalt/halt/"


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


@pytest.fixture
def bot() -> BotConfig:
    make_symbols()
    return make_bot(make_user(), strategy="ema", position_size_fixed=D(50))


def act(client: Client, action: str, *bots: BotConfig, choice: str = "") -> str:
    """Run an action on bots and say yes; return the page that it leads to."""
    data = {"action": action, "_selected_action": [bot.pk for bot in bots]}
    path = admin_url("changelist", BotConfig)
    asked = client.post(path, data).content.decode()
    assert 'name="post"' in asked
    done = client.post(path, {**data, "post": "yes", "choice": choice}, follow=True)
    return done.content.decode()


def test_list_shows_state_position_profit_and_error(
    superuser: Client, bot: BotConfig
) -> None:
    BotState.objects.create(
        bot_config=bot, status="error", reason="mismatch", last_error_message="x" * 99
    )
    make_closed_position(bot)
    make_closed_position(bot)
    make_position(bot)

    text = superuser.get(admin_url("changelist", BotConfig)).content.decode()

    assert cells_of(text, "status") == ["error"]
    assert cells_of(text, "reason") == ["mismatch"]
    assert cells_of(text, "position") == ["LONG 1 at 100"]
    assert cells_of(text, "realized") == ["+20.00"]
    assert cells_of(text, "last_error") == ["x" * 60 + "…"]


def test_page_of_a_bot_draws_what_it_realized(
    superuser: Client, bot: BotConfig
) -> None:
    first = superuser.get(admin_url("change", bot)).content.decode()
    assert "No position has been closed yet." in first
    make_closed_position(bot)
    make_closed_position(bot)

    text = superuser.get(admin_url("change", bot)).content.decode()

    assert "<polyline points=" in text
    assert "<td>+10</td><td>+20</td>" in text
    assert f"{admin_url('changelist', Order)}?bot__id__exact={bot.pk}" in text


def test_start_says_why_a_bot_cannot_run(superuser: Client, bot: BotConfig) -> None:
    bad = make_bot(bot.user, name="Bad one", strategy="ema")

    text = act(superuser, "start", bot, bad)

    assert "Started: 1." in text
    assert "Bad one (BTCUSDT): A bot needs exactly one of" in text
    assert list(BotConfig.objects.filter(is_active=True)) == [bot]
    bot.refresh_from_db()
    assert bot.state.status == "pending"


def test_start_without_symbols_says_so(superuser: Client, bot: BotConfig) -> None:
    Symbol.objects.all().delete()

    text = act(superuser, "start", bot)

    assert "Started: 0." in text
    assert "has not told its symbols yet" in text


def test_switch_of_the_form_is_a_start(superuser: Client, bot: BotConfig) -> None:
    path = admin_url("change", bot)
    form = {**form_data(superuser, path), "is_active": "on", "name": "Renamed"}
    TradingHalt.objects.create(halted_by="admin@example.com")

    refused = superuser.post(path, form, follow=True).content.decode()

    assert "Trading is halted by the operator" in refused
    bot.refresh_from_db()
    assert (bot.is_active, bot.name) == (False, "Some bot")
    assert not LogEntry.objects.exists()

    TradingHalt.objects.all().delete()
    assert superuser.post(path, form).status_code == 302

    bot.refresh_from_db()
    assert (bot.is_active, bot.name, bot.state.status) == (True, "Renamed", "pending")
    assert bot.run.due_at is not None


def test_active_bot_is_added_only_where_it_may_start(
    superuser: Client, bot: BotConfig
) -> None:
    path = admin_url("add", BotConfig)
    new = {**form_data(superuser, path), **BOT, "user": bot.user.pk, "is_active": "on"}

    refused = superuser.post(path, new, follow=True).content.decode()
    assert "A bot needs exactly one of" in refused
    assert BotConfig.objects.get() == bot

    new |= {"strategy": "ema", "position_size_fixed": "50"}
    assert superuser.post(path, new).status_code == 302
    added = BotConfig.objects.latest("pk")
    assert (added.is_active, added.state.status) == (True, "pending")


def test_stop_and_close_has_positions_closed(superuser: Client, bot: BotConfig) -> None:
    act(superuser, "start", bot)
    make_position(bot)

    assert "Stopped, and closing: 1." in act(superuser, "stop_and_close", bot)

    bot.refresh_from_db()
    assert (bot.is_active, bot.run.is_closing) == (False, True)


@pytest.mark.parametrize(("choice", "closing"), [("keep", False), ("close", True)])
def test_halt_of_selected_bots_leaves_others_alone(
    superuser: Client, bot: BotConfig, choice: str, closing: bool
) -> None:
    other, off, idle = (
        make_bot(bot.user, strategy="ema", position_size_fixed=D(50)) for _ in range(3)
    )
    for one in (bot, other, off):
        act(superuser, "start", one)
    act(superuser, "stop", off)
    make_position(off)

    text = act(superuser, "halt", bot, off, idle, choice=choice)

    assert "Bots switched off: 1." in text
    assert list(BotConfig.objects.filter(is_active=True)) == [other]
    closed = BotConfig.objects.filter(run__is_closing=True).order_by("pk")
    assert list(closed) == ([bot, off] if closing else [])
    bot.refresh_from_db()
    assert (bot.state.status, bot.state.reason) == ("stopped", "halted")
    assert not BotState.objects.filter(pk=idle.pk).exists()
    assert LogEntry.objects.filter(object_id__in=[bot.pk, off.pk]).count() == 5
    assert not TradingHalt.objects.exists()
    assert "Started: 1." in act(superuser, "start", bot)


def test_halt_of_selected_bots_without_a_choice_stops_none(
    superuser: Client, bot: BotConfig
) -> None:
    act(superuser, "start", bot)

    assert "400" in act(superuser, "halt", bot, choice="cancel")

    assert BotConfig.objects.filter(is_active=True).exists()


def test_halt_of_selected_bots_takes_the_permission_to_halt(bot: BotConfig) -> None:
    BotConfig.objects.update(is_active=True)
    names = ("view_botconfig", "change_botconfig")
    editor = make_staff(*names, email="editor@example.com")
    halter = make_staff("view_botconfig", "add_tradinghalt")
    data = {"action": "halt", "_selected_action": [bot.pk], "post": "yes"}

    path = admin_url("changelist", BotConfig)
    client_of(editor).post(path, {**data, "choice": "keep"})
    assert BotConfig.objects.filter(is_active=True).exists()
    client_of(halter).post(path, {**data, "choice": "keep"})
    assert not BotConfig.objects.filter(is_active=True).exists()


def test_page_of_an_order_tells_its_life(superuser: Client, bot: BotConfig) -> None:
    position = make_closed_position(bot)
    make_order(bot, position, status="REJECTED", error="Filter failure: NOTIONAL",
               client_id="tb-own-id")  # fmt: skip

    rejected = superuser.get(admin_url("change", Order.objects.latest("pk")))
    filled = superuser.get(admin_url("change", Order.objects.earliest("pk")))

    text = rejected.content.decode()
    assert "Filter failure: NOTIONAL" in text
    assert "tb-own-id" in text
    assert 'name="_save"' not in text  # to be read
    assert "field-commission_quote" in filled.content.decode()
    found = superuser.get(admin_url("changelist", Order), {"q": "tb-own-id"})
    assert found.context["cl"].result_count == 1


@pytest.mark.parametrize(
    ("positions", "keeps", "closing"),
    [("keep", True, False), ("close", False, True), ("cancel", False, False)],
)
def test_halt_stops_all_bots(
    superuser: Client, bot: BotConfig, positions: str, keeps: bool, closing: bool
) -> None:
    act(superuser, "start", bot)
    make_position(bot)
    data = {"action": "halt", "positions": positions, "sure": "yes", "reason": "drill"}
    assert "1 bots are switched on; 1 have" in superuser.get(HALT).content.decode()

    text = superuser.post(HALT, data, follow=True).content.decode()

    assert "Bots switched off: 1; open positions: 1." in text
    halt = TradingHalt.objects.get()
    assert (halt.keeps_protection, halt.reason) == (keeps, "drill")
    assert halt.halted_by == "admin@example.com"
    bot.refresh_from_db()
    assert (bot.is_active, bot.run.is_closing) == (False, closing)
    assert "Trading is halted by the operator" in act(superuser, "start", bot)

    superuser.post(HALT, {"action": "lift"})

    halt.refresh_from_db()
    assert halt.lifted_at is not None
    assert "Started: 1." in act(superuser, "start", bot)


@pytest.mark.parametrize(
    "data", [{"positions": "keep"}, {"sure": "yes"}, {"sure": "yes", "positions": "x"}]
)
def test_halt_that_is_not_meant_stops_nothing(
    superuser: Client, bot: BotConfig, data: dict[str, str]
) -> None:
    act(superuser, "start", bot)

    assert superuser.post(HALT, {"action": "halt", **data}).status_code == 400

    bot.refresh_from_db()
    assert bot.is_active
    assert not TradingHalt.objects.exists()


@pytest.mark.parametrize(
    ("permissions", "action", "allowed"),
    [
        (("view_tradinghalt",), "halt", False),
        (("view_tradinghalt",), "lift", False),
        (("view_tradinghalt", "add_tradinghalt"), "halt", True),
        (("view_tradinghalt", "add_tradinghalt"), "lift", False),
        (("view_tradinghalt", "change_tradinghalt"), "lift", True),
        (("add_tradinghalt", "change_tradinghalt"), "nonsense", False),
        (("view_botconfig",), "halt", False),
    ],
)
def test_halt_takes_the_permission(
    permissions: tuple[str, ...], action: str, allowed: bool
) -> None:
    client = client_of(make_staff(*permissions))
    data = {"action": action, "positions": "keep", "sure": "yes"}

    assert client.post(HALT, data).status_code == (302 if allowed else 403)

    assert TradingHalt.objects.exists() is (allowed and action == "halt")
    shown = 'value="halt"' in client.get(HALT).content.decode()
    assert shown is ("add_tradinghalt" in permissions)


def test_list_of_halts_and_open_positions_can_be_chosen(superuser: Client) -> None:
    rows = make_rows()
    make_position(rows.bot)
    TradingHalt.objects.create(halted_by="operator", reason="a drill")

    path = admin_url("changelist", Position)
    for query, count in (("?open=yes", 1), ("?open=no", 1), ("?open=x", 2)):
        assert superuser.get(path + query).context["cl"].result_count == count
    text = superuser.get(admin_url("changelist", TradingHalt)).content.decode()
    assert "a drill" in text
    assert HALT in text
