"""Count the moments of a run of ``migrate`` or another, and let it die at one of them.

A moment is just before a statement, just before a commit or just after one, and in the
middle of a statement that works concurrently.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from typing import Any

from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.commands import migrate
from tradebot.schema.revisions import MigrationKey

_WAITS = (
    "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s AND "
    "query LIKE '%%CONCURRENTLY%%'"
)
_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
_PATIENCE_S = 5.0  # for a concurrent statement to come to where it waits, or to end


def kill(connection: BaseDatabaseWrapper) -> None:
    """End this process, and so the runner in it."""
    os.kill(os.getpid(), signal.SIGKILL)


def terminate(connection: BaseDatabaseWrapper) -> None:
    """End the session on the server (PostgreSQL)."""
    with _another(connection) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [_pid(connection)])


WAYS: dict[str, Callable[[BaseDatabaseWrapper], None]] = {
    "kill": kill,
    "terminate": terminate,
}


def in_child(work: Callable[[], object]) -> int:
    """Do the work in a process of its own; return how it ended, as waitpid tells."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # the parent judges by the exit code
            if "CRASHES_VERBOSE" in os.environ:
                traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def wait_for_the_dead(connection: BaseDatabaseWrapper) -> None:
    """Wait until the server has ended every other session in a database."""
    until = time.monotonic() + _PATIENCE_S
    while connection.vendor == "postgresql" and time.monotonic() < until:
        with connection.cursor() as cursor:
            cursor.execute(_OTHERS)
            if not cursor.fetchone()[0]:
                return
        time.sleep(0.01)


class Watch:
    """Watches one run.

    ``counts`` are its moments by the migration in which they were, those before the
    first under None. ``at_start`` is called with each migration that starts.
    """

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        at_start: Callable[[MigrationKey], None] = lambda key: None,
    ) -> None:
        self.connection = connection
        self.counts: dict[MigrationKey | None, int] = {None: 0}
        self._at_start = at_start
        self._now: MigrationKey | None = None
        self._left = -1  # moments to live, if it has to die
        self._die: Callable[[BaseDatabaseWrapper], None] = kill
        self._counting = True

    def die(self, how: str, moment: int, *, from_start: bool) -> None:
        """Let the run die at a moment, counted from 1.

        From the start of the run, or from that of its first migration.
        """
        self._die, self._left, self._counting = WAYS[how], moment, from_start

    def migrate(self, *target: str) -> None:
        alias = self.connection.alias
        command = _Command(self)
        self.run(lambda: call_command(command, *target, database=alias, verbosity=0))

    def run(self, work: Callable[[], object]) -> None:
        """Do something else than ``migrate``: all of its moments are under None."""
        connection: Any = self.connection
        commit = connection._commit

        def around_commit() -> None:
            self._tick()
            commit()
            self._tick()

        connection._commit = around_commit
        with connection.execute_wrapper(self._around_statement):
            work()
        connection._commit = commit

    def begin(self, key: MigrationKey) -> None:
        """Take note that a migration starts."""
        if self._left > 0 and self._now is not None:
            os._exit(0)  # it should have died by now
        self._counting, counting = False, self._counting or self._now is None
        self._at_start(key)
        self._counting = counting
        self._now = key
        self.counts[key] = 0

    def _around_statement(
        self, execute: Any, sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        self._tick()
        if "CONCURRENTLY" in str(sql) and self._is_last():
            return self._die_meanwhile(lambda: execute(sql, params, many, context))
        return execute(sql, params, many, context)

    def _tick(self) -> None:
        if self._is_last():
            self._die(self.connection)

    def _is_last(self) -> bool:
        if not self._counting:
            return False
        self.counts[self._now] += 1
        self._left -= 1
        return self._left == 0

    def _die_meanwhile(self, execute: Callable[[], Any]) -> Any:
        """Die when the statement waits for others, who have all tables in use."""

        def wait_and_die() -> None:
            until = time.monotonic() + _PATIENCE_S
            with _another(self.connection) as other, other.cursor() as cursor:
                while time.monotonic() < until:
                    cursor.execute(_WAITS, [_pid(self.connection)])
                    if (row := cursor.fetchone()) and row[0]:
                        break
                    time.sleep(0.01)
            self._die(self.connection)

        with _another(self.connection) as other, other.cursor() as cursor:
            tables = ", ".join(other.introspection.table_names(cursor))
            cursor.execute(f"BEGIN; LOCK TABLE {tables} IN ROW EXCLUSIVE MODE")
            threading.Thread(target=wait_and_die, daemon=True).start()
            result = execute()
            self._die(self.connection)  # it had nothing to wait for
            return result


class _Command(migrate.Command):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        if action in ("apply_start", "unapply_start"):
            self._watch.begin((migration.app_label, migration.name))
        super().migration_progress_callback(action, migration, fake)


def _another(connection: BaseDatabaseWrapper) -> closing[BaseDatabaseWrapper]:
    return closing(connections.create_connection(connection.alias))


def _pid(connection: BaseDatabaseWrapper) -> int:
    assert connection.connection is not None
    pid: int = connection.connection.info.backend_pid
    return pid
