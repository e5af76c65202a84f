"""The operator chooses how passwords are hashed; hashes of the other kind go on."""

from __future__ import annotations

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
