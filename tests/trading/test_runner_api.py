"""Bots are stopped; what needs the engine says that there is none yet."""

from __future__ import annotations

import pytest

from accounts.models import User
from apikeys.services import api_key_create
from bots.models import BotConfig, BotState
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_bot

pytestmark = pytest.mark.alike


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", "application/json"),
        (b"", ""),
        (b"{}", "application/json"),
        (b"{nonsense", "text/plain"),
    ],
)
def test_start_is_not_built_whatever_the_body(
    api: JSONClient, user: User, body: bytes, media_type: str
) -> None:
    bot = make_bot(user)
    address = f"/api/v1/bots/{bot.pk}/start"

    response = api.generic("POST", address, body, media_type)

    problem = read_problem(response, 501)  # type: ignore[arg-type]
    assert "Nothing was changed" in problem["detail"]
    bot.refresh_from_db()
    assert not bot.is_active
    assert not BotState.objects.exists()


@pytest.mark.parametrize("body", [b"", b"{nonsense"])
def test_stop_twice_stops_the_bot_and_its_state(
    api: JSONClient, user: User, body: bytes
) -> None:
    bot = make_bot(user, is_active=True)
    BotState.objects.create(bot_config=bot, status="running", in_position=True)
    answer = {"message": "The bot is stopped.", "bot_config_id": bot.pk}

    assert read(api.send("POST", f"/bots/{bot.pk}/stop", body)) == answer
    bot.refresh_from_db()
    assert (bot.is_active, bot.state.status) == (False, "stopped")
    assert bot.state.in_position  # what it holds stays on the exchange
    assert read(api.send("POST", f"/bots/{bot.pk}/stop", body)) == answer
    unchanged = BotConfig.objects.get(pk=bot.pk)
    assert unchanged.updated_at == bot.updated_at
    assert unchanged.state.last_updated_at == bot.state.last_updated_at


def test_stop_makes_no_state(api: JSONClient, user: User) -> None:
    bot = make_bot(user, is_active=True)

    read(api.send("POST", f"/bots/{bot.pk}/stop"))

    assert not BotState.objects.exists()


def test_stop_of_another_users_bot_is_missing(stranger: JSONClient, user: User) -> None:
    bot = make_bot(user, is_active=True)

    read_problem(stranger.send("POST", f"/bots/{bot.pk}/stop"), 404)

    bot.refresh_from_db()
    assert bot.is_active


def test_balance_needs_a_key(api: JSONClient, user: User, stranger: JSONClient) -> None:
    read_problem(api.send("GET", "/api-keys/balance"), 404)

    api_key_create(user=user, values={"api_key": "k", "secret_key": "s"})

    read_problem(api.send("GET", "/api-keys/balance"), 501)
    read_problem(stranger.send("GET", "/api-keys/balance"), 404)
