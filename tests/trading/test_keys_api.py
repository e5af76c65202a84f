"""What the exchange says of keys; a stub says it here."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.models import User
from apikeys.models import APIKey
from apikeys.services import api_key_create, api_key_update
from tests.clients import JSONClient, read, read_problem
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
    says(UnavailableError("502 of some proxy with its inner address"))

    problem = read_problem(api.send("POST", f"/api-keys/{key.pk}/validate"), 502)

    assert "proxy" not in problem["detail"]
    key.refresh_from_db()
    assert key.is_valid


@pytest.mark.parametrize("answer", [None, UnavailableError("away")])
def test_new_key_is_valid_once_the_exchange_has_seen_it(
    api: JSONClient, says: Saying, answer: Any
) -> None:
    says(answer or may())

    content = read(api.send("POST", "/api-keys/", KEY), 201)

    assert content["is_valid"] is (answer is None)


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


class Account:
    """An account with so much in it."""

    def __init__(self, market: str) -> None:
        self.market = market

    def free(self, asset: str) -> D:
        assert asset == "USDT"
        return {"spot": D("1.5"), "futures": D(2)}[self.market]

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("permissions", "futures", "total"),
    [(None, 2, 3.5), (["spot", "futures"], 2, 3.5), (["spot"], None, 1.5)],
)
def test_balance_is_that_of_the_markets_of_the_key(
    api: JSONClient,
    key: APIKey,
    monkeypatch: pytest.MonkeyPatch,
    permissions: list[str] | None,
    futures: int | None,
    total: float,
) -> None:
    APIKey.objects.update(permissions=permissions)
    monkeypatch.setattr(
        connect, "account_open", lambda market, **credentials: Account(market)
    )

    assert read(api.send("GET", "/api-keys/balance")) == {
        "spot_balance": 1.5,
        "futures_balance": futures,
        "total_balance": total,
        "currency": "USDT",
    }


def test_without_an_exchange_it_is_not_built(
    api: JSONClient, key: APIKey, stranger: JSONClient
) -> None:
    read_problem(api.send("GET", "/api-keys/balance"), 501)
    read_problem(api.send("POST", f"/api-keys/{key.pk}/validate"), 501)
    read_problem(stranger.send("GET", "/api-keys/balance"), 404)
    read_problem(stranger.send("POST", f"/api-keys/{key.pk}/validate"), 404)
