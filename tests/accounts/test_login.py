from __future__ import annotations

import datetime as dt

import jwt
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.hashers import get_hasher
from django.http import HttpResponse
from django.test import override_settings
from django.utils import timezone

from accounts.hashers import BcryptPasswordHasher
from accounts.models import User
from accounts.tokens import token_issue
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_user

PATH = "/auth/login"
PASSWORD = "correct Horse 4"


@pytest.fixture
def owner(db: None) -> User:
    return make_user(password=PASSWORD)


def claims_of(token: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(
        token,
        settings.JWT_SECRET,
        algorithms=[settings.JWT_ALGORITHM],
        options={"verify_iat": False},  # in the next second: the user is as new
    )
    return claims


@pytest.mark.alike
@pytest.mark.parametrize(
    ("remember", "minutes"),
    [({}, 10_080), ({"remember_me": None}, 10_080), ({"remember_me": "yes"}, 43_200)],
)
def test_login_right_password_gives_token(
    anonymous: JSONClient, owner: User, remember: dict[str, object], minutes: int
) -> None:
    body = {"email": "Owner@EXAMPLE.com", "password": PASSWORD, **remember}

    content = read(anonymous.send("POST", PATH, body))

    token = content.pop("access_token")
    assert content == {
        "token_type": "bearer",
        "user": {"id": owner.pk, "email": owner.email, "is_active": True},
    }
    claims = claims_of(token)
    lifetime = dt.timedelta(minutes=minutes).total_seconds()
    assert claims == {
        "sub": owner.email,
        "user_id": owner.pk,
        "iat": claims["iat"],
        "exp": claims["iat"] + lifetime,  # type: ignore[operator]  # both numbers
    }
    assert jwt.get_unverified_header(token) == {"alg": "HS512", "typ": "JWT"}


@pytest.mark.alike
@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("owner@example.com", "wrong"),
        ("owner@example.com", ""),
        ("owner@example.com", "ü" * 1000),
        ("nobody@example.com", PASSWORD),
        ("nobody@example.com", "ü" * 1000),
    ],
)
@pytest.mark.usefixtures("owner")
def test_login_wrong_is_refused_without_challenge(
    anonymous: JSONClient, email: str, password: str
) -> None:
    body = {"email": email, "password": password}

    response = anonymous.send("POST", PATH, body)

    read_problem(response, 401)
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.alike
def test_login_long_password_of_the_old_program_works(anonymous: JSONClient) -> None:
    long = "Long enough 1" * 8
    user = make_user()
    # What bcrypt made of it: the first 72 bytes.
    user.password = get_hasher().encode(long, "$2b$04$abcdefghijklmnopqrstuu")
    user.save()

    read(anonymous.send("POST", PATH, {"email": user.email, "password": long}))


@pytest.mark.alike
def test_login_inactive_is_told_after_right_password_only(
    anonymous: JSONClient,
) -> None:
    user = make_user(password=PASSWORD, is_active=False)
    body = {"email": user.email, "password": PASSWORD}

    read_problem(anonymous.send("POST", PATH, body), 400)
    read_problem(anonymous.send("POST", PATH, body | {"password": "wrong"}), 401)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"email", "password"}),
        ({"email": "nobody", "password": "x"}, {"email"}),
        ({"email": "a@example.com", "password": "x\0"}, {"password"}),
        ({"email": "a@example.com", "password": 5}, {"password"}),
        (
            {"email": "a@example.com", "password": "x", "remember_me": "perhaps"},
            {"remember_me"},
        ),
        ([], {"body"}),
    ],
)
def test_login_bad_input_is_refused(
    anonymous: JSONClient, body: object, fields: set[str]
) -> None:
    assert broken_fields(anonymous.send("POST", PATH, body)) == fields


@pytest.mark.alike
def test_login_wrong_method_is_refused(anonymous: JSONClient) -> None:
    read_problem(anonymous.send("DELETE", PATH), 405)


@pytest.mark.alike
def test_login_with_useless_token_works(owner: User) -> None:
    client = JSONClient()
    body = {"email": owner.email, "password": PASSWORD}

    read(client.send("POST", PATH, body, headers={"Authorization": "Bearer nonsense"}))


# --- The token on other requests ---------------------------------------------------


def ask(authorization: str | None) -> HttpResponse:
    headers = {} if authorization is None else {"Authorization": authorization}
    return JSONClient().send("GET", "/auth/me", headers=headers)


def sign(claims: dict[str, object], algorithm: str = "HS512") -> str:
    return jwt.encode(claims, settings.JWT_SECRET, algorithm=algorithm)


def later() -> int:
    return int(timezone.now().timestamp()) + 60


@pytest.mark.alike
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_me_with_token_answers_caller(owner: User, scheme: str) -> None:
    token = token_issue(user=owner, remember=False, now=timezone.now())

    content = read(ask(f"{scheme} {token}"))

    assert content == {"id": owner.pk, "email": owner.email, "is_active": True}


@pytest.mark.alike
def test_me_with_token_of_the_old_program_works_until_the_day_that_is_set(
    owner: User,
) -> None:
    User.objects.update(password_changed_at=None)  # as migrated
    claims = {"sub": owner.email, "user_id": owner.pk, "exp": later()}
    token = sign(claims)
    day = dt.timedelta(days=1)

    read_problem(ask(f"Bearer {token}"), 401)
    with override_settings(JWT_WITHOUT_IAT_UNTIL=timezone.now() - day):
        read_problem(ask(f"Bearer {token}"), 401)
    with override_settings(JWT_WITHOUT_IAT_UNTIL=timezone.now() + day):
        read(ask(f"Bearer {token}"))
        owner.set_password(PASSWORD)
        owner.save()
        read_problem(ask(f"Bearer {token}"), 401)


@pytest.mark.alike
def test_token_is_void_exactly_where_it_was_issued_before_the_password_changed(
    owner: User,
) -> None:
    second = dt.datetime(2026, 7, 1, 12, 0, 0, tzinfo=dt.UTC)

    def issue(microsecond: int) -> str:
        with time_machine.travel(
            second + dt.timedelta(microseconds=microsecond), tick=False
        ):
            return token_issue(user=owner, remember=False, now=timezone.now())

    with time_machine.travel(second - dt.timedelta(seconds=5), tick=False):
        owner.set_password("another Horse 5")
        owner.save()
    before = [issue(-1_000_000), issue(0), issue(499_999)]
    with time_machine.travel(second + dt.timedelta(seconds=0.5), tick=False):
        owner.set_password(PASSWORD)
        owner.save()
    after = [issue(500_001), issue(999_999), issue(1_000_000)]

    with time_machine.travel(second + dt.timedelta(seconds=0.6), tick=False):
        for token in before:
            read_problem(ask(f"Bearer {token}"), 401)
        for token in after:
            read(ask(f"Bearer {token}"))


@pytest.mark.alike
def test_login_with_a_password_that_is_changed_meanwhile_gives_a_void_token(
    owner: User, anonymous: JSONClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = BcryptPasswordHasher.encode

    def change(self: BcryptPasswordHasher, password: str, salt: bytes | str) -> str:
        monkeypatch.setattr(BcryptPasswordHasher, "encode", hashed)
        other = User.objects.get(pk=owner.pk)
        other.set_password("another Horse 5")
        other.save()
        clock.shift(2)
        return hashed(self, password, salt)

    monkeypatch.setattr(BcryptPasswordHasher, "encode", change)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        body = {"email": owner.email, "password": PASSWORD}
        token = read(anonymous.send("POST", PATH, body))["access_token"]
        read_problem(ask(f"Bearer {token}"), 401)


@pytest.mark.alike
@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_me_with_token_of_a_former_secret_works_while_it_is_set(
    algorithm: str, owner: User
) -> None:
    former = "short, but it did"
    good = {"sub": owner.email, "user_id": owner.pk, "exp": later(), "iat": later()}
    token = jwt.encode(good, former, algorithm=algorithm)
    expired = jwt.encode(good | {"exp": later() - 120}, former, algorithm=algorithm)
    read_problem(ask(f"Bearer {token}"), 401)

    with override_settings(JWT_OLD_SECRET=former):
        read(ask(f"Bearer {token}"))
        read_problem(ask(f"Bearer {expired}"), 401)
        new = token_issue(user=owner, remember=False, now=timezone.now())
        assert claims_of(new)["sub"] == owner.email, "not signed with JWT_SECRET"
        read(ask(f"Bearer {new}"))


@pytest.mark.alike
@pytest.mark.usefixtures("owner")
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic b3duZXI6eA==",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer \xff\xfe",
        f"Bearer {'W' * 8000}.e30.x",
        "Bearer one two",
    ],
)
def test_me_without_good_token_is_challenged(authorization: str | None) -> None:
    response = ask(authorization)

    read_problem(response, 401)
    assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.alike
def test_me_with_token_that_proves_nothing_is_refused(owner: User) -> None:
    good = {"sub": owner.email, "user_id": owner.pk, "exp": later(), "iat": later()}
    read(ask(f"Bearer {sign(good)}"))
    without_exp = {name: value for name, value in good.items() if name != "exp"}
    without_sub = {name: value for name, value in good.items() if name != "sub"}
    tokens = {
        "no exp": sign(without_exp),
        "no sub": sign(without_sub),
        "expired": sign(good | {"exp": later() - 120}),
        "another's id": sign(good | {"user_id": owner.pk + 1}),
        "unknown address": sign(good | {"sub": "nobody@example.com"}),
        "number for sub": sign(good | {"sub": 5}),
        "no number for iat": sign(good | {"iat": "now"}),
        "other algorithm": sign(good, "HS256"),
        "not signed": jwt.encode(good, "", algorithm="none"),
        "other key": jwt.encode(good, "k" * 64, algorithm="HS512"),
    }

    codes = {name: ask(f"Bearer {token}").status_code for name, token in tokens.items()}

    assert codes == dict.fromkeys(tokens, 401)


@pytest.mark.alike
@pytest.mark.django_db
def test_me_inactive_is_bad_request() -> None:
    user = make_user(is_active=False)

    read_problem(JSONClient(user).send("GET", "/auth/me"), 400)


@pytest.mark.alike
def test_me_wrong_method_is_refused(api: JSONClient) -> None:
    read_problem(api.send("POST", "/auth/me"), 405)
