from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection

from accounts.models import User
from apikeys import crypto
from apikeys.models import APIKey
from apikeys.services import api_key_create
from bots.models import BotConfig
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_bot, make_trade, make_user
from trading.models import Trade

LIST = "/api-keys/"
DEFAULT = "/api-keys/me"
CREDENTIALS = {"api_key": "ABCD-1234-5678-IJKL", "secret_key": "very secret"}


@pytest.fixture
def key(user: User) -> APIKey:
    return api_key_create(user=user, values={**CREDENTIALS, "label": "first"})


def detail(key: APIKey) -> str:
    return f"/api-keys/{key.pk}"


@pytest.mark.alike
def test_create_stores_encrypted_and_answers_masked(
    api: JSONClient, user: User
) -> None:
    response = api.send("POST", LIST, {**CREDENTIALS, "label": "main"})

    content = read(response, 201)
    key = APIKey.objects.get()
    assert "could not be asked" in content.pop("message")
    assert content == {
        "id": key.pk,
        "label": "main",
        "api_key_masked": "ABCD****IJKL",
        "environment": "testnet",
        "is_valid": False,
        "permissions": None,
        "validated_at": None,
        "created_at": key.created_at.isoformat(),
        "updated_at": key.updated_at.isoformat(),
    }
    assert key.user == user
    assert key.encrypted_api_key.startswith("gAAAA")
    assert crypto.decrypt(key.encrypted_secret_key) == CREDENTIALS["secret_key"]


@pytest.mark.alike
@pytest.mark.parametrize("label", ["", None])
def test_create_without_label_may_be_repeated(
    api: JSONClient, label: str | None
) -> None:
    for number in (1, 2):
        body = {"api_key": f"key-{number}", "secret_key": "x", "label": label}
        assert read(api.send("POST", LIST, body), 201)["label"] is None


@pytest.mark.alike
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"api_key", "secret_key"}),
        ({"api_key": "", "secret_key": ""}, {"api_key", "secret_key"}),
        ({"api_key": 5, "secret_key": None}, {"api_key", "secret_key"}),
        ({**CREDENTIALS, "label": "nul\0"}, {"label"}),
        ({**CREDENTIALS, "label": "x" * 256}, {"label"}),
        ({**CREDENTIALS, "environment": "mainnet"}, {"environment"}),
        ({**CREDENTIALS, "environment": None}, {"environment"}),
    ],
)
def test_create_bad_input_is_refused_without_echo(
    api: JSONClient, body: object, fields: set[str]
) -> None:
    response = api.send("POST", LIST, body)

    assert broken_fields(response) == fields
    assert b"secret\x00" not in response.content
    assert CREDENTIALS["secret_key"].encode() not in response.content


@pytest.mark.alike
def test_create_same_credentials_is_conflict(api: JSONClient, key: APIKey) -> None:
    response = api.send("POST", LIST, {**CREDENTIALS, "label": "second"})

    assert str(key.pk) in read_problem(response, 409)["detail"]


@pytest.mark.alike
def test_create_same_label_is_conflict(api: JSONClient, key: APIKey) -> None:
    body = {"api_key": "another", "secret_key": "x", "label": key.label}

    assert "label" in read_problem(api.send("POST", LIST, body), 409)["detail"]


@pytest.mark.alike
@pytest.mark.usefixtures("key")
def test_create_what_another_user_has_works(stranger: JSONClient) -> None:
    read(stranger.send("POST", LIST, {**CREDENTIALS, "label": "first"}), 201)


@pytest.mark.alike
def test_create_beside_unreadable_key_works(api: JSONClient, key: APIKey) -> None:
    APIKey.objects.filter(pk=key.pk).update(encrypted_api_key="gAAAAbroken")

    read(api.send("POST", LIST, CREDENTIALS), 201)
    assert [one["api_key_masked"] for one in read(api.send("GET", LIST))] == [
        "****",
        "ABCD****IJKL",
    ]


@pytest.mark.alike
@pytest.mark.usefixtures("shared_database")
def test_create_twice_at_once_succeeds_once() -> None:
    user = make_user()

    def create(label: str) -> int:
        try:
            client = JSONClient(user)
            return client.send(
                "POST", LIST, {**CREDENTIALS, "label": label}
            ).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(create, "abcd"))

    assert sorted(codes) == [201, 409, 409, 409]
    assert APIKey.objects.count() == 1


@pytest.mark.alike
def test_list_has_own_keys_oldest_first(
    api: JSONClient, user: User, stranger: JSONClient, key: APIKey
) -> None:
    second = api_key_create(user=user, values={"api_key": "b", "secret_key": "x"})

    assert [one["id"] for one in read(api.send("GET", LIST))] == [key.pk, second.pk]
    assert read(stranger.send("GET", LIST)) == []


@pytest.mark.alike
def test_default_is_oldest(api: JSONClient, user: User, key: APIKey) -> None:
    api_key_create(user=user, values={"api_key": "b", "secret_key": "x"})

    assert read(api.send("GET", DEFAULT))["id"] == key.pk
    assert read(api.send("GET", detail(key))) == read(api.send("GET", DEFAULT))


@pytest.mark.alike
@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.usefixtures("key")
def test_default_without_key_is_missing(stranger: JSONClient, method: str) -> None:
    read_problem(stranger.send(method, DEFAULT), 404)


@pytest.mark.alike
def test_change_label_keeps_validity(api: JSONClient, key: APIKey) -> None:
    APIKey.objects.filter(pk=key.pk).update(is_valid=True)

    content = read(api.send("PATCH", detail(key), {"label": "renamed"}))

    assert (content["label"], content["is_valid"]) == ("renamed", True)


@pytest.mark.alike
def test_change_to_own_values_works(api: JSONClient, key: APIKey) -> None:
    APIKey.objects.filter(pk=key.pk).update(is_valid=True)

    content = read(api.send("PUT", detail(key), {**CREDENTIALS, "label": "first"}))

    assert content["is_valid"] is True


@pytest.mark.alike
def test_change_credentials_asks_for_validation(api: JSONClient, key: APIKey) -> None:
    APIKey.objects.filter(pk=key.pk).update(is_valid=True)
    body = {"api_key": "ZYXW-0000-0000-VUTS", "secret_key": "other"}

    content = read(api.send("PUT", detail(key), body))

    assert content["api_key_masked"] == "ZYXW****VUTS"
    assert (content["label"], content["is_valid"]) == ("first", False)


def accept(key: APIKey) -> None:
    """Let the key be as the exchange has accepted it."""
    APIKey.objects.filter(pk=key.pk).update(
        is_valid=True, permissions=["spot"], validated_at=key.created_at
    )


@pytest.mark.alike
@pytest.mark.parametrize("body", [{"environment": "live"}, {"secret_key": "other"}])
def test_change_of_what_was_validated_asks_for_it_again(
    api: JSONClient, key: APIKey, body: dict[str, str]
) -> None:
    accept(key)

    content = read(api.send("PATCH", detail(key), body))

    assert content["environment"] == body.get("environment", "testnet")
    found = [content[name] for name in ("is_valid", "permissions", "validated_at")]
    assert found == [False, None, None]


@pytest.mark.alike
def test_change_to_own_environment_keeps_validity(api: JSONClient, key: APIKey) -> None:
    accept(key)

    content = read(api.send("PATCH", detail(key), {"environment": "testnet"}))

    assert (content["is_valid"], content["permissions"]) == (True, ["spot"])
    assert content["validated_at"] == key.created_at.isoformat()


@pytest.mark.alike
def test_key_of_the_old_program_has_no_environment_until_it_gets_one(
    api: JSONClient, key: APIKey
) -> None:
    APIKey.objects.filter(pk=key.pk).update(environment=None, is_valid=True)

    content = read(api.send("PUT", detail(key), {**CREDENTIALS, "environment": None}))
    assert (content["environment"], content["is_valid"]) == (None, True)

    content = read(api.send("PATCH", detail(key), {"environment": "live"}))
    assert (content["environment"], content["is_valid"]) == ("live", False)


@pytest.mark.alike
def test_list_of_an_environment_has_its_keys(
    api: JSONClient, user: User, key: APIKey
) -> None:
    live = {"api_key": "b", "secret_key": "x", "environment": "live"}
    other = api_key_create(user=user, values=live)

    found = read(api.send("GET", f"{LIST}?environment=live"))
    assert [one["id"] for one in found] == [other.pk]
    assert broken_fields(api.send("GET", f"{LIST}?environment=mainnet")) == {
        "environment"
    }


@pytest.mark.django_db
def test_database_refuses_an_environment_that_there_is_not(key: APIKey) -> None:
    with pytest.raises(IntegrityError, match="api_keys_environment"):
        APIKey.objects.filter(pk=key.pk).update(environment="mainnet")


@pytest.mark.alike
@pytest.mark.parametrize("name", ["api_key", "secret_key"])
def test_change_of_a_key_that_cannot_be_read_works(
    api: JSONClient, key: APIKey, name: str
) -> None:
    APIKey.objects.filter(pk=key.pk).update(
        encrypted_api_key="gAAAAbroken", encrypted_secret_key="gAAAAbroken"
    )

    read(api.send("PATCH", detail(key), {name: "new"}))


@pytest.mark.alike
@pytest.mark.parametrize("body", [{"label": "first"}, CREDENTIALS])
@pytest.mark.usefixtures("key")
def test_change_to_values_of_own_other_key_is_conflict(
    api: JSONClient, user: User, body: dict[str, Any]
) -> None:
    other = api_key_create(user=user, values={"api_key": "b", "secret_key": "x"})

    read_problem(api.send("PATCH", detail(other), body), 409)


@pytest.mark.alike
@pytest.mark.parametrize("body", [{"secret_key": "other"}, {"environment": "live"}])
def test_change_credentials_of_running_bot_is_conflict(
    api: JSONClient, user: User, key: APIKey, body: dict[str, str]
) -> None:
    make_bot(user, api_key=key, is_active=True)

    read_problem(api.send("PATCH", detail(key), body), 409)
    read(api.send("PATCH", detail(key), {"label": "renamed"}))
    key.refresh_from_db()
    assert crypto.decrypt(key.encrypted_secret_key) == CREDENTIALS["secret_key"]
    assert key.environment == "testnet"


@pytest.mark.alike
@pytest.mark.parametrize("default", [True, False])
def test_delete_keeps_bots_and_trades(
    api: JSONClient, user: User, key: APIKey, default: bool
) -> None:
    bot = make_bot(user, api_key=key, is_active=None)
    make_trade(bot)

    response = api.send("DELETE", DEFAULT if default else detail(key))

    assert read(response, 204) is None
    bot.refresh_from_db()
    assert (bot.api_key, bot.is_active) == (None, False)
    assert Trade.objects.count() == 1


@pytest.mark.alike
@pytest.mark.parametrize("default", [True, False])
def test_delete_key_of_running_bot_is_conflict(
    api: JSONClient, user: User, key: APIKey, default: bool
) -> None:
    bot = make_bot(user, api_key=key, is_active=True)

    response = api.send("DELETE", DEFAULT if default else detail(key))

    assert str(bot.pk) in read_problem(response, 409)["detail"]
    assert BotConfig.objects.get().api_key == key


@pytest.mark.alike
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_someone_elses_key_is_missing(
    stranger: JSONClient, key: APIKey, method: str
) -> None:
    foreign = stranger.send(method, detail(key), {**CREDENTIALS, "label": "x"})
    missing = stranger.send(method, "/api-keys/999999", {**CREDENTIALS, "label": "x"})

    assert read_problem(foreign, 404) == read_problem(missing, 404)
    assert APIKey.objects.get().label == "first"
