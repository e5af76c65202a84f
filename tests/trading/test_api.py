from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from bots.models import BotConfig
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_bot, make_trade, make_user
from trading.models import Trade

LIST = "/trades/"
KEYS = [
    *("bot_config_id", "user_id", "binance_order_id", "symbol", "side"),
    *("order_type", "price", "quantity_filled", "quote_quantity_filled"),
    *("commission_amount", "commission_asset", "pnl", "realized_pnl"),
    *("timestamp", "id"),
]
VALUES: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "buy",
    "order_type": "MARKET",
    "price": 50000,
    "quantity_filled": 0.5,
    "quote_quantity_filled": "25000",
}


@pytest.fixture
def bot(user: User) -> BotConfig:
    return make_bot(user)


@pytest.fixture
def trade(bot: BotConfig) -> Trade:
    return make_trade(bot, binance_order_id="first")


def body_for(bot: BotConfig, **values: Any) -> dict[str, Any]:
    return {"bot_config_id": bot.pk, **VALUES, **values}


def detail(trade: Trade) -> str:
    return f"/trades/{trade.pk}"


def test_create_imports_into_own_bot(
    api: JSONClient, user: User, bot: BotConfig
) -> None:
    body = body_for(bot, user_id=999_999, timestamp=None)

    content = read(api.send("POST", LIST, body), 201)

    trade = Trade.objects.get()
    assert list(content) == KEYS
    timestamp = dt.datetime.fromisoformat(content["timestamp"])
    assert timestamp.utcoffset() == dt.timedelta(0)
    assert abs(timezone.now() - timestamp) < dt.timedelta(minutes=1)
    assert content == dict.fromkeys(KEYS) | VALUES | {
        "bot_config_id": bot.pk,
        "user_id": user.pk,
        "side": "BUY",
        "quote_quantity_filled": 25000,
        "timestamp": content["timestamp"],
        "id": trade.pk,
    }
    assert read(api.send("GET", detail(trade))) == content


def test_create_aware_time_is_converted(api: JSONClient, bot: BotConfig) -> None:
    body = body_for(bot, timestamp="2025-01-02T03:04:05+02:00")

    content = read(api.send("POST", LIST, body), 201)

    assert content["timestamp"] == "2025-01-02T01:04:05+00:00"


def test_money_survives_the_wire(api: JSONClient, bot: BotConfig) -> None:
    digits = "12345678.123456789012345678"
    body = json.dumps(body_for(bot)).replace("50000", digits).encode()

    created = api.send("POST", LIST, body)

    read(created, 201)
    for response in (created, api.send("GET", LIST)):
        assert f'"price":{digits},'.encode() in response.content
    assert Trade.objects.get().price == Decimal(digits)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bot_config_id", None),
        ("bot_config_id", "one"),
        ("bot_config_id", 2**31),
        ("binance_order_id", ""),
        ("binance_order_id", 12345),
        ("symbol", ""),
        ("symbol", "nul\0"),
        ("side", "HOLD"),
        ("side", None),
        ("side", 1),
        ("order_type", ""),
        ("order_type", None),
        ("price", 0),
        ("price", -1),
        ("price", "NaN"),
        ("price", None),
        ("quantity_filled", 0),
        ("quote_quantity_filled", "-0.0"),
        ("commission_amount", "a lot"),
        ("commission_amount", "-0.1"),
        ("realized_pnl", "1e400"),
        ("timestamp", "yesterday"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_write_bad_value_is_refused(
    api: JSONClient,
    bot: BotConfig,
    trade: Trade,
    method: str,
    field: str,
    value: object,
) -> None:
    path = LIST if method == "POST" else detail(trade)

    response = api.send(method, path, body_for(bot, **{field: value}))

    assert broken_fields(response) == {field}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_write_without_required_fields_names_all(
    api: JSONClient, trade: Trade, method: str
) -> None:
    path = LIST if method == "POST" else detail(trade)

    assert broken_fields(api.send(method, path, {})) == {"bot_config_id", *VALUES}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_write_to_bot_of_another_is_like_unknown_one(
    api: JSONClient, trade: Trade, method: str
) -> None:
    foreign = make_bot(make_user("other@example.com"))
    path = LIST if method == "POST" else detail(trade)

    answers = [
        read_problem(api.send(method, path, VALUES | {"bot_config_id": pk}), 404)
        for pk in (foreign.pk, 999_999)
    ]

    assert answers[0] == answers[1]
    assert not foreign.trades.exists()


def test_create_same_order_twice_is_conflict(
    api: JSONClient, bot: BotConfig, trade: Trade
) -> None:
    body = body_for(bot, binance_order_id=trade.binance_order_id)

    read_problem(api.send("POST", LIST, body), 409)


def test_create_same_order_of_another_bot_or_symbol_works(
    stranger: JSONClient, api: JSONClient, user: User, bot: BotConfig, trade: Trade
) -> None:
    """An exchange numbers orders by account and symbol: nobody takes an id away."""
    foreign = make_bot(User.objects.get(email="stranger@example.com"))
    order = {"binance_order_id": trade.binance_order_id}

    read(stranger.send("POST", LIST, body_for(foreign, **order)), 201)
    read(api.send("POST", LIST, body_for(make_bot(user), **order)), 201)
    read(api.send("POST", LIST, body_for(bot, symbol="ETHUSDT", **order)), 201)


@pytest.mark.parametrize("name", ["bot_config_id", "symbol"])
def test_patch_that_makes_two_of_one_order_is_conflict(
    name: str, api: JSONClient, user: User, bot: BotConfig, trade: Trade
) -> None:
    other = make_trade(
        make_bot(user) if name == "bot_config_id" else bot,
        binance_order_id=trade.binance_order_id,
        symbol=trade.symbol if name == "bot_config_id" else "ETHUSDT",
    )

    body = {name: getattr(trade, name)}
    read_problem(api.send("PATCH", detail(other), body), 409)


@pytest.mark.usefixtures("shared_database")
def test_create_same_order_at_once_succeeds_once() -> None:
    user = make_user()
    bot = make_bot(user)

    def create(_: int) -> int:
        try:
            body = body_for(bot, binance_order_id="42")
            return JSONClient(user).send("POST", LIST, body).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(create, range(4)))

    assert sorted(codes) == [201, 409, 409, 409]


def test_create_without_order_id_may_be_repeated(
    api: JSONClient, bot: BotConfig
) -> None:
    for order_id in ({}, {"binance_order_id": None}):
        read(api.send("POST", LIST, body_for(bot, **order_id)), 201)


def test_change_moves_to_own_bot(api: JSONClient, user: User, trade: Trade) -> None:
    other = make_bot(user)
    body = body_for(other, binance_order_id="first")

    content = read(api.send("PUT", detail(trade), body))

    assert content["bot_config_id"] == other.pk
    assert content["binance_order_id"] == "first"
    assert read(api.send("GET", detail(trade))) == content


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_of_the_time_to_null_is_refused(
    method: str, api: JSONClient, trade: Trade
) -> None:
    body = body_for(trade.bot_config, timestamp=None)

    assert broken_fields(api.send(method, detail(trade), body)) == {"timestamp"}


def test_patch_keeps_the_rest(api: JSONClient, trade: Trade) -> None:
    before = read(api.send("GET", detail(trade)))

    content = read(api.send("PATCH", detail(trade), {"realized_pnl": -1.5}))

    assert content == before | {"realized_pnl": -1.5}


def test_patch_order_id_of_another_trade_is_conflict(
    api: JSONClient, bot: BotConfig, trade: Trade
) -> None:
    other = make_trade(bot)

    body = {"binance_order_id": trade.binance_order_id}
    read_problem(api.send("PATCH", detail(other), body), 409)


def test_list_has_own_trades_by_id(
    api: JSONClient,
    stranger: JSONClient,
    bot: BotConfig,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    trades = [make_trade(bot) for _ in range(3)]

    with django_assert_num_queries(2):  # who asks, and the list
        content = read(api.send("GET", LIST))

    assert [one["id"] for one in content] == [trade.pk for trade in trades]
    assert read(stranger.send("GET", LIST)) == []


def test_delete_removes_it(api: JSONClient, trade: Trade) -> None:
    assert read(api.send("DELETE", detail(trade)), 204) is None

    assert not Trade.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_someone_elses_trade_is_missing(
    stranger: JSONClient, bot: BotConfig, trade: Trade, method: str
) -> None:
    foreign = stranger.send(method, detail(trade), body_for(bot))
    missing = stranger.send(method, "/trades/999999", body_for(bot))

    assert read_problem(foreign, 404) == read_problem(missing, 404)
    assert Trade.objects.get().side == "BUY"
