"""How gunicorn serves: ``gunicorn -c tradebot/gunicorn_config.py``.

What differs between installations are settings: BIND, WEB_WORKER, WEB_CONCURRENCY,
WEB_THREADS.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from tradebot.gunicorn_worker import hold_signals

try:
    from tradebot.settings import (
        BACKTEST_WORKERS,
        BASE_DIR,
        BIND,
        BOT_RUNNERS,
        DATABASES,
        LOGGING,
        METRICS_TOKEN,
        WEB_CONCURRENCY,
        WEB_THREADS,
        WEB_WORKER,
    )
except ImproperlyConfigured as error:
    sys.exit(f"TradeBot is not configured: {error}")

if DATABASES["default"]["NAME"] == ":memory:":
    sys.exit(
        "DATABASE_URL names a database in memory, which each worker would have for "
        "itself. Name a file, for example DATABASE_URL=sqlite:///tradebot.sqlite3"
    )


bind = BIND
workers = WEB_CONCURRENCY
if WEB_WORKER == "asgi":
    wsgi_app = "tradebot.asgi"
    worker_class = "tradebot.gunicorn_worker.ASGIWorker"
else:
    wsgi_app = "tradebot.wsgi"
    worker_class = "tradebot.gunicorn_worker.WSGIWorker"
    threads = WEB_THREADS
    # A socket for each worker, among which the system shares out who connects: at one
    # for all, whichever worker wakes first would take most of them.
    reuse_port = not BIND.startswith("unix:")
# Of asgi: as long as the proxy takes them, which tells better what is wrong. wsgi takes
# longer ones.
limit_request_line = 8190  # bytes, the most that gunicorn takes
# Requests in flight at a SIGTERM may end; compose waits longer than this.
graceful_timeout = 30
# The workers' heartbeat: in memory, and writable where the root is read-only.
_MEMORY = "/dev/shm"  # noqa: S108 -- files there are made exclusively and unlinked
worker_tmp_dir = _MEMORY if os.access(_MEMORY, os.W_OK) else None
# One more socket in the home directory, which the container does not have.
control_socket_disable = True
# Requests are logged where their user is known: tradebot/logs.py.
accesslog = None
logconfig_dict = LOGGING


def _figures() -> str:
    """Return a folder of this process for the figures of its workers, empty at first.

    The one that it has already where it reads this file again.
    """
    mine = f"tradebot-{os.getpid()}-"
    given = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
    return given if Path(given).name.startswith(mine) else tempfile.mkdtemp(prefix=mine)


# Before anything loads prometheus_client, which looks for it then.
if METRICS_TOKEN is not None:
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = _figures()


def on_starting(server: Any) -> None:
    """Stop where it could not serve: at an address not to be had, on another schema,
    with exchange credentials of which it can read none.
    """
    _check_address(server)
    _check_schema(server)
    _check_credentials(server)


def _check_schema(server: Any) -> None:
    # Imported here: they need Django to be set up.
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradebot.settings")
    django.setup()
    from django.db import DatabaseError, connection

    from tradebot.schema.faults import PreflightError
    from tradebot.schema.version import read_version

    try:
        version = read_version(connection)
    except PreflightError as error:
        sys.exit(f"Not served: {error}")
    except DatabaseError as error:
        reason = str(error).partition("\n")[0]
        sys.exit(f"The database cannot be used: {reason}. Check DATABASE_URL.")
    finally:
        connection.close()  # or the workers would share it
    if version.missing:
        sys.exit(f"Not served: {version}")
    if version.unknown:
        server.log.warning("%s", version)


def _check_credentials(server: Any) -> None:
    # Imported here: they need Django to be set up.
    from django.db import connection
    from django.utils.module_loading import import_string

    try:
        # By name, as in urls.py: tradebot imports no app.
        sample = import_string("apikeys.rotation.take_sample")()
    finally:
        connection.close()
    if not sample.any_key_readable:
        sys.exit(
            "Not served: none of the stored exchange credentials can be read with "
            "FERNET_KEYS. Set it to the key that they have: manage.py rotate_keys "
            "--dry-run shows whether it is the right one. If it is lost, delete them: "
            "manage.py rotate_keys --delete ID …"
        )
    for table, lost in sample.unreadable.items():
        server.log.error(
            "Of the newest secrets of %s %s cannot be read with any of FERNET_KEYS: "
            "%s%s. manage.py rotate_keys --dry-run lists all.",
            table,
            len(lost),
            ", ".join(map(str, lost[:20])),
            ", …" if len(lost) > 20 else "",
        )


def _check_address(server: Any) -> None:
    # gunicorn itself would try for five seconds.
    if server.master_pid:  # takes the sockets over from the server it replaces
        return
    for host, port in server.address:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                sys.exit(
                    f"Cannot listen on {BIND}: {error.strerror}. Stop what listens "
                    "there or set BIND to another address and port, for example "
                    f"BIND=127.0.0.1:{port + 1}"
                )


class _Beside:
    """Processes of commands beside the server: begun again when they end."""

    def __init__(self, commands: list[str]) -> None:
        self._ending = threading.Event()
        self._beginning = threading.Lock()  # none begins once they are ending
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        for number, command in enumerate(commands):
            arguments = (number, command)
            threading.Thread(target=self._keep, args=arguments, daemon=True).start()

    def end(self) -> None:
        with self._beginning:
            self._ending.set()
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            process.wait()

    def _keep(self, number: int, name: str) -> None:
        options = [f"--with-parent={os.getpid()}"]
        command = [sys.executable, str(BASE_DIR / "manage.py"), name, *options]
        while True:
            with self._beginning:
                if self._ending.is_set():
                    return
                # By posix_spawn, which these options let it take: a server that is
                # forked at this moment would keep the pipe open on which it waits.
                process = subprocess.Popen(command, close_fds=False)  # noqa: S603  # ours
                self._processes[number] = process
            process.wait()
            self._ending.wait(1)


_beside: list[_Beside] = []


def on_exit(server: Any) -> None:
    for beside in _beside:
        beside.end()
    if METRICS_TOKEN is not None:
        shutil.rmtree(_figures(), ignore_errors=True)


def post_fork(server: Any, worker: Any) -> None:
    hold_signals(server)


def when_ready(server: Any) -> None:
    workers, runners = ["runworker"] * BACKTEST_WORKERS, ["runbots"] * BOT_RUNNERS
    _beside.append(_Beside([*workers, *runners]))
    host, _, port = BIND.rpartition(":")
    site = f"http://{'localhost' if host in ('0.0.0.0', '[::]') else host}:{port}"  # noqa: S104 -- compared, not bound
    server.log.info("Admin: %s/admin/", site)
    server.log.info("Documents: %s/docs", site)
    server.log.info("API: %s/api/v1/", site)
