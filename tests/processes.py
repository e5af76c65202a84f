"""The program as operators start it: real processes, with settings of their own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from django.db.backends.base.base import BaseDatabaseWrapper

ROOT = Path(__file__).resolve().parent.parent
PATH = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}"
SECRETS = {
    "SECRET_KEY": "tests only: fifty characters or more, or Django would warn",
    "JWT_SECRET": "tests only: a signing key of more than 64 bytes, as HS512 wants it",
    "FERNET_KEYS": "dGVzdHMgb25seTogbm90IGEgc2VjcmV0IG9mIGFueSE=",
}


def environment(**settings: str) -> dict[str, str]:
    """Return an environment with these settings and nothing of this process's."""
    return {"PATH": PATH, "ENV_FILE": os.devnull, **settings}


def manage(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def database_url(connection: BaseDatabaseWrapper, **instead: str) -> str:
    """Return the URL of a PostgreSQL database, on a port or on a socket.

    ``instead`` are parameters that differ from those of the connection.
    """
    parameters = {**connection.get_connection_params(), **instead}
    query = {
        name: parameters[name]
        for name in ("host", "port", "user", "password")
        if parameters.get(name)
    }
    return f"postgres:///{quote(parameters['dbname'])}?{urlencode(query)}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server that was started; its output goes to ``log``."""

    def __init__(
        self, process: subprocess.Popen[bytes], port: int, log_file: Path
    ) -> None:
        self.process = process
        self.port = port
        self._log_file = log_file

    @property
    def log(self) -> str:
        return self._log_file.read_text()

    def get(self, path: str) -> http.client.HTTPResponse:
        """Answer a GET, as soon as the server listens."""
        until = time.monotonic() + 30
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                response.read()
                return response
            except ConnectionRefusedError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise AssertionError(f"it does not serve:\n{self.log}") from None
                time.sleep(0.1)
            finally:
                connection.close()

    def stop(self) -> int:
        """Ask it to end, as systemd and Docker do; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def serving(folder: Path, command: list[str], **settings: str) -> Iterator[Server]:
    """Start a server on a free port; whatever is left of it ends with the block."""
    port = free_port()
    log_file = folder / "server.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(
                **{
                    "BIND": f"127.0.0.1:{port}",
                    # Most tests care for the server alone.
                    "BACKTEST_WORKERS": "0",
                    "BOT_RUNNERS": "0",
                    **settings,
                }
            ),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Server(process, port, log_file)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
