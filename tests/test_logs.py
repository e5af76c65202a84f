"""Each record is a line, says which request it belongs to, and holds no secret."""

from __future__ import annotations

import json
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import User
from accounts.tokens import token_issue
from tests.clients import JSONClient, read_problem
from tests.factories import make_bot
from tests.processes import ROOT, SECRETS, environment
from tradebot.logs import JSONFormatter, PlainFormatter
from tradebot.settings import _is_at_a_terminal as is_at_a_terminal


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What is logged, as JSON."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONFormatter())
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


def entries(log: StringIO, logger: str = "tradebot.access") -> list[dict[str, Any]]:
    found = [json.loads(line) for line in log.getvalue().splitlines()]
    return [entry for entry in found if entry["logger"] == logger]


@pytest.mark.alike
def test_request_is_logged_with_its_number_and_user(
    api: JSONClient, user: User, log: StringIO
) -> None:
    response = api.send("GET", "/auth/me?token=hunter2")

    (entry,) = entries(log)
    assert entry.pop("ms") >= 0
    assert entry.pop("time").endswith("+00:00")
    assert entry.pop("message").startswith("GET /api/v1/auth/me 200 in ")
    assert entry == {
        "level": "INFO",
        "logger": "tradebot.access",
        "request_id": response.headers["X-Request-ID"],
        "user_id": user.pk,
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/api/v1/auth/me",
        "status": 200,
    }


@pytest.mark.alike
def test_user_of_the_admin_is_logged(admin_client: Client, log: StringIO) -> None:
    admin_client.get("/admin/")

    assert entries(log)[-1]["user_id"] == User.objects.get().pk


@pytest.mark.alike
@pytest.mark.parametrize(
    ("given", "kept"),
    [("8d1f-A_z", True), ("", False), ("a b", False), ("x" * 65, False)],
)
def test_number_of_a_client_is_kept_where_it_can_be_one(given: str, kept: bool) -> None:
    found = Client().get("/health", headers={"X-Request-ID": given})

    assert (found.headers["X-Request-ID"] == given) is kept
    assert found.headers["X-Request-ID"]


@pytest.mark.alike
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/trades/0", 404), ("PATCH", "/auth/me", 405), ("POST", "/trades/", 422)],
)
def test_refusal_is_one_line(
    api: JSONClient, log: StringIO, method: str, path: str, status: int
) -> None:
    read_problem(api.send(method, path, {}), status)

    (line,) = log.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["logger"], entry["level"]) == ("tradebot.access", "WARNING")
    assert entry["status"] == status


@pytest.mark.alike
@pytest.mark.django_db
def test_path_cannot_forge_a_line(anonymous: JSONClient, log: StringIO) -> None:
    anonymous.send("GET", "/x%0Aforged")

    assert entries(log)[-1]["path"] == "/api/v1/x%0Aforged"


@pytest.mark.alike
@override_settings(ROOT_URLCONF="tests.api.test_problems")
def test_failure_is_logged_with_its_request_its_traceback_and_no_secret(
    user: User, log: StringIO
) -> None:
    make_bot(user)
    token = token_issue(user=user, remember=False, now=timezone.now())
    client = Client(
        raise_request_exception=False, headers={"Authorization": f"Bearer {token}"}
    )

    response = client.get("/api/v1/break/other?token=hunter2")

    (entry,) = entries(log, "django.request")
    assert entry["request_id"] == response.headers["X-Request-ID"]
    assert entry["level"] == "ERROR"
    assert "RuntimeError: the secret reason" in entry["exception"]
    assert "hunter2" not in log.getvalue()
    assert token not in log.getvalue()


@pytest.mark.alike
def test_secrets_that_are_sent_are_not_logged(
    api: JSONClient, anonymous: JSONClient, log: StringIO
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    secrets = {"api_key": "hunter2-key", "secret_key": "hunter2-secret"}
    credentials = {"email": "new@example.com", "password": "Hunter2-password!"}

    api.send("POST", "/api-keys/", secrets)
    api.send("POST", "/api-keys/", {**secrets, "label": 5})
    anonymous.send("POST", "/auth/register", credentials)
    anonymous.send("POST", "/auth/login", {**credentials, "password": "hunter2"})
    anonymous.send("POST", "/auth/reset-password", {"token": "hunter2-token"})

    logging.getLogger().setLevel(logging.INFO)
    assert len(entries(log)) == 5
    assert "hunter2" not in log.getvalue().lower()


@pytest.mark.alike
def test_plain_line_is_to_be_read() -> None:
    record = logging.LogRecord("bots", logging.INFO, "", 0, "stopped %s", (3,), None)
    formatter = PlainFormatter("{levelname} {name}: {message}", style="{")

    assert formatter.format(record) == "INFO bots: stopped 3"


def at_terminal(*arguments: str, **settings: str) -> str:
    """Run manage.py with its stderr at a terminal, and return what that shows."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        try:
            subprocess.run(
                [sys.executable, "manage.py", *arguments],
                cwd=ROOT,
                env=environment(**SECRETS, **settings),
                stdout=subprocess.DEVNULL,
                stderr=theirs,
                timeout=60,
                check=True,
            )
        finally:
            os.close(theirs)
        return screen.read(10_000).decode()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("settings", "is_json"), [({}, False), ({"LOG_FORMAT": "json"}, True)]
)
def test_command_at_a_terminal_logs_for_its_reader(
    settings: dict[str, str], is_json: bool
) -> None:
    code = "import logging; logging.getLogger('bots').warning('told')"

    line = at_terminal("shell", "--command", code, **settings)

    assert line.startswith('{"time":') is is_json
    assert ("WARNING bots: told" in line) is not is_json


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("command", "is_terminal", "is_plain"),
    [
        ("manage.py migrate", True, True),
        ("/app/manage.py halt --lift", True, True),
        ("manage.py migrate", False, False),
        ("manage.py runbots", True, False),
        ("manage.py runworker --slot 1", True, False),
        ("manage.py deliver_notifications", True, False),
        ("/app/.venv/bin/gunicorn -c x.py", True, False),
        ("celery worker", True, False),
        ("", True, False),
    ],
)
def test_servers_workers_and_pipes_log_json(
    command: str, is_terminal: bool, is_plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stderr = StringIO()
    stderr.isatty = lambda: is_terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stderr", stderr)
    monkeypatch.setattr(sys, "argv", command.split(" "))

    assert is_at_a_terminal() is is_plain
