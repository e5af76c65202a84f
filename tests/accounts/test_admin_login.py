from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from accounts.hashers import BcryptPasswordHasher
from tests.admin_data import (
    OLD_HASH,
    OLD_PASSWORD,
    PASSWORD,
    make_superuser,
    store_hash,
    stored_hash,
)
from tests.factories import make_user

pytestmark = pytest.mark.django_db

# 80 bytes, and bcrypt of the first 72, which are all that the old program hashed.
LONG_PASSWORD = ("Long password 1! " * 5)[:80]
LONG_HASH = "$2b$12$ilLXIsdbdCKlHts9Gnnz4ulBZWhX2tfuc7NEmi4scRob280x4htzi"


def log_in(email: str, password: str) -> str:
    """Send the log-in form; return the refusal, or nothing where it let the user in."""
    client = Client()
    response = client.post(
        reverse("admin:login"),
        {"username": email, "password": password, "next": reverse("admin:index")},
    )
    if response.status_code == 302:
        assert client.get(response["Location"]).status_code == 200
        return ""
    assert "_auth_user_id" not in client.session
    (message,) = response.context["form"].non_field_errors()
    assert message in response.content.decode()
    return str(message)


@pytest.mark.alike
@pytest.mark.parametrize(
    "email", ["Admin@example.com", "admin@example.com", "ADMIN@EXAMPLE.COM"]
)
def test_log_in_accepts_the_address_in_any_case(email: str) -> None:
    make_superuser("Admin@example.com")

    assert log_in(email, PASSWORD) == ""


@pytest.mark.alike
def test_log_in_of_an_inactive_user_is_refused_with_the_reason() -> None:
    user = make_superuser()
    user.is_active = False
    user.save()

    assert log_in("admin@example.com", PASSWORD) == "This account is inactive."
    assert "correct e-mail address" in log_in("admin@example.com", "wrong")


@pytest.mark.alike
def test_session_ends_when_its_user_becomes_inactive() -> None:
    user = make_superuser()
    client = Client()
    client.force_login(user)
    user.is_active = False
    user.save()

    response = client.get(reverse("admin:index"))

    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))


@pytest.mark.alike
def test_log_in_of_a_user_who_is_not_staff_is_refused() -> None:
    make_user("owner@example.com", password=PASSWORD)

    assert "for a staff account" in log_in("owner@example.com", PASSWORD)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("email", "password"),
    [("admin@example.com", "Wrong password 1!"), ("nobody@example.com", PASSWORD)],
)
def test_log_in_with_wrong_credentials_does_not_say_which(
    email: str, password: str
) -> None:
    make_superuser()

    assert log_in(email, password) == (
        "Please enter the correct e-mail address and password for a staff account. "
        "Note that both fields may be case-sensitive."
    )


@pytest.mark.alike
@pytest.mark.parametrize(
    ("password", "password_hash"),
    [
        (OLD_PASSWORD, OLD_HASH),
        pytest.param(LONG_PASSWORD, LONG_HASH, marks=pytest.mark.long),
    ],
    ids=["usual", "longer than 72 bytes"],
)
def test_log_in_with_a_hash_of_the_old_program_leaves_it_as_it_is(
    password: str, password_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BcryptPasswordHasher, "rounds", 12)
    user = make_superuser()
    store_hash(user, password_hash)

    assert log_in("admin@example.com", password) == ""
    assert stored_hash(user) == password_hash
    assert log_in("admin@example.com", password[:-9]) != ""


@pytest.mark.alike
def test_log_in_with_a_hash_of_another_cost_writes_a_raw_one() -> None:
    user = make_superuser()
    store_hash(user, OLD_HASH)

    assert log_in("admin@example.com", OLD_PASSWORD) == ""
    assert stored_hash(user).startswith("$2b$04$")
    assert log_in("admin@example.com", OLD_PASSWORD) == ""


@pytest.mark.alike
def test_log_in_of_a_user_without_password_is_refused() -> None:
    user = make_superuser()
    user.set_unusable_password()
    user.save()

    assert log_in("admin@example.com", PASSWORD) != ""


@pytest.mark.alike
def test_log_out_ends_the_session() -> None:
    client = Client()
    client.force_login(make_superuser())

    assert client.post(reverse("admin:logout")).status_code == 200
    assert client.get(reverse("admin:index")).status_code == 302
