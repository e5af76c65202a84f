"""One migration runner at a time.

Every container migrates when it starts. The first one takes a lock and works, the
others wait for it, saying whom they wait for, and then find nothing left to do.

On PostgreSQL the lock is an advisory one held by the very session that runs the
migrations: when the runner dies, its last statement and its lock end together, so a
successor never works beside it. It is polled for, not waited for: a session that waits
inside a statement holds a snapshot, for which CREATE INDEX CONCURRENTLY would wait in
turn. On SQLite it is a lock on a file beside the database.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.errors import TradeBotError

Say = Callable[[str], None]

# The key of the advisory lock: any pair of numbers does, if it stays.
KEY = (0x54524144, 0x6D696772)
APPLICATION = "tradebot migrate"
_POLL_S = (0.05, 0.2)  # drawn between these, so that waiters do not ask in step
_REPEAT_S = 10.0  # between two messages about the same holder
# How long a holder may neither run a statement nor begin a new one.
IDLE_LIMIT_S = 300.0
# After this time the server notices that a client is gone, and ends its statement.
CLIENT_CHECK = "100ms"
# The limits that are meant for requests: an index build takes its time.
LIFT_LIMITS = (
    "SET statement_timeout = 0; SET idle_session_timeout = 0; "
    "SET idle_in_transaction_session_timeout = 0"
)


class LockError(TradeBotError):
    """The lock cannot be had, or was lost."""


class Lock(Protocol):
    """The lock while it is held."""

    def begin(self, migration: str) -> None:
        """Tell those who wait which migration runs now.

        Raises LockError where the session that holds the lock is gone.
        """

    def check(self) -> None:
        """Raise LockError where the session that holds the lock is gone."""


@contextmanager
def migration_lock(connection: BaseDatabaseWrapper, say: Say) -> Iterator[Lock]:
    """Hold the lock on the migrations of this database; wait for it if need be.

    ``say`` gets the messages for whoever watches the waiting. Raises LockError where
    the holder shows no sign of life for IDLE_LIMIT_S seconds.
    """
    if connection.vendor == "postgresql":
        with _postgresql_lock(connection, say) as session_lock:
            yield session_lock
    elif connection.settings_dict["NAME"] == ":memory:" or connection.is_in_memory_db():  # type: ignore[attr-defined]  # SQLite has it
        yield _NoLock()
    else:
        with _file_lock(Path(connection.settings_dict["NAME"]), say) as file_lock:
            yield file_lock


class _NoLock:
    """A database in memory has one process only."""

    def begin(self, migration: str) -> None:
        pass

    def check(self) -> None:
        pass


# --- PostgreSQL -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The session that has the lock."""

    pid: int
    host: str
    since: str
    doing: str
    idle_s: float

    def __str__(self) -> str:
        return f"pid {self.pid} on {self.host}, since {self.since} UTC, {self.doing}"


class _SessionLock:
    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._connection = connection
        self._session = connection.connection

    def begin(self, migration: str) -> None:
        self.check()
        _set_application_name(self._connection, f"{APPLICATION}: {migration}")

    def check(self) -> None:
        session: Any = self._connection.connection
        if session is not self._session or session.closed:
            raise LockError(
                "The connection that held the migration lock was lost, so another "
                "runner may be at work. Run migrate again: it goes on where this one "
                "stopped."
            )


@contextmanager
def _postgresql_lock(connection: BaseDatabaseWrapper, say: Say) -> Iterator[Lock]:
    connection.ensure_connection()
    _end_with_the_client(connection)
    _outlast_limits(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('application_name')")
        (application_name,) = cursor.fetchone()
    _wait_for_session_lock(connection, say)
    lock = _SessionLock(connection)
    try:
        yield lock
    finally:
        # A session that is gone has let the lock go already.
        if connection.connection is lock._session and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", KEY)
            _set_application_name(connection, application_name)


def _wait_for_session_lock(connection: BaseDatabaseWrapper, say: Say) -> None:
    _set_application_name(connection, f"{APPLICATION}: waiting")
    said: tuple[str, float] | None = None
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", KEY)
            (taken,) = cursor.fetchone()
        if taken:
            _set_application_name(connection, f"{APPLICATION}: starting")
            return
        holder = _holder(connection)
        if holder is not None:
            if holder.idle_s > IDLE_LIMIT_S:
                raise LockError(
                    f"Another migrate holds the lock and has done nothing for "
                    f"{holder.idle_s:.0f} seconds: {holder}. If its process is gone, "
                    f"end its session with SELECT pg_terminate_backend({holder.pid}) "
                    "and run migrate again."
                )
            now = time.monotonic()
            if said is None or str(holder) != said[0] or now - said[1] > _REPEAT_S:
                say(f"Waiting for another migrate: {holder}.")
                said = str(holder), now
        time.sleep(random.uniform(*_POLL_S))  # noqa: S311  # jitter, not a secret


def _holder(connection: BaseDatabaseWrapper) -> Holder | None:
    """Return who has the lock; None where it was let go just now."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT a.pid, coalesce(host(a.client_addr), 'this machine'),
                   to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                   a.application_name,
                   CASE WHEN a.state LIKE 'idle%%'
                        THEN extract(epoch FROM clock_timestamp() - a.state_change)
                        ELSE 0 END::float
            FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.locktype = 'advisory' AND l.granted
              AND l.database = (SELECT oid FROM pg_database
                                WHERE datname = current_database())
              AND (l.classid, l.objid, l.objsubid) = (%s, %s, 2)
            """,
            KEY,
        )
        row = cursor.fetchone()
    if row is None:
        return None
    pid, host, since, application_name, idle_s = row
    doing = application_name.removeprefix(f"{APPLICATION}: ")
    return Holder(pid=pid, host=host, since=since, doing=doing, idle_s=idle_s or 0.0)


def _end_with_the_client(connection: BaseDatabaseWrapper) -> None:
    """Let the server end our statement soon after this process has died."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET client_connection_check_interval = %s", [CLIENT_CHECK])
    except DatabaseError:
        pass  # not on the server's platform: it notices when the statement ends


def _outlast_limits(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(LIFT_LIMITS)


def _set_application_name(connection: BaseDatabaseWrapper, name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('application_name', %s, false)", [name[:63]])


# --- SQLite -----------------------------------------------------------------------


class _FileLock:
    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.begin("starting")

    def begin(self, migration: str) -> None:
        self._file.seek(0)
        self._file.truncate()
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        self._file.write(
            f"pid {os.getpid()} on {socket.gethostname()}, {now} UTC, {migration}"
        )
        self._file.flush()

    def check(self) -> None:
        pass  # the file is locked for as long as this process lives


@contextmanager
def _file_lock(database: Path, say: Say) -> Iterator[Lock]:
    path = database.with_name(f"{database.name}-migrate")
    # Who may not open the database is not to hold up its migrations.
    mode = stat.S_IMODE(database.stat().st_mode) if database.exists() else 0o600
    opener = partial(os.open, mode=mode)
    with open(path, "a+", encoding="utf-8", opener=opener) as file:
        said = ""
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read()
                if holder != said:
                    say(f"Waiting for another migrate: {holder}.")
                    said = holder
                time.sleep(random.uniform(*_POLL_S))  # noqa: S311  # jitter, no secret
        yield _FileLock(file)
