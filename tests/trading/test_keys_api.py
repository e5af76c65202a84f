"""What the exchange says of keys: a fake one over HTTP, and where it is about what is
not easily said, a stub.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pytest_django.fixtures import Settings

from accounts.models import User
from apikeys.models import APIKey
from apikeys.services import api_key_create, api_key_update
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_bot, make_symbols
from tests.fake_exchange import FakeBinance
from trading.exchanges import connect
from trading.exchanges.base import AuthenticationError, Permissions, UnavailableError

pytestmark = pytest.mark.alike

KEY = {"api_key": "k", "secret_key": "s", "environment": "live"}
Saying = Callable[[Any], None]


@pytest.fixture
def key(user: User) -> APIKey:
    return api_key_create(user=user, values=KEY)


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch) -> Saying:
    """Let the exchange answer with permissions, or raise."""

    def say(answer: Any) -> None:
        def ask(**credentials: str) -> Permissions:
            assert credentials == KEY
            if isinstance(answer, Exception):
                raise answer
            return answer  # type: ignore[no-any-return]

        monkeypatch.setattr(connect, "permissions_ask", ask)

    return say


def may(**values: bool) -> Permissions:
    return Permissions(
        **{
            "can_trade_spot": True,
            "can_trade_futures": False,
            "can_withdraw": False,
            "is_ip_restricted": True,
            **values,
        }
    )


def test_accepted_key_is_valid_with_what_it_may_do(
    api: JSONClient, key: APIKey, says: Saying
) -> None:
    says(may())

    content = read(api.send("POST", f"/api-keys/{key.pk}/validate"))

    assert (content["is_valid"], content["permissions"]) == (
        True,
        ["spot", "ip_restricted"],
    )
    assert content["validated_at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (may(can_withdraw=True), "withdraw"),
        (may(can_trade_spot=False), "may not trade"),
        (AuthenticationError("Invalid API-key, IP, or permissions"), "invalid"),
    ],
)
def test_refused_key_is_not_valid_any_more_nor_stored_anew(
    api: JSONClient, key: APIKey, says: Saying, answer: Any, word: str
) -> None:
    APIKey.objects.update(is_valid=True, permissions=["spot"])
    says(answer)

    problem = read_problem(api.send("POST", f"/api-keys/{key.pk}/validate"), 400)

    assert word in problem["detail"]
    key.refresh_from_db()
    assert (key.is_valid, key.permissions) == (False, None)
    key.delete()
    assert word in read_problem(api.send("POST", "/api-keys/", KEY), 400)["detail"]
    assert not APIKey.objects.exists()


def test_exchange_that_is_away_changes_nothing(
    api: JSONClient, key: APIKey, says: Saying
) -> None:
    APIKey.objects.update(is_valid=True)
    says(UnavailableError("Binance answers 502 Bad Gateway."))

    problem = read_problem(api.send("POST", f"/api-keys/{key.pk}/validate"), 502)

    assert "Binance answers 502 Bad Gateway." in problem["detail"]
    key.refresh_from_db()
    assert key.is_valid


def test_new_key_is_valid_once_the_exchange_has_seen_it(
    api: JSONClient, says: Saying
) -> None:
    says(may())

    content = read(api.send("POST", "/api-keys/", KEY), 201)

    assert (content["is_valid"], content["message"]) == (True, None)


def test_new_key_that_the_exchange_has_not_seen_says_why_and_serves_no_bot(
    api: JSONClient, user: User, says: Saying
) -> None:
    says(UnavailableError("Binance answers 502."))

    content = read(api.send("POST", "/api-keys/", KEY), 201)

    assert (content["is_valid"], content["validated_at"]) == (False, None)
    assert "Binance answers 502." in content["message"]
    path = f"/api-keys/{content['id']}/validate"
    assert path in content["message"]

    make_symbols()
    key = APIKey.objects.get()
    bot = make_bot(user, position_size_fixed=5, environment="live", api_key=key)
    told = read_problem(api.send("POST", f"/bots/{bot.pk}/start"), 400)
    assert f"API key {key.pk} has not been validated for live" in told["detail"]

    says(may())
    assert read(api.send("POST", path))["is_valid"] is True


def test_key_that_changes_while_it_is_asked_about_stays_as_it_is(
    api: JSONClient, key: APIKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(**credentials: str) -> Permissions:
        api_key_update(api_key=key, values={"secret_key": "another"})
        return may()

    monkeypatch.setattr(connect, "permissions_ask", ask)

    read_problem(api.send("POST", f"/api-keys/{key.pk}/validate"), 409)
    key.refresh_from_db()
    assert not key.is_valid


def test_key_for_paper_is_not_shown_to_the_exchange(api: JSONClient) -> None:
    content = read(api.send("POST", "/api-keys/", {**KEY, "environment": "paper"}), 201)

    path = f"/api-keys/{content['id']}/validate"
    assert "paper" not in content["api_key_masked"]
    read_problem(api.send("POST", path), 400)


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeBinance]:
    fake = FakeBinance()
    with fake.serving():
        settings.BINANCE_TESTNET_SPOT_URL = fake.url
        settings.BINANCE_TESTNET_FUTURES_URL = fake.url
        fake.spot.deposit("USDT", "1.5")
        fake.futures.deposit("2")
        yield fake


REAL = {"api_key": "key", "secret_key": "secret", "environment": "testnet"}


def test_a_key_is_shown_to_the_exchange_when_it_is_stored(
    api: JSONClient, fake: FakeBinance
) -> None:
    content = read(api.send("POST", "/api-keys/", REAL), 201)
    assert content["is_valid"] is True
    assert content["permissions"] == ["spot", "futures"]

    wrong = {**REAL, "api_key": "other"}
    told = read_problem(api.send("POST", "/api-keys/", wrong), 400)
    assert "invalid" in told["detail"]
    assert APIKey.objects.count() == 1


@pytest.mark.parametrize(
    ("permissions", "futures", "total"),
    [(None, 2, 3.5), (["spot", "futures"], 2, 3.5), (["spot"], 0, 1.5)],
)
def test_balance_is_that_of_the_markets_of_the_key(
    api: JSONClient,
    fake: FakeBinance,
    permissions: list[str] | None,
    futures: int,
    total: float,
) -> None:
    read(api.send("POST", "/api-keys/", REAL), 201)
    APIKey.objects.update(permissions=permissions)

    assert read(api.send("GET", "/api-keys/balance")) == {
        "spot_balance": 1.5,
        "futures_balance": futures,
        "total_balance": total,
        "currency": "USDT",
        "markets": ["spot", "futures"] if futures else ["spot"],
    }
    assert not fake.sent("POST")


def test_key_that_the_server_cannot_read_is_told(
    api: JSONClient, user: User, fake: FakeBinance
) -> None:
    key = api_key_create(user=user, values=REAL)
    lost = Fernet(Fernet.generate_key()).encrypt(b"key").decode()
    APIKey.objects.update(encrypted_api_key=lost)

    for method, path in (
        ("GET", "/api-keys/balance"),
        ("POST", f"/api-keys/{key.pk}/validate"),
    ):
        problem = read_problem(api.send(method, path), 409)
        assert "cannot read the API key any more" in problem["detail"]


def test_an_exchange_that_does_not_answer_is_told(
    api: JSONClient, user: User, stranger: JSONClient
) -> None:
    key = api_key_create(user=user, values=REAL)
    read_problem(api.send("GET", "/api-keys/balance"), 502)
    read_problem(api.send("POST", f"/api-keys/{key.pk}/validate"), 502)
    read_problem(stranger.send("GET", "/api-keys/balance"), 404)
    read_problem(stranger.send("POST", f"/api-keys/{key.pk}/validate"), 404)


def test_a_live_key_is_not_asked_about_while_live_is_switched_off(
    api: JSONClient, key: APIKey
) -> None:
    for method, path in (("GET", "balance"), ("POST", f"{key.pk}/validate")):
        told = read_problem(api.send(method, f"/api-keys/{path}"), 400)
        assert "LIVE_TRADING_ENABLED" in told["detail"]


def test_a_key_for_paper_has_no_balance(api: JSONClient) -> None:
    read(api.send("POST", "/api-keys/", {**KEY, "environment": "paper"}), 201)
    told = read_problem(api.send("GET", "/api-keys/balance"), 400)
    assert "for paper" in told["detail"]
