"""Bots are started and stopped, and tell how they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal as D

import pytest
from django.http import HttpResponse
from django.utils import timezone
from pytest_django.fixtures import Settings

from accounts.models import User
from apikeys.services import api_key_accept, api_key_create
from bots.models import BotConfig, BotRun, BotState
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import (
    BOT,
    make_bot,
    make_closed_position,
    make_order,
    make_position,
    make_symbols,
)
from trading import symbols
from trading.candles import candle_row, candles_store
from trading.exchange_info import ExchangeUnavailableError
from trading.models import CandleSeries, Symbol, SymbolList, TradingHalt

pytestmark = pytest.mark.alike


@pytest.fixture
def bot(user: User) -> BotConfig:
    """One that could be started."""
    make_symbols()
    return make_bot(user, strategy="ema", position_size_fixed=D(50))


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", "application/json"),
        (b"", ""),
        (b"{}", "application/json"),
        (b"{nonsense", "text/plain"),
    ],
)
def test_start_switches_on_whatever_the_body(
    api: JSONClient, bot: BotConfig, body: bytes, media_type: str
) -> None:
    response = api.generic("POST", f"/api/v1/bots/{bot.pk}/start", body, media_type)

    content = read(response)  # type: ignore[arg-type]
    assert content == {"message": "The bot is started.", "bot_config_id": bot.pk}
    bot.refresh_from_db()
    assert (bot.is_active, bot.state.status) == (True, "pending")
    assert bot.run.due_at is not None


def test_second_start_is_conflict(api: JSONClient, bot: BotConfig) -> None:
    read(api.send("POST", f"/bots/{bot.pk}/start"))

    problem = read_problem(api.send("POST", f"/bots/{bot.pk}/start"), 409)
    assert "already" in problem["detail"]


def test_start_with_bad_settings_says_what_to_change(
    api: JSONClient, bot: BotConfig
) -> None:
    BotConfig.objects.update(position_size_fixed=None)

    problem = read_problem(api.send("POST", f"/bots/{bot.pk}/start"), 400)

    assert "position_size_fixed" in problem["detail"]
    bot.refresh_from_db()
    assert not bot.is_active
    assert not BotState.objects.exists()


def test_start_under_a_halt_is_conflict(api: JSONClient, bot: BotConfig) -> None:
    TradingHalt.objects.create(halted_by="admin@example.com")

    problem = read_problem(api.send("POST", f"/bots/{bot.pk}/start"), 409)
    assert "halted" in problem["detail"]


def put(api: JSONClient, bot: BotConfig, **values: object) -> HttpResponse:
    """Send a bot as the web frontend does: its whole form, with the switch in it."""
    return api.send("PUT", f"/bot-configs/{bot.pk}", {**BOT, **values})


@pytest.mark.parametrize("was_active", [False, None])
def test_put_that_switches_on_is_a_start(
    api: JSONClient, bot: BotConfig, was_active: bool | None
) -> None:
    BotConfig.objects.update(is_active=was_active)
    read(api.send("POST", f"/bots/{bot.pk}/stop"))

    content = read(put(api, bot, is_active=True, name="Renamed"))

    assert (content["is_active"], content["name"]) == (True, "Renamed")
    bot.refresh_from_db()
    assert (bot.is_active, bot.state.status) == (True, "pending")
    assert bot.run.due_at is not None
    BotState.objects.update(status="waiting")

    read(put(api, bot, is_active=True, name="Renamed again"))

    assert BotState.objects.get().status == "waiting", "it runs, and is not started"


def test_post_of_an_active_bot_is_a_start(api: JSONClient, bot: BotConfig) -> None:
    body = {**BOT, "strategy": "ema", "position_size_fixed": 50, "is_active": True}

    content = read(api.send("POST", "/bot-configs/", body), 201)

    assert content["is_active"] is True
    new = BotConfig.objects.get(pk=content["id"])
    assert (new.is_active, new.state.status) == (True, "pending")
    assert new.run.due_at is not None


def halted(bot: BotConfig, user: User) -> None:
    TradingHalt.objects.create(halted_by="admin@example.com")


def unsized(bot: BotConfig, user: User) -> None:
    BotConfig.objects.update(position_size_fixed=None)


def with_a_key_not_validated(bot: BotConfig, user: User) -> None:
    key = api_key_create(user=user, values={"api_key": "k", "secret_key": "s"})
    BotConfig.objects.update(environment="testnet", api_key=key)


def not_confirmed_for_live(bot: BotConfig, user: User) -> None:
    values = {"api_key": "k", "secret_key": "s", "environment": "live"}
    key = api_key_create(user=user, values=values)
    api_key_accept(api_key=key, permissions=["spot"])
    BotConfig.objects.update(environment="live", api_key=key)


@pytest.mark.parametrize(
    "hinder", [halted, unsized, with_a_key_not_validated, not_confirmed_for_live]
)
def test_bot_that_start_refuses_is_switched_on_by_nothing_else(
    api: JSONClient,
    user: User,
    bot: BotConfig,
    hinder: Callable[[BotConfig, User], None],
    settings: Settings,
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    hinder(bot, user)
    bot.refresh_from_db()
    refused = api.send("POST", f"/bots/{bot.pk}/start")
    told = read_problem(refused, refused.status_code)
    assert told["status"] in (400, 409)
    size = bot.position_size_fixed and float(bot.position_size_fixed)
    whole = {
        **BOT, "strategy": "ema", "position_size_fixed": size, "is_active": True,
        "environment": bot.environment, "api_key_id": bot.api_key_id,
    }  # fmt: skip

    for again in (
        put(api, bot, is_active=True, name="Renamed"),
        api.send("PATCH", f"/bot-configs/{bot.pk}", {"is_active": True}),
        api.send("POST", "/bot-configs/", whole),
    ):
        assert read_problem(again, refused.status_code) == told

    stored = BotConfig.objects.get()
    assert (stored.is_active, stored.name) == (False, bot.name)
    assert stored.updated_at == bot.updated_at
    assert not BotState.objects.exists()
    assert not BotRun.objects.exists()


@pytest.mark.parametrize("away", [False, True])
def test_bot_of_a_market_without_symbols_asks_for_them(
    api: JSONClient, bot: BotConfig, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    rows = list(Symbol.objects.filter(market="spot"))
    Symbol.objects.all().delete()
    SymbolList.objects.all().delete()

    def fetch(market: str) -> list[Symbol]:
        if away:
            raise ExchangeUnavailableError("away")
        return [row for row in rows if row.market == market]

    monkeypatch.setattr(symbols, "fetch_symbols", fetch)

    response = put(api, bot, is_active=True)

    if away:
        started = api.send("POST", f"/bots/{bot.pk}/start")
        assert read_problem(response, 503) == read_problem(started, 503)
        assert int(response.headers["Retry-After"]) > 0
    bot.refresh_from_db()
    assert bot.is_active is not away


def test_stop_twice_stops_the_bot_and_its_state(
    api: JSONClient, bot: BotConfig
) -> None:
    read(api.send("POST", f"/bots/{bot.pk}/start"))
    answer = {
        "message": "The bot is stopped.",
        "bot_config_id": bot.pk,
        "position": "none",
        "stop_price": None,
    }

    assert read(api.send("POST", f"/bots/{bot.pk}/stop")) == answer
    bot.refresh_from_db()
    assert (bot.is_active, bot.state.status) == (False, "stopped")
    assert read(api.send("POST", f"/bots/{bot.pk}/stop", {})) == answer
    unchanged = BotConfig.objects.get(pk=bot.pk)
    assert unchanged.updated_at == bot.updated_at
    assert unchanged.state.last_updated_at == bot.state.last_updated_at


def test_stop_tells_of_the_stop_behind_what_is_kept(
    api: JSONClient, bot: BotConfig
) -> None:
    position = make_position(bot)

    answer = read(api.send("POST", f"/bots/{bot.pk}/stop", {"close": False}))
    assert (answer["position"], answer["stop_price"]) == ("kept", None)
    assert "NO stop" in answer["message"]

    make_order(bot, position, role="STOP", kind="STOP", price=D(90), status="OPEN")
    answer = read(api.send("POST", f"/bots/{bot.pk}/stop"))
    assert (answer["position"], answer["stop_price"]) == ("kept", 90)


@pytest.mark.parametrize(
    ("path", "body"), [("?close=true", b""), ("", {"close": True}), ("?close=1", {})]
)
def test_stop_with_close_has_the_position_closed(
    api: JSONClient, bot: BotConfig, path: str, body: object
) -> None:
    read(api.send("POST", f"/bots/{bot.pk}/start"))
    make_position(bot)

    answer = read(api.send("POST", f"/bots/{bot.pk}/stop{path}", body))

    assert answer["position"] == "closing"
    assert BotRun.objects.get().is_closing


def test_stop_that_is_not_understood_changes_nothing(
    api: JSONClient, bot: BotConfig
) -> None:
    read(api.send("POST", f"/bots/{bot.pk}/start"))

    response = api.send("POST", f"/bots/{bot.pk}/stop", {"close": "perhaps"})

    assert broken_fields(response) == {"close"}
    bot.refresh_from_db()
    assert bot.is_active


@pytest.mark.parametrize("action", ["start", "stop"])
def test_bot_of_another_user_is_missing(
    stranger: JSONClient, bot: BotConfig, action: str
) -> None:
    read_problem(stranger.send("POST", f"/bots/{bot.pk}/{action}"), 404)
    assert not BotRun.objects.exists()


def test_status_before_the_first_start_is_empty(
    api: JSONClient, bot: BotConfig
) -> None:
    answer = read(api.send("GET", f"/bots/{bot.pk}/status"))

    assert answer["status"] is None
    assert (answer["is_active"], answer["environment"]) == (False, "paper")
    assert (answer["position"], answer["next_look_at"]) == (None, None)


def test_status_values_the_position_at_the_last_close(
    api: JSONClient, bot: BotConfig
) -> None:
    read(api.send("POST", f"/bots/{bot.pk}/start"))
    make_position(bot, direction="SHORT")
    now = timezone.now()
    for interval, ago, close in (("1m", 3, "104"), ("1h", 120, "1")):
        series = CandleSeries(
            market="spot", symbol="BTCUSDT", interval=interval, source="exchange"
        )
        opened = now.replace(minute=0, second=0, microsecond=0) - dt.timedelta(
            hours=ago
        )
        row = candle_row(
            opened, [close, close, close, close, "1"], length=series.length, now=now
        )
        candles_store(series, iter([row]))

    answer = read(api.send("GET", f"/bots/{bot.pk}/status"))

    assert (answer["status"], answer["last_price"]) == ("pending", 104)
    assert answer["position"]["unrealized_pnl"] == -4  # sold at 100
    listed = read(api.send("GET", f"/bots/{bot.pk}/positions?is_open=true"))
    assert listed == [answer["position"]]
    assert read(api.send("GET", f"/bots/{bot.pk}/positions?is_open=false")) == []


def test_orders_come_with_their_fills_and_are_chosen(
    api: JSONClient, bot: BotConfig
) -> None:
    position = make_closed_position(bot)
    make_order(bot, position, role="STOP", side="SELL", kind="STOP", price=D(90),
               status="REJECTED", error="Order would immediately trigger.")  # fmt: skip

    stop, entry = read(api.send("GET", f"/bots/{bot.pk}/orders"))

    assert (stop["price"], stop["fills"]) == (90, [])
    assert stop["error"] == "Order would immediately trigger."
    assert [fill["price"] for fill in entry["fills"]] == [100]
    assert entry["position_id"] == position.pk
    for query, found in (
        ("status=FILLED", [entry]),
        ("role=STOP&side=sell", [stop]),
        ("end_date=2020-01-01", []),
        ("limit=1&offset=1", [entry]),
    ):
        assert read(api.send("GET", f"/bots/{bot.pk}/orders?{query}")) == found
    response = api.send("GET", f"/bots/{bot.pk}/orders?status=nonsense")
    assert broken_fields(response) == {"status"}
