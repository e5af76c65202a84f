"""Both servers, for event streams and with threads, as real processes."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin

from tests.processes import SECRETS, Server, manage, serving

pytestmark = pytest.mark.sqlite
GUNICORN = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]
CREDENTIALS = {"email": "ada@example.com", "password": "Correct-Horse-7"}


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    settings = {**SECRETS, "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
    settings |= {"HTTPS_ONLY": "false", "WEB_CONCURRENCY": "1"}
    settings["WEB_WORKER"] = request.param
    assert manage("migrate", "--verbosity", "0", **settings).returncode == 0
    with serving(folder, GUNICORN, **settings) as server:
        assert server.get("/health").status == 200
        yield server


def post_in_chunks(server: Server, path: str, chunks: list[bytes]) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", path, iter(chunks), headers, encode_chunked=True)
    response = connection.getresponse()
    content = json.loads(response.read())
    connection.close()
    return response.status, content


def test_chunked_body_is_read(server: Server) -> None:
    whole = json.dumps(CREDENTIALS).encode()

    path = "/api/v1/auth/register"
    status, answer = post_in_chunks(server, path, [whole[:9], whole[9:]])

    assert (status, answer["email"]) == (201, "ada@example.com")


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", "Content-Length: %d"])
def test_body_that_is_too_large_is_refused_unread(server: Server, header: str) -> None:
    """It is refused while its end is yet to come, which it never does."""
    size = 1_100_000
    head = f"POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\n{header}\r\n"
    head = head.replace("%d", str(10 * size)) + "Content-Type: application/json\r\n\r\n"
    first = b"%x\r\n" % size + b" " * size + b"\r\n" if "chunked" in header else b"{"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode() + first)
        response = http.client.HTTPResponse(client)
        response.begin()
        problem = json.loads(response.read())
        assert (response.status, problem["status"]) == (413, 413)
        assert response.headers["Content-Type"] == "application/problem+json"
        assert client.recv(1) == b"", "the connection is left open"


def ask_raw(server: Server, request: bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of all that is answered until the end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(request)
        received = b""
        while part := client.recv(65_536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    return head.lower(), body


def get(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"NONSENSE\r\n\r\n", b"400"),
        (get("/health", "X: a\0b"), b"400"),
        (get("/health", "Content-Length: 1", "Content-Length: 2"), b"400"),
        (get("/api/v1/auth/me").replace(b"localhost", b"elsewhere.example"), b"400"),
        (get("/api/v1/%ff%fe/"), b"404"),
        (get("/api/v1/auth/me", "Authorization: Bearer é"), b"401"),
    ],
)
def test_odd_request_gets_its_status(
    server: Server, request_: bytes, status: bytes
) -> None:
    head, _ = ask_raw(server, request_)

    assert head.split()[1] in status.split()


def test_head_has_the_length_and_no_body(server: Server) -> None:
    head, body = ask_raw(server, get("/health").replace(b"GET", b"HEAD"))

    assert b"content-length: 49" in head
    assert body == b""


def test_requests_that_do_not_wait_are_answered_in_order(server: Server) -> None:
    first = get("/api/v1/auth/me").replace(b"Connection: close\r\n", b"")

    head, rest = ask_raw(server, first + get("/health"))

    assert b" 401 " in head
    assert b" 200 " in rest


def test_file_is_sent_whole(server: Server) -> None:
    expected = Path(admin.__file__).parent / "static/admin/css/base.css"

    _, body = ask_raw(server, get("/static/admin/css/base.css"))

    assert body == expected.read_bytes()


# Makes a worker slow to begin, in the hook that is named; it tells when it gets there.
SLOW = """
import os, pathlib, time
from tradebot import gunicorn_config
from tradebot.gunicorn_config import *

def take_time(hook):
    if hook == os.environ["SLOW"]:
        pathlib.Path(os.environ["BEGUN"]).touch()
        time.sleep(0.5)

def post_fork(server, worker):
    take_time("post_fork")
    gunicorn_config.post_fork(server, worker)

def post_worker_init(worker):
    take_time("post_worker_init")
"""


@pytest.mark.parametrize(
    ("worker", "hook"),
    [("asgi", "post_worker_init"), ("wsgi", "post_fork")],
)
def test_worker_that_is_told_to_end_while_it_begins_ends(
    tmp_path: Path, worker: str, hook: str
) -> None:
    """Not after the 30 seconds that requests may take."""
    config, begun = tmp_path / "slow.py", tmp_path / "begun"
    config.write_text(SLOW)
    settings = {**SECRETS, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    settings |= {"WEB_CONCURRENCY": "1", "WEB_WORKER": worker}
    settings |= {"SLOW": hook, "BEGUN": str(begun)}
    assert manage("migrate", "--verbosity", "0", **settings).returncode == 0
    with serving(tmp_path, ["gunicorn", "-c", str(config)], **settings) as server:
        until = time.monotonic() + 20
        while not begun.exists():
            assert time.monotonic() < until, server.log
            time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(timeout=15) == 0


def test_workers_beside_the_server_give_way_to_it(tmp_path: Path) -> None:
    settings = {**SECRETS, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    settings |= {"WEB_CONCURRENCY": "1", "BACKTEST_WORKERS": "2"}
    assert manage("migrate", "--verbosity", "0", **settings).returncode == 0
    with serving(tmp_path, GUNICORN, **settings) as server:
        server.get("/health")
        until = time.monotonic() + 20
        nicer = min(os.nice(0) + 10, 19)
        while (found := priorities(server, "runworker")) != [nicer, nicer]:
            assert time.monotonic() < until, found
            time.sleep(0.1)


def priorities(server: Server, command: str) -> list[int]:
    """Return how nice the children of a server are that run this command."""
    threads = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [
        os.getpriority(os.PRIO_PROCESS, int(child))
        for children in threads
        for child in children.read_text().split()
        if command in Path(f"/proc/{child}/cmdline").read_text()
    ]


@pytest.mark.parametrize("worker", ["asgi", "wsgi"])
def test_kept_connection_is_answered_to_its_end(tmp_path: Path, worker: str) -> None:
    """Who asks again and again is told in time to do so elsewhere."""
    settings = {**SECRETS, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    settings |= {"WEB_CONCURRENCY": "1", "WEB_WORKER": worker}
    assert manage("migrate", "--verbosity", "0", **settings).returncode == 0
    with serving(tmp_path, GUNICORN, **settings) as server:
        server.get("/health")
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        is_last, asked = False, 0
        while not is_last:
            client.request("GET", "/health")
            with client.getresponse() as response:
                assert (response.status, len(response.read())) == (200, 49)
                is_last = response.will_close
            asked += 1
            if asked == 3:
                server.process.send_signal(signal.SIGTERM)
            time.sleep(0.05)  # so that it waits for nothing when the server ends

        assert asked > 3
        assert server.process.wait(timeout=20) == 0
