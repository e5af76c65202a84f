"""Log-ins and all else that anybody may ask for have limits, exact ones."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import bcrypt
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone

from accounts import hashers, limits
from accounts.models import RateLimit, User
from tests.clients import JSONClient, read_problem
from tests.factories import make_user
from tests.processes import SECRETS, Server, database_url, serving
from tradebot.errors import RateLimitError

PASSWORD = "correct Horse 4"
EMAIL = "owner@example.com"
RIGHT = {"email": EMAIL, "password": PASSWORD}
WRONG = {"email": EMAIL, "password": "wrong"}


@pytest.fixture
def owner(db: None) -> User:
    return make_user(EMAIL, password=PASSWORD)


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(timezone.now(), tick=False) as traveller:
        yield traveller


def log_in(body: dict[str, str], address: str = "127.0.0.1") -> int:
    client = JSONClient()
    return client.send("POST", "/auth/login", body, REMOTE_ADDR=address).status_code


@pytest.mark.usefixtures("shared_database")
def test_login_forty_guesses_at_once_are_as_many_as_the_limit() -> None:
    make_user(EMAIL, password=PASSWORD)

    def guess(number: int) -> int:
        try:
            return log_in(WRONG)
        finally:
            connection.close()

    with ThreadPoolExecutor(40) as threads:
        codes = Counter(threads.map(guess, range(40)))

    assert codes == {401: 5, 429: 35}
    assert sorted(RateLimit.objects.values_list("tries", flat=True)) == [5, 5]


@pytest.mark.long
def test_login_limit_is_one_for_all_processes(
    tmp_path: Path, migrated_database: BaseDatabaseWrapper
) -> None:
    name = migrated_database.settings_dict["NAME"]
    sqlite = migrated_database.vendor == "sqlite"
    url = f"sqlite:///{name}" if sqlite else database_url(migrated_database)
    command = [sys.executable, "-m", "gunicorn", "-c", "tradebot/gunicorn_config.py"]
    settings = {**SECRETS, "HTTPS_ONLY": "false", "DATABASE_URL": url}

    def guess(server: Server) -> int:
        headers = {"Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", server.port, timeout=30)) as http:
            http.request("POST", "/api/v1/auth/login", json.dumps(WRONG), headers)
            return http.getresponse().status

    with ExitStack() as stack:
        servers = []
        for number in "12":
            (tmp_path / number).mkdir()
            server = stack.enter_context(
                serving(tmp_path / number, command, **settings)
            )
            assert server.get("/health").status == 200
            servers.append(server)
        codes = [guess(server) for server in servers * 4]

    assert codes == [401] * 5 + [429] * 3


@pytest.mark.alike
@pytest.mark.usefixtures("owner")
def test_login_limit_of_a_client_counts_failures_and_says_when_to_come_again(
    clock: time_machine.Traveller,
) -> None:
    assert [log_in(RIGHT) for _ in range(7)] == [200] * 7
    assert [log_in(WRONG) for _ in range(2)] == [401] * 2
    clock.shift(20)
    assert [log_in(WRONG) for _ in range(4)] == [401] * 3 + [429]

    response = JSONClient().send("POST", "/auth/login", RIGHT)
    assert "40 seconds" in read_problem(response, 429)["detail"]
    assert response.headers["Retry-After"] == "40"
    assert log_in(RIGHT, "192.0.2.1") == 200
    clock.shift(40)
    assert log_in(RIGHT) == 200


@pytest.mark.alike
@pytest.mark.usefixtures("owner")
def test_unlocked_account_lets_its_owner_in_and_no_client_try_more(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for number in range(10):
        assert log_in(WRONG, f"192.0.2.{number // 5}") == 401
    assert log_in(RIGHT, "192.0.2.9") == 429

    call_command("unlock", "Owner@example.com")

    assert capsys.readouterr().out == f"{EMAIL} can log in again.\n"
    assert log_in(RIGHT, "192.0.2.9") == 200
    assert log_in(RIGHT, "192.0.2.1") == 429


@pytest.mark.alike
@pytest.mark.django_db
def test_unlock_of_nobody_is_an_error() -> None:
    with pytest.raises(CommandError, match=r"^There is no user nobody@example\.com\."):
        call_command("unlock", "nobody@example.com")


@pytest.mark.alike
@pytest.mark.usefixtures("owner")
def test_login_limit_of_an_account_holds_for_all_clients_and_all_spellings(
    clock: time_machine.Traveller,
) -> None:
    make_user("other@example.com", password=PASSWORD)
    spellings = [EMAIL, "OWNER@example.com", "Owner <owner@example.com>"]
    codes = [
        log_in({"email": spelling, "password": "wrong"}, f"192.0.2.{number}")
        for number, spelling in enumerate(spellings * 4)
    ]

    assert codes == [401] * 10 + [429] * 2
    assert log_in(RIGHT) == 429
    assert [log_in(RIGHT) for _ in range(6)] == [429] * 6  # none of them is a guess
    assert log_in({**RIGHT, "email": "other@example.com"}) == 200
    clock.shift(3600)
    assert log_in(RIGHT) == 200


@pytest.mark.alike
@pytest.mark.django_db
def test_login_limit_is_the_same_for_an_address_that_nobody_has() -> None:
    body = {"email": "nobody@example.com", "password": "wrong"}

    codes = [log_in(body, f"192.0.2.{number}") for number in range(11)]

    assert codes == [401] * 10 + [429]


@pytest.mark.alike
@pytest.mark.django_db
def test_login_of_an_inactive_user_counts_wrong_passwords_only() -> None:
    make_user(EMAIL, password=PASSWORD, is_active=False)

    assert [log_in(RIGHT) for _ in range(6)] == [400] * 6
    assert [log_in(WRONG) for _ in range(6)] == [401] * 5 + [429]


@pytest.mark.alike
@pytest.mark.usefixtures("owner")
def test_admin_form_has_the_same_limit_and_says_so() -> None:
    for _ in range(5):
        assert log_in(WRONG) == 401

    form = {"username": EMAIL, "password": PASSWORD}
    response = Client().post(reverse("admin:login"), form)

    assert "Too many attempts. Try again in" in response.content.decode()


@pytest.mark.alike
def test_body_that_is_refused_counts_nothing(anonymous: JSONClient) -> None:
    for path in ("login", "register", "forgot-password", "reset-password"):
        read_problem(anonymous.send("POST", f"/auth/{path}", {"email": "x"}), 422)

    assert not RateLimit.objects.exists()


@pytest.mark.alike
@pytest.mark.parametrize(
    ("path", "body", "status", "tries"),
    [
        ("register", {"email": EMAIL, "password": PASSWORD}, 409, 20),
        ("reset-password", {"token": "x", "new_password": PASSWORD}, 400, 10),
    ],
)
@pytest.mark.usefixtures("owner")
def test_other_limits_of_a_client_count_every_try(
    path: str, body: dict[str, str], status: int, tries: int, anonymous: JSONClient
) -> None:
    for _ in range(tries):
        read_problem(anonymous.send("POST", f"/auth/{path}", body), status)

    response = anonymous.send("POST", f"/auth/{path}", body)

    read_problem(response, 429)
    assert int(response.headers["Retry-After"]) > 0


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "path", ["login", "register", "forgot-password", "reset-password"]
)
def test_what_is_counted_is_in_no_transaction_of_the_request(path: str) -> None:
    view: Any = resolve(f"/api/v1/auth/{path}").func

    assert "default" in view._non_atomic_requests


@pytest.mark.django_db
def test_counters_hold_no_address_and_end() -> None:
    now = timezone.now()
    for number in range(30):
        limits.take(limits.LOGINS_OF_CLIENT, f"192.0.2.{number}", now=now)
    assert RateLimit.objects.count() == 30
    assert "192.0.2" not in str(list(RateLimit.objects.values_list("key", flat=True)))

    later = now + dt.timedelta(seconds=60)
    for number in range(4):
        limits.take(limits.LOGINS_OF_CLIENT, f"192.0.2.{number}", now=later)

    assert RateLimit.objects.count() == 4


@pytest.mark.django_db
def test_try_of_an_earlier_time_is_not_given_back_to_a_later_one() -> None:
    now, limit = timezone.now(), limits.Limit(name="x", tries=1, seconds=60)
    early = limits.take(limit, "somebody", now=now)
    limits.take(limit, "somebody", now=now + dt.timedelta(seconds=60))

    limits.give_back(early)

    with pytest.raises(RateLimitError) as refusal:
        limits.take(limit, "somebody", now=now + dt.timedelta(seconds=61))
    assert refusal.value.retry_after_s == 59


@pytest.mark.alike
def test_login_without_a_place_to_hash_is_told_to_come_again(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashers, "_places", BoundedSemaphore(1))

    with hashers.place_to_hash():
        for _ in range(12):
            response = JSONClient().send("POST", "/auth/login", RIGHT)
            assert "busy" in read_problem(response, 503)["detail"]
            assert response.headers["Retry-After"] == "2"

    assert log_in(RIGHT) == 200
    assert log_in(WRONG) == 401
    assert log_in(RIGHT) == 200


@pytest.mark.postgresql
@pytest.mark.usefixtures("transactional_db")
def test_login_hashes_without_a_connection_of_the_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_user(EMAIL, password=PASSWORD)
    hashpw, free = bcrypt.hashpw, []
    connection.close()
    wrapper: Any = connection  # of whose pool the stubs do not know

    def counted(password: bytes, salt: bytes) -> bytes:
        free.append(wrapper.pool.get_stats()["pool_available"])
        return hashpw(password, salt)

    with monkeypatch.context() as patch:
        patch.setattr(bcrypt, "hashpw", counted)
        patch.setitem(wrapper.settings_dict, "CONN_MAX_AGE", 0)
        one = {"min_size": 1, "max_size": 1}
        patch.setitem(wrapper.settings_dict["OPTIONS"], "pool", one)
        try:
            assert (log_in(RIGHT), log_in(WRONG)) == (200, 401)
        finally:
            wrapper.close()
            wrapper.close_pool()

    assert free == [1, 1]
