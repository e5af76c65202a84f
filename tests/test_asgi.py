"""The server for event streams, as a real process."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.processes import SECRETS, Server, manage, serving

pytestmark = pytest.mark.sqlite
GUNICORN = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]
CREDENTIALS = {"email": "ada@example.com", "password": "Correct-Horse-7"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("asgi")
    settings = {**SECRETS, "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
    settings |= {"HTTPS_ONLY": "false", "WEB_CONCURRENCY": "1", "WEB_WORKER": "asgi"}
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
