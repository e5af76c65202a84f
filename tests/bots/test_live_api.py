"""A bot trades live with its owner's confirmation only, and not by accident."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from accounts.models import User
from apikeys.models import APIKey
from apikeys.services import api_key_create
from bots.models import BotConfig
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_bot, make_position

pytestmark = pytest.mark.alike


@pytest.fixture
def bot(user: User, settings: LazySettings) -> BotConfig:
    """One that only the confirmation keeps from trading live."""
    settings.LIVE_TRADING_ENABLED = True
    values = {"api_key": "k", "secret_key": "s", "environment": "live"}
    key = api_key_create(user=user, values=values)
    APIKey.objects.update(is_valid=True, validated_at=timezone.now())
    return make_bot(user, environment="live", api_key=key)


def confirm(api: JSONClient, bot: BotConfig, name: str = "Some bot") -> Any:
    return api.send("POST", f"/bots/{bot.pk}/confirm-live", {"name": name})


def test_confirmation_is_taken_and_taken_back(api: JSONClient, bot: BotConfig) -> None:
    content = read(confirm(api, bot))

    bot.refresh_from_db()
    assert bot.live_confirmed_at is not None
    assert content == {
        "bot_config_id": bot.pk,
        "live_confirmed_at": bot.live_confirmed_at.isoformat(),
    }
    for _ in range(2):
        read(api.send("DELETE", f"/bots/{bot.pk}/confirm-live"), 204)
        bot.refresh_from_db()
        assert bot.live_confirmed_at is None


@pytest.mark.parametrize("name", ["some bot", "Some bot ", ""])
def test_another_name_confirms_nothing(
    api: JSONClient, bot: BotConfig, name: str
) -> None:
    response = confirm(api, bot, name)

    read_problem(response, 400 if name else 422)
    bot.refresh_from_db()
    assert bot.live_confirmed_at is None


@pytest.mark.parametrize(
    "lock", ["switch", "environment", "key", "key for testnet", "not valid", "not seen"]
)
def test_each_other_lock_alone_keeps_it_from_live(
    api: JSONClient, bot: BotConfig, settings: LazySettings, lock: str
) -> None:
    match lock:
        case "switch":
            settings.LIVE_TRADING_ENABLED = False
        case "environment":
            BotConfig.objects.update(environment="testnet")
        case "key":
            BotConfig.objects.update(api_key=None)
        case "key for testnet":
            APIKey.objects.update(environment="testnet")
        case "not valid":
            APIKey.objects.update(is_valid=False)
        case "not seen":  # as keys of the old program are
            APIKey.objects.update(validated_at=None)

    read_problem(confirm(api, bot), 409)
    bot.refresh_from_db()
    assert bot.live_confirmed_at is None


def test_confirmation_cannot_be_written_with_the_settings(
    api: JSONClient, bot: BotConfig
) -> None:
    body = {"live_confirmed_at": "2026-01-01", "candle_seed": 5}

    content = read(api.send("PATCH", f"/bot-configs/{bot.pk}", body))

    assert (content["live_confirmed_at"], content["candle_seed"]) == (None, None)


@pytest.mark.parametrize("change", [{"symbol": "ETHUSDT"}, {"leverage": 3}])
def test_another_way_to_trade_needs_another_confirmation(
    api: JSONClient, bot: BotConfig, change: dict[str, Any]
) -> None:
    read(confirm(api, bot))

    content = read(api.send("PATCH", f"/bot-configs/{bot.pk}", change))

    assert content["live_confirmed_at"] is None


@pytest.mark.parametrize("is_active", [True, False])
def test_confirmation_stays_while_the_bot_trades_by_it(
    api: JSONClient, bot: BotConfig, is_active: bool
) -> None:
    read(confirm(api, bot))
    BotConfig.objects.update(is_active=is_active)
    if not is_active:
        make_position(bot)

    read_problem(api.send("DELETE", f"/bots/{bot.pk}/confirm-live"), 409)
    bot.refresh_from_db()
    assert bot.live_confirmed_at is not None


def test_bot_of_another_user_is_missing(stranger: JSONClient, bot: BotConfig) -> None:
    read_problem(confirm(stranger, bot), 404)
    read_problem(stranger.send("DELETE", f"/bots/{bot.pk}/confirm-live"), 404)
