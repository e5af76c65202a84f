from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from apikeys.services import api_key_create
from bots.models import BotConfig, BotState
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_bot, make_trade, make_user
from trading.models import Trade

LIST = "/bot-configs/"
KEYS = [
    *("name", "symbol", "timeframe", "is_active", "initial_capital"),
    *("daily_target_perc", "max_daily_loss_perc", "position_size_perc"),
    *("position_size_fixed", "stop_loss_perc", "take_profit_perc"),
    *("trailing_stop_perc", "trailing_stop_active", "ema_fast", "ema_slow"),
    *("rsi_period", "rsi_oversold", "rsi_overbought", "max_daily_trades"),
    *("check_interval_seconds", "api_key_id", "strategy", "ema_period"),
    *("custom_ema_fast", "custom_ema_slow", "custom_rsi_period"),
    *("custom_rsi_oversold", "custom_rsi_overbought", "custom_stop_loss"),
    *("custom_take_profit", "custom_trailing_stop", "position_type"),
    *("transfer_amount", "auto_transfer_funds", "leverage"),
    *("id", "created_at", "updated_at", "total_trades"),
    *("environment", "allow_short", "live_confirmed_at", "candle_seed"),
]
REQUIRED: dict[str, Any] = {
    "name": "BTC/USDT bot",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "stop_loss_perc": 1.5,
    "take_profit_perc": 3,
    "ema_fast": 9,
    "ema_slow": 21,
    "rsi_period": 14,
    "rsi_oversold": 25,
    "rsi_overbought": 70,
}
DEFAULTS = {
    "is_active": False,
    "trailing_stop_active": False,
    "check_interval_seconds": 60,
    "position_type": "spot",
    "auto_transfer_funds": True,
    "leverage": 10,
    "environment": "paper",
    "allow_short": False,
}


def detail(bot: BotConfig) -> str:
    return f"/bot-configs/{bot.pk}"


@pytest.fixture
def bot(user: User) -> BotConfig:
    return make_bot(user)


@pytest.mark.alike
def test_create_required_fields_gets_defaults(api: JSONClient, user: User) -> None:
    content = read(api.send("POST", LIST, REQUIRED), 201)

    bot = BotConfig.objects.get()
    assert list(content) == KEYS
    expected = dict.fromkeys(KEYS) | REQUIRED | DEFAULTS | {"strategy": "simple"}
    stored = {
        "id": bot.pk,
        "created_at": bot.created_at.isoformat(),
        "updated_at": bot.updated_at.isoformat(),
        "total_trades": 0,
    }
    assert content == expected | stored
    assert content["created_at"].endswith("+00:00")
    assert bot.user == user


@pytest.mark.alike
def test_create_null_gets_default(api: JSONClient) -> None:
    documented = DEFAULTS.keys() - {"environment", "allow_short"}
    nulls = dict.fromkeys([*documented, "custom_ema_fast", "initial_capital"])

    content = read(api.send("POST", LIST, REQUIRED | nulls), 201)

    assert {name: content[name] for name in DEFAULTS} == DEFAULTS
    assert content["custom_ema_fast"] is None


@pytest.mark.alike
def test_create_takes_numbers_and_booleans_as_text(api: JSONClient) -> None:
    texts = {
        "stop_loss_perc": "4.10",
        "ema_fast": "9",
        "ema_slow": 21.0,
        "rsi_period": " 14 ",
        "is_active": "off",
        "auto_transfer_funds": 0,
        "trailing_stop_active": "Yes",
    }

    content = read(api.send("POST", LIST, REQUIRED | texts), 201)

    assert {name: content[name] for name in texts} == {
        "stop_loss_perc": 4.1,
        "ema_fast": 9,
        "ema_slow": 21,
        "rsi_period": 14,
        "is_active": False,
        "auto_transfer_funds": False,
        "trailing_stop_active": True,
    }


@pytest.mark.alike
def test_create_ignores_unknown_fields(api: JSONClient) -> None:
    body = REQUIRED | {"description": "", "id": 7_000, "user_id": 1}

    assert read(api.send("POST", LIST, body), 201)["id"] != 7_000


@pytest.mark.alike
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "ab"),
        ("name", ""),
        ("name", None),
        ("name", 12345),
        ("name", "nul\0nul"),
        ("name", "x" * 256),
        ("symbol", ""),
        ("timeframe", "2h"),
        ("timeframe", None),
        ("timeframe", ["1h"]),
        ("is_active", "perhaps"),
        ("is_active", ""),
        ("is_active", {}),
        ("stop_loss_perc", -1),
        ("stop_loss_perc", None),
        ("stop_loss_perc", "NaN"),
        ("stop_loss_perc", "Infinity"),
        ("stop_loss_perc", ""),
        ("stop_loss_perc", True),
        ("stop_loss_perc", "1e400"),
        ("stop_loss_perc", "1e-400"),
        ("stop_loss_perc", "1_0"),
        ("stop_loss_perc", 10**30),
        ("stop_loss_perc", f"0.{'1' * 31}"),
        ("stop_loss_perc", "9" * 200),
        ("ema_fast", 9.5),
        ("ema_fast", 0),
        ("ema_fast", 2**31),
        ("ema_fast", "1e999999"),
        ("ema_fast", True),
        ("ema_fast", "９"),
        ("rsi_oversold", 101),
        ("max_daily_trades", 0),
        ("max_daily_trades", 101),
        ("check_interval_seconds", 29),
        ("check_interval_seconds", 3601),
        ("strategy", "martingale"),
        ("strategy", None),
        ("custom_ema_fast", 2),
        ("custom_ema_slow", 201),
        ("custom_rsi_period", 4),
        ("custom_rsi_oversold", 41),
        ("custom_rsi_overbought", 59),
        ("custom_stop_loss", 0),
        ("custom_stop_loss", 0.09),
        ("custom_take_profit", 20.1),
        ("custom_trailing_stop", 5.1),
        ("position_type", "margin"),
        ("position_type", ""),
        ("transfer_amount", ""),
        ("transfer_amount", 9.99),
        ("leverage", 0),
        ("leverage", 126),
        ("api_key_id", 999_999),
        ("api_key_id", 2**40),
        ("api_key_id", 1.5),
        ("api_key_id", "one"),
        ("api_key_id", ""),
        ("api_key_id", True),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_write_bad_value_is_refused(
    api: JSONClient, bot: BotConfig, method: str, field: str, value: object
) -> None:
    path = LIST if method == "POST" else detail(bot)

    response = api.send(method, path, REQUIRED | {field: value})

    assert broken_fields(response) == {field}


@pytest.mark.alike
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_write_without_required_fields_names_all(
    api: JSONClient, bot: BotConfig, method: str
) -> None:
    path = LIST if method == "POST" else detail(bot)

    assert broken_fields(api.send(method, path, {})) == set(REQUIRED)


@pytest.mark.alike
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_write_api_key_of_another_is_like_unknown_one(
    api: JSONClient, bot: BotConfig, method: str
) -> None:
    path = LIST if method == "POST" else detail(bot)
    values = {"api_key": "k", "secret_key": "s"}
    foreign = api_key_create(user=make_user("other@example.com"), values=values)

    answers = [
        read_problem(api.send(method, path, REQUIRED | {"api_key_id": pk}), 422)
        for pk in (foreign.pk, 999_999)
    ]

    assert answers[0] == answers[1]
    assert [error["field"] for error in answers[0]["errors"]] == ["api_key_id"]


@pytest.mark.alike
def test_write_own_api_key_works(api: JSONClient, user: User) -> None:
    key = api_key_create(user=user, values={"api_key": "k", "secret_key": "s"})

    content = read(api.send("POST", LIST, REQUIRED | {"api_key_id": key.pk}), 201)
    assert content["api_key_id"] == key.pk
    path = f"/bot-configs/{content['id']}"
    assert read(api.send("PATCH", path, {"api_key_id": None}))["api_key_id"] is None


@pytest.mark.alike
def test_money_survives_the_wire(api: JSONClient) -> None:
    digits = "12345678.123456789012345678"
    longest = f"{'9' * 30}.{'1' * 30}"
    body = json.dumps(REQUIRED).replace(
        "{", f'{{"initial_capital": {digits}, "position_size_fixed": {longest}, ', 1
    )

    created = api.send("POST", LIST, body.encode())

    pk = read(created, 201)["id"]
    for response in (
        created,
        api.send("GET", f"/bot-configs/{pk}"),
        api.send("GET", LIST),
        api.send("PATCH", f"/bot-configs/{pk}", {"name": "renamed"}),
    ):
        assert f'"initial_capital":{digits},'.encode() in response.content
        assert f'"position_size_fixed":{longest},'.encode() in response.content
    assert BotConfig.objects.get().initial_capital == Decimal(digits)


@pytest.mark.alike
def test_list_has_own_bots_by_id(
    api: JSONClient,
    user: User,
    stranger: JSONClient,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    key = api_key_create(user=user, values={"api_key": "k", "secret_key": "s"})
    bots = [make_bot(user, api_key=key) for _ in range(3)]

    with django_assert_num_queries(2):  # who asks, and the list
        content = read(api.send("GET", LIST))

    assert [one["id"] for one in content] == [bot.pk for bot in bots]
    assert read(stranger.send("GET", LIST)) == []


def test_bot_is_answered_with_the_number_of_its_trades(
    api: JSONClient, user: User, bot: BotConfig
) -> None:
    make_bot(user)
    for _ in range(3):
        make_trade(bot)

    assert [one["total_trades"] for one in read(api.send("GET", LIST))] == [3, 0]
    assert read(api.send("GET", detail(bot)))["total_trades"] == 3
    renamed = api.send("PATCH", detail(bot), {"name": "Other"})
    assert read(renamed)["total_trades"] == 3


@pytest.mark.alike
def test_read_row_of_the_old_program_answers_it_as_it_is(
    api: JSONClient, user: User
) -> None:
    bot = make_bot(
        user,
        name="",
        timeframe="3d",
        strategy="grid",
        rsi_period=-7,
        is_active=None,
        take_profit_perc=Decimal(-5),
    )
    with connection.cursor() as cursor:  # the field would refuse it
        cursor.execute("UPDATE bot_configs SET stop_loss_perc = 'NaN'")

    content = read(api.send("GET", detail(bot)))

    assert content["timeframe"] == "3d"
    assert content["strategy"] == "grid"
    assert content["rsi_period"] == -7
    assert content["is_active"] is None
    assert content["stop_loss_perc"] is None
    assert content["take_profit_perc"] == -5
    # It can be repaired piece by piece.
    assert read(api.send("PATCH", detail(bot), {"leverage": 5}))["timeframe"] == "3d"


@pytest.mark.alike
def test_put_keeps_absent_and_stores_null(api: JSONClient, user: User) -> None:
    bot = make_bot(user, custom_ema_fast=12, leverage=20, max_daily_trades=7)
    nulls = {"is_active": None, "leverage": None, "position_type": None}

    content = read(api.send("PUT", detail(bot), REQUIRED | nulls))

    assert {name: content[name] for name in nulls} == nulls
    assert (content["custom_ema_fast"], content["max_daily_trades"]) == (12, 7)
    assert content["name"] == REQUIRED["name"]


@pytest.mark.alike
def test_put_nothing_new_keeps_updated_at(api: JSONClient, bot: BotConfig) -> None:
    before = read(api.send("PUT", detail(bot), REQUIRED))

    assert read(api.send("PUT", detail(bot), REQUIRED)) == before
    assert read(api.send("PATCH", detail(bot), {})) == before
    after = read(api.send("PATCH", detail(bot), {"leverage": 11}))
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.alike
def test_delete_takes_state_and_trades_along(api: JSONClient, user: User) -> None:
    bot, other = make_bot(user), make_bot(user)
    for one in (bot, other):
        BotState.objects.create(bot_config=one)
        make_trade(one)

    assert read(api.send("DELETE", detail(bot)), 204) is None

    assert BotConfig.objects.get() == other
    assert BotState.objects.get().pk == other.pk
    assert Trade.objects.get().bot_config == other
    read_problem(api.send("DELETE", detail(bot)), 404)


@pytest.mark.alike
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_someone_elses_bot_is_missing(
    stranger: JSONClient, bot: BotConfig, method: str
) -> None:
    foreign = stranger.send(method, detail(bot), REQUIRED)
    missing = stranger.send(method, "/bot-configs/999999", REQUIRED)

    assert read_problem(foreign, 404) == read_problem(missing, 404)
    assert BotConfig.objects.get().name == bot.name


@pytest.mark.alike
def test_delete_keeps_api_key(api: JSONClient, user: User) -> None:
    key = api_key_create(user=user, values={"api_key": "k", "secret_key": "s"})
    bot = make_bot(user, api_key=key)

    read(api.send("DELETE", detail(bot)), 204)
    read(api.send("GET", f"/api-keys/{key.pk}"))


@pytest.mark.alike
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_bot_of_the_old_program_is_renamed_with_its_values_sent_back(
    api: JSONClient, user: User, method: str
) -> None:
    old = {"timeframe": "3m", "stop_loss_perc": Decimal(-1), "rsi_oversold": 101}
    bot = make_bot(user, name="ab", strategy="grid", custom_ema_fast=99, **old)
    body = read(api.send("GET", detail(bot)))

    content = read(api.send(method, detail(bot), body | {"leverage": 7}))
    again = read(api.send(method, detail(bot), body | {"name": "Longer"}))

    assert content == body | {"leverage": 7, "updated_at": content["updated_at"]}
    assert (again["name"], again["timeframe"]) == ("Longer", "3m")
    worse = body | {"name": "a", "rsi_oversold": 102}
    assert broken_fields(api.send(method, detail(bot), worse)) == {
        "name",
        "rsi_oversold",
    }
