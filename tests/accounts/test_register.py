from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import User
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_user

PATH = "/auth/register"
PASSWORD = "correct Horse 4"


@pytest.mark.alike
def test_register_valid_answers_active_user(anonymous: JSONClient) -> None:
    body = {"email": "New.User@Example.COM", "password": PASSWORD}

    content = read(anonymous.send("POST", PATH, body), 201)

    user = User.objects.get()
    assert content == {
        "id": user.pk,
        "email": "New.User@example.com",
        "is_active": True,
    }
    assert list(content) == ["id", "email", "is_active"]
    assert user.check_password(PASSWORD)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("  spaced@example.com ", "spaced@example.com"),
        ("Display Name <named@example.com>", "named@example.com"),
        ("user@xn--bcher-kva.example.org", "user@bücher.example.org"),
    ],
)
def test_register_address_is_normalised(
    anonymous: JSONClient, sent: str, stored: str
) -> None:
    body = {"email": sent, "password": PASSWORD}

    assert read(anonymous.send("POST", PATH, body), 201)["email"] == stored


@pytest.mark.alike
@pytest.mark.parametrize(
    "email",
    [
        "",
        "nobody",
        "a@b",
        "a@localhost",
        "a@host.test",
        "a b@example.com",
        "nul\0@example.com",
        f"{'a' * 300}@example.com",
        "a" * 2000,
        5,
        None,
        ["a@example.com"],
    ],
)
def test_register_bad_address_is_refused(anonymous: JSONClient, email: object) -> None:
    body = {"email": email, "password": PASSWORD}

    assert broken_fields(anonymous.send("POST", PATH, body)) == {"email"}


@pytest.mark.alike
def test_register_weak_password_lists_every_rule(anonymous: JSONClient) -> None:
    body = {"email": "new@example.com", "password": "secret"}

    problem = read_problem(anonymous.send("POST", PATH, body), 422)

    assert [error["code"] for error in problem["errors"]] == [
        "password_too_short",
        "password_no_upper",
        "password_no_digit",
        "password_no_symbol",
    ]
    assert "secret" not in str(problem)


@pytest.mark.alike
@pytest.mark.parametrize(
    "password", [f"{PASSWORD}\0", "Ü1!" * 40, "", None, 123456789012]
)
def test_register_unusable_password_is_refused(
    anonymous: JSONClient, password: object
) -> None:
    body = {"email": "new@example.com", "password": password}

    assert broken_fields(anonymous.send("POST", PATH, body)) == {"password"}


@pytest.mark.alike
def test_register_nothing_names_both_fields(anonymous: JSONClient) -> None:
    assert broken_fields(anonymous.send("POST", PATH)) == {"email", "password"}


@pytest.mark.parametrize("email", ["ömer@example.com", "ÖMER@example.com"])
def test_register_taken_address_is_conflict(anonymous: JSONClient, email: str) -> None:
    user = make_user("Ömer@example.com")
    body = {"email": email, "password": PASSWORD}

    read_problem(anonymous.send("POST", PATH, body), 409)

    assert User.objects.get() == user


@pytest.mark.alike
def test_register_wrong_method_is_refused(anonymous: JSONClient) -> None:
    response = anonymous.send("GET", PATH)

    read_problem(response, 405)
    assert response.headers["Allow"] == "POST"


@pytest.mark.alike
@pytest.mark.usefixtures("shared_database")
@pytest.mark.parametrize("other", ["race@example.com", "RACE@example.com"])
def test_register_twice_at_once_succeeds_once(other: str) -> None:
    def register(email: str) -> int:
        try:
            body = {"email": email, "password": PASSWORD}
            return JSONClient().send("POST", PATH, body).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(register, ["race@example.com", other] * 2))

    assert sorted(codes) == [201, 409, 409, 409]
    assert User.objects.count() == 1
