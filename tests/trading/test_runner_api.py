"""What needs the engine says that there is none yet."""

from __future__ import annotations

import pytest

from accounts.models import User
from apikeys.services import api_key_create
from bots.models import BotState
from tests.clients import JSONClient, read_problem
from tests.factories import make_bot

pytestmark = pytest.mark.alike


@pytest.mark.parametrize("what", ["start", "stop"])
@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", "application/json"),
        (b"", ""),
        (b"{}", "application/json"),
        (b"{nonsense", "text/plain"),
    ],
)
def test_start_and_stop_are_not_built_whatever_the_body(
    api: JSONClient, user: User, what: str, body: bytes, media_type: str
) -> None:
    bot = make_bot(user)
    address = f"/api/v1/bots/{bot.pk}/{what}"

    response = api.generic("POST", address, body, media_type)

    problem = read_problem(response, 501)  # type: ignore[arg-type]
    assert "Nothing was changed" in problem["detail"]
    bot.refresh_from_db()
    assert not bot.is_active
    assert not BotState.objects.exists()


def test_balance_needs_a_key(api: JSONClient, user: User, stranger: JSONClient) -> None:
    read_problem(api.send("GET", "/api-keys/balance"), 404)

    api_key_create(user=user, values={"api_key": "k", "secret_key": "s"})

    read_problem(api.send("GET", "/api-keys/balance"), 501)
    read_problem(stranger.send("GET", "/api-keys/balance"), 404)
