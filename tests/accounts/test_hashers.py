"""The operator chooses how passwords are hashed; hashes of the other kind go on."""

from __future__ import annotations

from typing import Any

import argon2
import bcrypt
import pytest
from django.conf import settings
from django.contrib.auth.hashers import check_password
from django.db import connection
from django.test import override_settings

from accounts.models import User
from tests.clients import JSONClient, read, read_problem
from tests.factories import make_user
from tests.processes import SECRETS, manage

PASSWORD = "correct Horse 4"
# The start of what the column holds.
KINDS = {"bcrypt": "$2b$04$", "argon2id": "argon2$argon2id$v=19$m=19456,t=2,p=1$"}


def choose(kind: str) -> override_settings:
    names = settings.PASSWORD_HASHERS
    return override_settings(
        PASSWORD_HASHERS=sorted(names, key=lambda name: kind not in name.lower())
    )


def stored_hash(user: User) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashed_password FROM users WHERE id = %s", [user.pk])
        (value,) = cursor.fetchone()
    return str(value)


@pytest.mark.parametrize(("before", "after"), [tuple(KINDS), tuple(reversed(KINDS))])
def test_login_hashes_the_password_in_the_chosen_way(
    before: str, after: str, anonymous: JSONClient
) -> None:
    with choose(before):
        user = make_user(password=PASSWORD)
    assert stored_hash(user).startswith(KINDS[before])
    body = {"email": user.email, "password": PASSWORD}
    wrong = body | {"password": "wrong"}

    with choose(after):
        read_problem(anonymous.send("POST", "/auth/login", wrong), 401)
        assert stored_hash(user).startswith(KINDS[before])
        read(anonymous.send("POST", "/auth/login", body))
        assert stored_hash(user).startswith(KINDS[after])
        read(anonymous.send("POST", "/auth/login", body))


@pytest.mark.alike
@pytest.mark.django_db
def test_start_of_a_password_longer_than_bcrypt_reads_is_not_hashed_anew() -> None:
    long = "Correct horse 4 " * 5  # 80 bytes
    with choose("bcrypt"):
        user = make_user(password=long)

    with choose("argon2id"):
        assert user.check_password(long[:72])
        assert user.check_password(long)

    assert stored_hash(user).startswith(KINDS["bcrypt"])


@pytest.mark.alike
@pytest.mark.parametrize("chosen", KINDS)
def test_wrong_login_hashes_once_in_each_way_whoever_is_asked_for(
    chosen: str, anonymous: JSONClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in KINDS:
        with choose(kind):
            make_user(f"{kind}@example.com", password=PASSWORD)
    make_user("none@example.com", password=None)
    gone = make_user("gone@example.com")
    gone.password = "pbkdf2_sha256$1$salt$hash"
    gone.save()
    runs: list[str] = []

    def count(module: Any, name: str, kind: str) -> None:
        run = getattr(module, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            runs.append(kind)
            return run(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)

    count(bcrypt, "hashpw", "bcrypt")
    count(argon2.low_level, "hash_secret", "argon2id")
    count(argon2.PasswordHasher, "verify", "argon2id")

    with choose(chosen):
        for number, name in enumerate([*KINDS, "none", "gone", "nobody"]):
            for password in ("wrong", "", "ü" * 100):
                body = {"email": f"{name}@example.com", "password": password}
                response = anonymous.send(
                    "POST", "/auth/login", body, REMOTE_ADDR=f"192.0.2.{number}"
                )
                read_problem(response, 401)
                assert sorted(runs) == sorted(KINDS), name
                runs.clear()


@pytest.mark.alike
@pytest.mark.django_db
def test_login_does_not_undo_a_password_that_is_changed_meanwhile() -> None:
    with choose("argon2id"):
        user = make_user(password=PASSWORD)
    other = User.objects.get(pk=user.pk)
    other.set_password("another Horse 5")
    other.save()

    assert user.check_password(PASSWORD), "as it was when it was read"

    assert User.objects.get(pk=user.pk).check_password("another Horse 5")


@pytest.mark.parametrize("kind", KINDS)
def test_setting_chooses_the_hasher(kind: str) -> None:
    result = manage(
        "shell",
        "--no-imports",
        "--command",
        "from django.contrib.auth.hashers import make_password\n"
        "print(make_password('x'))",
        **SECRETS,
        PASSWORD_HASHER=kind,
    )

    expected = {"bcrypt": "bcrypt$$2b$12$", "argon2id": KINDS["argon2id"]}
    assert result.stdout.startswith(expected[kind]), result.stderr


@pytest.mark.parametrize("version", ["2a", "2b", "2y"])
def test_hash_of_another_bcrypt_version_is_verified(version: str) -> None:
    written = "$2b$04$1l4qdg9utPFiUiH42LSX8eAWFgY/KDA/DolMy3YXeCX0YwKEli5.G"
    stored = f"bcrypt${written.replace('2b', version, 1)}"

    assert check_password(PASSWORD, stored)
    assert not check_password(f"{PASSWORD}!", stored)


@pytest.mark.alike
@pytest.mark.parametrize("damaged", ["$2b$12$", "$2b$12$short", "$2b$99$" + "x" * 53])
def test_column_that_holds_no_hash_lets_nobody_in(damaged: str) -> None:
    assert not check_password("Correct-Horse-7", f"bcrypt${damaged}")
