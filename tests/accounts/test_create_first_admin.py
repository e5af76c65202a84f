from __future__ import annotations

import re
from io import StringIO

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.management import CommandError, call_command

from accounts.management.commands.create_first_admin import generate_password
from accounts.models import User

pytestmark = [pytest.mark.alike, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SUPERUSER_EMAIL", raising=False)
    monkeypatch.delenv("DJANGO_SUPERUSER_PASSWORD", raising=False)


def create_first_admin() -> str:
    output = StringIO()
    call_command("create_first_admin", stdout=output)
    return output.getvalue()


def test_create_first_admin_shows_the_password_that_lets_in() -> None:
    output = create_first_admin()
    match = re.search(r"Password: (\S+) \(shown only now\)", output)
    assert match is not None
    user = User.objects.get()
    assert user.email == "admin@example.com"
    assert "E-mail:   admin@example.com\n" in output
    assert user.check_password(match[1])
    assert user.is_staff
    assert user.is_superuser
    assert user.is_active
    assert match[1] not in user.password


def test_create_first_admin_again_does_nothing() -> None:
    create_first_admin()
    before = User.objects.values().get()
    assert create_first_admin() == ""
    assert User.objects.values().get() == before


def test_create_first_admin_beside_users_makes_one() -> None:
    User.objects.create_user("someone@example.com", "any")
    create_first_admin()
    assert User.objects.get(is_superuser=True).email == "admin@example.com"


def test_create_first_admin_with_given_password_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_EMAIL", "Chief@example.com")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "Correct-Horse-1")
    output = create_first_admin()
    assert "Chief@example.com" in output
    assert "Correct-Horse-1" not in output
    assert User.objects.get().check_password("Correct-Horse-1")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("DJANGO_SUPERUSER_EMAIL", "admin", "Enter a valid e-mail address"),
        ("DJANGO_SUPERUSER_PASSWORD", "Ab1-", "at least 12 characters"),
    ],
)
def test_create_first_admin_with_bad_setting_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(CommandError, match=f"^{name}: .*{problem}") as raised:
        create_first_admin()
    assert value == "admin" or value not in str(raised.value)
    assert not User.objects.exists()


def test_create_first_admin_with_address_of_a_user_changes_nothing() -> None:
    User.objects.create_user("Admin@example.com", "any")
    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_EMAIL"):
        create_first_admin()
    assert not User.objects.filter(is_superuser=True).exists()


def test_create_first_admin_promotes_a_user_when_asked_to() -> None:
    user = User.objects.create_user("Admin@example.com", "any")
    call_command("create_first_admin", promote=True, stdout=StringIO())
    user.refresh_from_db()
    assert user.is_superuser
    assert user.is_staff
    assert user.check_password("any")


def test_generated_passwords_satisfy_the_policy_and_differ() -> None:
    passwords = {generate_password() for _ in range(100)}
    assert len(passwords) == 100
    for password in passwords:
        validate_password(password)
