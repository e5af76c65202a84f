from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import User
from bots.models import BotConfig, BotState
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_bot

LIST = "/bot-states/"
KEYS = [
    *("status", "in_position", "entry_price", "current_position_size_coins"),
    *("trailing_stop_price", "max_price_since_entry", "take_profit_price"),
    *("stop_loss_price", "daily_pnl", "daily_trades_count", "last_run_at"),
    *("last_error_message", "last_updated_at", "id", "reason", "paused_until"),
]


@pytest.fixture
def bot(user: User) -> BotConfig:
    return make_bot(user)


@pytest.fixture
def state(bot: BotConfig) -> BotState:
    return BotState.objects.create(bot_config=bot)


def detail(state: BotState) -> str:
    return f"/bot-states/{state.pk}"


@pytest.mark.alike
def test_create_gives_defaults(api: JSONClient, bot: BotConfig) -> None:
    body = {"bot_config_id": bot.pk, "status": None, "entry_price": 1.25}

    content = read(api.send("POST", LIST, body), 201)

    assert read(api.send("GET", f"/bot-states/{bot.pk}")) == content
    assert list(content) == KEYS
    updated_at = dt.datetime.fromisoformat(content.pop("last_updated_at"))
    assert timezone.now() - updated_at < dt.timedelta(minutes=1)
    assert content == dict.fromkeys(set(KEYS) - {"last_updated_at"}) | {
        "status": "stopped",
        "in_position": False,
        "entry_price": 1.25,
        "daily_pnl": 0,
        "daily_trades_count": 0,
        "last_run_at": None,
        "last_error_message": None,
        "id": bot.pk,
    }


@pytest.mark.alike
def test_create_second_is_conflict(api: JSONClient, state: BotState) -> None:
    read_problem(api.send("POST", LIST, {"bot_config_id": state.pk}), 409)


@pytest.mark.alike
def test_create_for_running_bot_is_conflict(api: JSONClient, user: User) -> None:
    bot = make_bot(user, is_active=True)

    read_problem(api.send("POST", LIST, {"bot_config_id": bot.pk}), 409)


@pytest.mark.alike
def test_create_for_bot_of_another_is_missing(
    stranger: JSONClient, bot: BotConfig
) -> None:
    foreign = stranger.send("POST", LIST, {"bot_config_id": bot.pk})
    missing = stranger.send("POST", LIST, {"bot_config_id": 999_999})

    assert read_problem(foreign, 404) == read_problem(missing, 404)
    assert not BotState.objects.exists()


@pytest.mark.alike
def test_list_has_own_states(
    api: JSONClient, stranger: JSONClient, state: BotState
) -> None:
    assert [one["id"] for one in read(api.send("GET", LIST))] == [state.pk]
    assert read(stranger.send("GET", LIST)) == []


@pytest.mark.alike
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_change_writes_what_is_present(
    api: JSONClient, state: BotState, method: str
) -> None:
    body = {"status": "paused", "in_position": True, "daily_pnl": "-4.10", "id": 5}

    content = read(api.send(method, detail(state), body))

    assert content["id"] == state.pk
    assert (content["status"], content["in_position"]) == ("paused", True)
    assert content["daily_trades_count"] == 0
    before = state.last_updated_at
    state.refresh_from_db()
    assert state.daily_pnl == Decimal("-4.10")
    assert before is not None
    assert state.last_updated_at is not None
    assert state.last_updated_at > before


@pytest.mark.alike
def test_put_nothing_changes_nothing(api: JSONClient, state: BotState) -> None:
    before = read(api.send("GET", detail(state)))

    assert read(api.send("PUT", detail(state), {})) == before
    assert read(api.send("PUT", detail(state), {"status": "stopped"})) == before


@pytest.mark.alike
def test_put_null_is_stored(api: JSONClient, state: BotState) -> None:
    nulls = dict.fromkeys(KEYS[:12])

    content = read(api.send("PUT", detail(state), nulls))

    assert {name: content[name] for name in nulls} == nulls


@pytest.mark.alike
@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("2025-01-02T03:04:05", "2025-01-02T03:04:05+00:00"),
        ("2025-01-02T03:04:05.678901Z", "2025-01-02T03:04:05.678901+00:00"),
        ("2025-01-02T03:04:05+02:00", "2025-01-02T01:04:05+00:00"),
        ("2025-01-02", "2025-01-02T00:00:00+00:00"),
        (1735787045, "2025-01-02T03:04:05+00:00"),
        (1735787045.5, "2025-01-02T03:04:05.500000+00:00"),
        (1735787045000, "2025-01-02T03:04:05+00:00"),
    ],
)
@pytest.mark.parametrize("field", ["last_run_at", "last_updated_at"])
def test_put_time_is_converted(
    api: JSONClient, state: BotState, field: str, sent: object, answered: str
) -> None:
    assert read(api.send("PUT", detail(state), {field: sent}))[field] == answered
    assert read(api.send("GET", detail(state)))[field] == answered


@pytest.mark.alike
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("status", 5),
        ("status", "nul\0"),
        ("status", "x" * 256),
        ("in_position", "perhaps"),
        ("entry_price", -1),
        ("daily_pnl", "NaN"),
        ("daily_trades_count", -1),
        ("daily_trades_count", 2**31),
        ("last_run_at", "yesterday"),
        ("last_run_at", "0001-01-01T00:00:00+10:00"),
        ("last_run_at", 10**16),
        ("last_run_at", "1e999999"),
        ("last_run_at", True),
        ("last_run_at", ["2025-01-02"]),
        ("last_error_message", "x" * 10_001),
    ],
)
def test_put_bad_value_is_refused(
    api: JSONClient, state: BotState, field: str, value: object
) -> None:
    assert broken_fields(api.send("PUT", detail(state), {field: value})) == {field}


@pytest.mark.alike
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_write_while_bot_runs_is_conflict(
    api: JSONClient, bot: BotConfig, state: BotState, method: str
) -> None:
    BotConfig.objects.filter(pk=bot.pk).update(is_active=True)

    read_problem(api.send(method, detail(state), {"status": "stopped"}), 409)
    read(api.send("GET", detail(state)))


@pytest.mark.alike
def test_delete_leaves_the_bot(api: JSONClient, state: BotState) -> None:
    read(api.send("DELETE", detail(state)), 204)

    read_problem(api.send("GET", detail(state)), 404)
    assert BotConfig.objects.exists()


@pytest.mark.alike
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_someone_elses_state_is_missing(
    stranger: JSONClient, state: BotState, method: str
) -> None:
    body: dict[str, Any] = {"status": "forged"}

    read_problem(stranger.send(method, detail(state), body), 404)
    assert BotState.objects.get().status == "stopped"


@pytest.mark.alike
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_state_never_started_is_missing(
    api: JSONClient, bot: BotConfig, method: str
) -> None:
    read_problem(api.send(method, f"/bot-states/{bot.pk}", {"status": "x"}), 404)
    assert not BotState.objects.exists()
