"""A forgotten password: a link by mail, and a new one."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings
from django.utils import timezone

from accounts import resets
from accounts.models import User
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_user
from tests.processes import SECRETS, database_url, serving
from tests.smtp import MailServer, mail_server

FORGOT, RESET = "/auth/forgot-password", "/auth/reset-password"
EMAIL, PASSWORD, NEW = "owner@example.com", "correct Horse 4", "another Horse 5"


@pytest.fixture
def owner(db: None) -> User:
    return make_user(EMAIL, password=PASSWORD)


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    with (
        mail_server() as server,
        override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=server.server_address[1],
            EMAIL_TIMEOUT=10,
            FRONTEND_URL="https://bots.example.com",
        ),
    ):
        yield server


def sent() -> None:
    """Wait until what was asked for is sent."""
    resets._sender.submit(int).result(timeout=20)


def token_in(text: str) -> str:
    (token,) = re.findall(r"/reset-password\?token=([\w-]{43})\s", text)
    return str(token)


def mailed_token(email: str = EMAIL) -> str:
    resets.reset_send(email=email, now=timezone.now())
    return token_in(str(mail.outbox[-1].body))


@pytest.mark.usefixtures("shared_database")
def test_forgotten_password_is_mailed_a_link_that_sets_a_new_one(
    smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    user = make_user(EMAIL, password=PASSWORD)
    before = JSONClient(user)
    client = JSONClient()
    caplog.set_level(logging.DEBUG)

    answer = client.send("POST", FORGOT, {"email": "OWNER@example.com"})

    message = smtp.mails.get(timeout=20)
    sent()
    assert message["To"] == EMAIL
    assert message["From"] == "tradebot@localhost"
    token = token_in(str(message.get_payload()))
    user.refresh_from_db()
    assert user.reset_token == hashlib.sha256(token.encode()).hexdigest()
    body = {"token": token, "new_password": NEW}
    done = client.send("POST", RESET, body)
    assert set(read(done)) == {"message"}
    assert token not in f"{answer.content!r}{done.content!r}{caplog.text}"
    user.refresh_from_db()
    assert {user.reset_token, user.reset_token_expires} == {None}

    read_problem(before.send("GET", "/auth/me"), 401)
    login = {"email": EMAIL, "password": PASSWORD}
    read_problem(client.send("POST", "/auth/login", login), 401)
    session = read(client.send("POST", "/auth/login", {**login, "password": NEW}))
    headers = {"Authorization": f"Bearer {session['access_token']}"}
    read(client.send("GET", "/auth/me", headers=headers))
    read_problem(client.send("POST", RESET, body), 400)


@pytest.mark.alike
@pytest.mark.usefixtures("shared_database")
def test_forgotten_password_is_answered_alike_and_at_once_for_everybody(
    smtp: MailServer,
) -> None:
    make_user(EMAIL, password=PASSWORD)
    make_user("inactive@example.com", is_active=False)
    smtp.open.clear()  # a mail server that does not answer

    began = time.monotonic()
    answers = [
        read(JSONClient().send("POST", FORGOT, {"email": email}))
        for email in (EMAIL, "inactive@example.com", "nobody@example.com")
    ]

    assert answers[1:] == answers[:-1]
    assert time.monotonic() - began < 5
    assert smtp.mails.empty()
    smtp.open.set()
    sent()
    assert smtp.mails.get(timeout=20)["To"] == EMAIL
    assert smtp.mails.empty()


@pytest.mark.alike
@pytest.mark.usefixtures("shared_database")
def test_mail_that_is_refused_is_logged_without_address_and_token(
    smtp: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    make_user(EMAIL, password=PASSWORD)
    smtp.refuses = "550 no such user"

    read(JSONClient().send("POST", FORGOT, {"email": EMAIL}))
    sent()

    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert "SMTPRecipientsRefused" in record.getMessage()
    assert record.exc_info is None
    assert EMAIL not in caplog.text


@pytest.mark.long
def test_mail_that_waits_is_sent_before_the_server_ends(
    tmp_path: Path, migrated_database: BaseDatabaseWrapper
) -> None:
    User.objects.using(migrated_database.alias).create(email=EMAIL, password="!")
    name = migrated_database.settings_dict["NAME"]
    sqlite = migrated_database.vendor == "sqlite"
    url = f"sqlite:///{name}" if sqlite else database_url(migrated_database)
    command = [sys.executable, "-m", "gunicorn", "-c", "tradebot/gunicorn_config.py"]
    with mail_server() as smtp:
        smtp.open.clear()
        settings = {
            **SECRETS,
            "HTTPS_ONLY": "false",
            "DATABASE_URL": url,
            "EMAIL_URL": smtp.url,
            "DEFAULT_FROM_EMAIL": "TradeBot <bots@example.com>",
            "FRONTEND_URL": "https://bots.example.com",
        }
        with serving(tmp_path, command, **settings) as server:
            assert server.get("/health").status == 200
            http = HTTPConnection("127.0.0.1", server.port, timeout=30)
            headers = {"Content-Type": "application/json"}
            body = f'{{"email": "{EMAIL}"}}'
            http.request("POST", "/api/v1/auth/forgot-password", body, headers)
            assert http.getresponse().status == 200
            http.close()
            server.process.terminate()
            time.sleep(1)
            smtp.open.set()
            assert server.process.wait(timeout=30) == 0
            token = token_in(str(smtp.mails.get(timeout=1).get_payload()))
            assert token not in server.log


@pytest.mark.alike
def test_forgotten_password_without_mail_server_is_refused(
    anonymous: JSONClient, owner: User
) -> None:
    off = "django.core.mail.backends.dummy.EmailBackend"
    with override_settings(EMAIL_BACKEND=off):
        problem = read_problem(anonymous.send("POST", FORGOT, {"email": EMAIL}), 503)

    assert "EMAIL_URL" in problem["detail"]
    owner.refresh_from_db()
    assert owner.reset_token is None


@pytest.mark.alike
def test_new_link_replaces_the_one_before(anonymous: JSONClient, owner: User) -> None:
    first, second = mailed_token(), mailed_token(owner.email.upper())

    for token, status in ((first, 400), (second, 200), (second, 400)):
        body = {"token": token, "new_password": NEW}
        assert anonymous.send("POST", RESET, body).status_code == status


@pytest.mark.alike
@pytest.mark.usefixtures("owner")
def test_link_expires_after_an_hour(anonymous: JSONClient) -> None:
    body = {"token": mailed_token(), "new_password": NEW}

    with time_machine.travel(timezone.now() + dt.timedelta(hours=1)):
        read_problem(anonymous.send("POST", RESET, body), 400)
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=59)):
        read(anonymous.send("POST", RESET, body))


@pytest.mark.alike
def test_link_is_void_once_the_password_was_changed_otherwise(
    anonymous: JSONClient, owner: User
) -> None:
    body = {"token": mailed_token(), "new_password": NEW}
    owner.set_password("a third Horse 6")
    owner.save()

    read_problem(anonymous.send("POST", RESET, body), 400)


@pytest.mark.alike
def test_link_of_a_user_who_is_inactive_by_now_is_useless(
    anonymous: JSONClient, owner: User
) -> None:
    body = {"token": mailed_token(), "new_password": NEW}
    User.objects.update(is_active=False)

    assert (
        "inactive" in read_problem(anonymous.send("POST", RESET, body), 400)["detail"]
    )
    User.objects.update(is_active=True)
    assert User.objects.get().check_password(PASSWORD)


@pytest.mark.usefixtures("shared_database")
def test_link_used_twice_at_once_works_once() -> None:
    make_user(EMAIL, password=PASSWORD)
    token = mailed_token()

    def reset(number: int) -> int:
        try:
            body = {"token": token, "new_password": f"{NEW}{number}"}
            return JSONClient().send("POST", RESET, body).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        codes = list(threads.map(reset, range(4)))

    assert sorted(codes) == [200, 400, 400, 400]
    assert User.objects.get().check_password(f"{NEW}{codes.index(200)}")


@pytest.mark.alike
@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"token", "new_password"}),
        ({"token": "", "new_password": NEW}, {"token"}),
        ({"token": "x\0", "new_password": NEW}, {"token"}),
        ({"token": "x", "new_password": "secret"}, {"new_password"}),
        ({"token": "x", "new_password": f"{NEW}\0"}, {"new_password"}),
        ({"token": "x", "new_password": "Ü1!a" * 19}, {"new_password"}),
        ({"token": 5, "new_password": None}, {"token", "new_password"}),
    ],
)
def test_reset_bad_input_is_refused_without_echo(
    anonymous: JSONClient, body: dict[str, object], fields: set[str]
) -> None:
    response = anonymous.send("POST", RESET, body)

    assert broken_fields(response) == fields
    assert b"secret" not in response.content


@pytest.mark.alike
@pytest.mark.parametrize("body", [{}, {"email": "nobody"}, {"email": None}, []])
def test_forgotten_password_bad_input_is_refused(
    anonymous: JSONClient, body: object
) -> None:
    assert broken_fields(anonymous.send("POST", FORGOT, body)) <= {"email", "body"}


@pytest.mark.alike
@pytest.mark.parametrize("path", [FORGOT, RESET])
def test_reset_wrong_method_is_refused(anonymous: JSONClient, path: str) -> None:
    read_problem(anonymous.send("GET", path), 405)
