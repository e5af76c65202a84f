"""From nothing to a server that answers: the entrypoint and ``make run``."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import (
    ROOT,
    SECRETS,
    Server,
    database_url,
    free_port,
    manage,
    serving,
)

COMMAND = ["tradebot/entrypoint.sh"]
SETTINGS = {**SECRETS, "HTTPS_ONLY": "false"}


def log_in_request(server: Server, email: str, password: str) -> tuple[bytes, bytes]:
    """Return head and body of a log-in to the admin, with the form's own token."""
    response = server.get("/admin/login/")
    assert response.status == 200
    cookie = re.search(r"csrftoken=(\w+)", response.headers["Set-Cookie"])
    assert cookie is not None
    form = {"csrfmiddlewaretoken": cookie[1], "username": email, "password": password}
    body = urlencode(form).encode()
    head = (
        f"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Cookie: csrftoken={cookie[1]}\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode(), body


def answer(connection: socket.socket) -> http.client.HTTPResponse:
    response = http.client.HTTPResponse(connection)
    response.begin()
    response.read()
    return response


@pytest.mark.postgresql
def test_entrypoint_migrates_and_serves_then_starts_again(
    tmp_path: Path, empty_database: BaseDatabaseWrapper
) -> None:
    settings = {**SETTINGS, "DATABASE_URL": database_url(empty_database)}
    with serving(tmp_path, COMMAND, **settings) as server:
        assert server.get("/health").status == 200
        assert server.get("/admin/login/?token=hunter2").status == 200
        assert server.stop() == 0
        log = server.log
    assert "Applying accounts." in log
    assert f"Admin: http://127.0.0.1:{server.port}/admin/" in log
    assert f"Documents: http://127.0.0.1:{server.port}/docs" in log
    assert f"API: http://127.0.0.1:{server.port}/api/v1/" in log
    assert '"method":"GET","path":"/admin/login/","status":200' in log
    assert "hunter2" not in log
    assert not [name for name, secret in SECRETS.items() if secret in log]
    assert "Traceback" not in log

    with serving(tmp_path, COMMAND, **settings) as server:
        assert server.get("/health").status == 200
        assert server.stop() == 0
        assert "No migrations to apply." in server.log
        assert "Applying" not in server.log


@pytest.mark.long
@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_entrypoint_at_sigterm_answers_the_request_in_flight(
    kind: str, tmp_path: Path, empty_database: BaseDatabaseWrapper
) -> None:
    settings = {
        **SETTINGS,
        "DATABASE_URL": database_url(empty_database),
        "WEB_WORKER": kind,
    }
    with serving(tmp_path, COMMAND, **settings) as server:
        head, body = log_in_request(server, "nobody@example.com", "wrong")
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(head + body[:10])
            time.sleep(0.5)  # the view is waiting for the rest
            server.process.terminate()
            time.sleep(1)
            assert server.process.poll() is None
            client.sendall(body[10:])
            assert answer(client).status == 200  # the form, with its error
        assert server.process.wait(timeout=10) == 0


@pytest.mark.postgresql
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_server_at_sigterm_answers_all_who_have_connected(
    kind: str, tmp_path: Path, migrated_database: BaseDatabaseWrapper
) -> None:
    settings = {
        **SETTINGS,
        "BACKTEST_WORKERS": "0",
        "DATABASE_URL": database_url(migrated_database),
        "WEB_WORKER": kind,
    }
    with serving(tmp_path, COMMAND, **settings) as server:
        server.get("/health")

        def ask_until_refused(_: int) -> list[int]:
            statuses: list[int] = []
            while True:
                http = HTTPConnection("127.0.0.1", server.port, timeout=30)
                try:
                    http.connect()
                except ConnectionRefusedError:
                    return statuses
                with closing(http), suppress(ConnectionResetError):
                    statuses.append(0)
                    http.request("GET", "/health", headers={"Connection": "close"})
                    statuses[-1] = http.getresponse().status

        with ThreadPoolExecutor(8) as threads:
            asked = threads.map(ask_until_refused, range(8))
            time.sleep(1)
            server.process.terminate()
            statuses = [status for each in asked for status in each]
        assert server.process.wait(timeout=30) == 0
    assert statuses.count(200) > 8
    # Who connects between the last look and the close: a matter of microseconds.
    assert statuses.count(0) <= 1


def test_entrypoint_without_database_server_stops_with_one_sentence(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"postgres://someone:hunter2@127.0.0.1:{port}/bots"
    settings = {**SETTINGS, "DATABASE_URL": url, "DATABASE_WAIT_S": "0"}
    with serving(tmp_path, COMMAND, **settings) as server:
        assert server.process.wait(timeout=30) == 10
    assert server.log == (
        f"CommandError: Cannot reach database bots on 127.0.0.1 port {port} as user "
        "someone: Connection refused. Start the database server, or correct host and "
        "port in DATABASE_URL.\n"
    )


@pytest.mark.postgresql
def test_entrypoint_without_database_stops_with_one_sentence(
    tmp_path: Path, empty_database: BaseDatabaseWrapper
) -> None:
    name = str(empty_database.settings_dict["NAME"])
    url = database_url(empty_database).replace(name, "no_such")
    with serving(tmp_path, COMMAND, **SETTINGS, DATABASE_URL=url) as server:
        assert server.process.wait(timeout=30) == 14
    assert server.log.startswith("CommandError: Cannot use database no_such on ")
    assert server.log.count("\n") == 1


def test_entrypoint_with_a_command_waits_for_the_schema_and_becomes_it(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path / 'bots.sqlite3'}"
    settings = {**SETTINGS, "DATABASE_URL": url}
    command = [*COMMAND, "python", "-c", "import sys; print('at work'); sys.exit(7)"]
    with serving(tmp_path, command, **settings) as worker:
        until = time.monotonic() + 30
        while "Run migrate. Waiting for that" not in worker.log:
            assert time.monotonic() < until, worker.log
            time.sleep(0.1)
        assert manage("migrate", **settings).returncode == 0
        assert worker.process.wait(timeout=30) == 7
    assert worker.log.endswith("at work\n")
    assert "Applying" not in worker.log


@pytest.mark.long
def test_entrypoint_at_busy_port_stops_with_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        settings = {
            **SETTINGS,
            "DATABASE_URL": f"sqlite:///{tmp_path / 'bots.sqlite3'}",
            "BIND": address,
        }
        with serving(tmp_path, COMMAND, **settings) as server:
            assert server.process.wait(timeout=30) == 1
    assert f"Cannot listen on {address}: Address already in use." in server.log
    assert "Traceback" not in server.log


@pytest.mark.sqlite
def test_make_run_on_a_new_checkout_lets_its_admin_in(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    private = shutil.ignore_patterns(".*_cache", ".env", ".git", ".venv", "*.sqlite3*")
    shutil.copytree(ROOT, tree, ignore=private)
    # The packages are those of this run: installing them is not what is tested.
    (tree / ".venv").symlink_to(sys.prefix)
    command = ["make", "-C", str(tree), "--old-file=.venv/run", "run"]
    env_file = tree / ".env"

    with serving(tmp_path, command, ENV_FILE=str(env_file)) as server:
        server.get("/admin/login/")
        shown = re.search(r"E-mail: +(\S+)\n  Password: (\S+) \(", server.log)
        assert shown is not None
        head, body = log_in_request(server, *shown.groups())
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(head + body)
            response = answer(client)
        assert response.status == 302
        assert response.headers["Location"] == "/accounts/profile/"
    assert env_file.stat().st_mode & 0o777 == 0o600
    written = env_file.read_text()
    stored = [path.read_bytes() for path in tree.glob("*.sqlite3*")]
    assert stored
    assert not [data for data in stored if shown[2].encode() in data]

    with serving(tmp_path, command, ENV_FILE=str(env_file)) as server:
        assert server.get("/admin/login/").status == 200
        assert "kept as it is" in server.log
        assert "No migrations to apply." in server.log
        assert "Password" not in server.log
    assert env_file.read_text() == written
