"""Both servers behind the proxy of docker-compose.yml, as real processes."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.factories import BOT
from tests.processes import PATH, ROOT, SECRETS, Server, free_port, manage, serving

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.skipif(
        shutil.which("nginx", path=f"{PATH}:/usr/sbin") is None,
        reason="nginx is not installed",
    ),
]
GUNICORN = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]
CREDENTIALS = {"email": "ada@example.com", "password": "Correct-Horse-7"}


@contextmanager
def nginx(folder: Path, web: Server, stream: Server) -> Iterator[int]:
    """Run nginx with the file of compose, but for addresses; yield its port."""
    port = free_port()
    config = (ROOT / "tradebot" / "nginx.conf").read_text()
    for pattern, replacement in (
        (r"resolver .*;", ""),
        (r"\bweb:8000", f"127.0.0.1:{web.port}"),
        (r"\bstream:8000", f"127.0.0.1:{stream.port}"),
        (r"listen 8080", f"listen 127.0.0.1:{port}"),
        (r"/tmp/", f"{folder}/"),  # noqa: S108  # what the file says
    ):
        config, found = re.subn(pattern, replacement, config)
        assert found, pattern
    file = folder / "nginx.conf"
    file.write_text(config)
    folder.chmod(0o755)  # for the worker, which is another user where we are root
    binary = shutil.which("nginx", path=f"{PATH}:/usr/sbin")
    assert binary is not None
    process = subprocess.Popen([binary, "-c", str(file), "-g", "daemon off;"])
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)


class Client:
    """A client of the API behind the proxy."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.headers = {"Content-Type": "application/json", "Connection": "close"}

    def open(
        self, method: str, path: str, body: Any = None
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        content = None if body is None else json.dumps(body)
        connection.request(method, f"/api/v1{path}", content, self.headers)
        return connection.getresponse()  # which closes it

    def send(self, method: str, path: str, body: Any = None) -> Any:
        with self.open(method, path, body) as response:
            content = response.read()
        assert response.status < 300, content
        return json.loads(content)


def read_problem(response: http.client.HTTPResponse, status: int) -> None:
    """Read an answer of the proxy itself."""
    with response:
        content = json.loads(response.read())
    assert (response.status, content["status"]) == (status, status)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert ("Retry-After" in response.headers) == (status == 502)


def test_streams_and_requests_go_where_they_are_served(tmp_path: Path) -> None:
    settings = {**SECRETS, "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
    settings |= {"HTTPS_ONLY": "false", "WEB_CONCURRENCY": "1"}
    assert manage("migrate", "--verbosity", "0", **settings).returncode == 0
    folders = [tmp_path / name for name in ("web", "stream", "proxy")]
    for folder in folders:
        folder.mkdir()
    with (
        serving(folders[0], GUNICORN, WEB_WORKER="wsgi", **settings) as web,
        serving(folders[1], GUNICORN, WEB_WORKER="asgi", **settings) as stream,
        nginx(folders[2], web, stream) as port,
    ):
        assert web.get("/health").status == stream.get("/health").status == 200
        client = Client(port)
        client.send("POST", "/auth/register", CREDENTIALS)
        session = client.send("POST", "/auth/login", CREDENTIALS)
        client.headers["Authorization"] = f"Bearer {session['access_token']}"
        bot = client.send("POST", "/bot-configs", BOT)["id"]

        began = time.monotonic()
        events = client.open("GET", f"/bots/{bot}/status-stream")
        assert events.status == 200
        assert events.headers["Cache-Control"] == "no-cache"
        assert events.readline() == b"retry: 3000\n"
        events.readline()
        assert events.readline().startswith(b"id: ")
        assert json.loads(events.readline().removeprefix(b"data: "))["daily_pnl"] == 0
        assert time.monotonic() - began < 5, "the proxy keeps events back"

        events.readline()
        state = {"bot_config_id": bot, "status": "waiting (no signal)"}
        client.send("POST", "/bot-states", state)
        events.readline()
        assert b'"status":"waiting (no signal)"' in events.readline()

        began = time.monotonic()
        assert stream.stop() == 0, stream.log
        assert time.monotonic() - began < 10, "an open stream holds the server up"
        events.close()

        read_problem(client.open("GET", f"/bots/{bot}/status-stream"), 502)
        read_problem(client.open("GET", "/trades/?x=" + "y" * 9000), 414)
        long = client.open("GET", "/trades/?symbol=" + "y" * 8000)
        assert long.status in {200, 422}, long.read()
        long.close()
        too_large = "x" * 2_100_000
        read_problem(client.open("POST", "/auth/login", too_large), 413)
        assert "Traceback" not in stream.log + web.log
