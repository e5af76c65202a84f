"""Let ``migrate`` die at a chosen moment, then run it again.

    python -m tests.schema.crashes kill|terminate all|N [N …]

A moment is just before a statement, just before a commit or just after one, counted
from 1, or from the end if negative; ``all`` takes every one. ``kill`` is SIGKILL to the
runner, ``terminate`` ends its session on the server (PostgreSQL). Each moment gets a
new database; after the second run its schema and its record of migrations have to be
those of a run that nobody disturbed. Prints a line for each moment and exits with 1 if
one failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.schema.counting_settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from tests.databases import scratch_database  # noqa: E402
from tests.migrations.catalogue import (  # noqa: E402
    read_catalogue,
    read_definitions,
)


def migrate(connection: BaseDatabaseWrapper) -> None:
    call_command("migrate", database=connection.alias, verbosity=0)


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


def migrate_until(
    connection: BaseDatabaseWrapper, moment: int, die: Callable[[], None]
) -> int:
    """Migrate, call ``die`` at the moment; return how many moments there were."""
    passed = 0

    def tick() -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            die()

    def before_statement(execute: Any, *args: Any) -> Any:
        tick()
        return execute(*args)

    commit = connection._commit  # type: ignore[attr-defined]  # it has one

    def around_commit() -> None:
        tick()
        commit()
        tick()

    connection._commit = around_commit  # type: ignore[attr-defined]
    with connection.execute_wrapper(before_statement):
        migrate(connection)
    return passed


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminate(connection: BaseDatabaseWrapper) -> None:
    other = connections.create_connection(connection.alias)
    assert connection.connection is not None
    pid = connection.connection.info.backend_pid
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    other.close()


def outcome(connection: BaseDatabaseWrapper) -> Any:
    """Return the schema, the record of migrations, and how often 0002 has counted."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
        recorded = cursor.fetchall()
        cursor.execute("SELECT count(*) FROM counted")
        counted = cursor.fetchone()
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name, sql FROM sqlite_master ORDER BY name")
            return recorded, counted, cursor.fetchall()
    return recorded, counted, read_catalogue(connection), read_definitions(connection)


def undisturbed() -> tuple[Any, int]:
    """Return the outcome of a run in peace and how many moments it had."""
    with scratch_database() as connection:
        moments = migrate_until(connection, 0, kill)
        expected = outcome(connection)
        return expected, moments


def crash(how: str, moment: int, expected: Any) -> str | None:
    """Return what was wrong after a crash at this moment and a second run."""
    with scratch_database() as connection:
        dies = kill if how == "kill" else lambda: terminate(connection)
        # Forked before there is a connection, or both would use one.
        died = in_child(lambda: migrate_until(connection, moment, dies))
        if died == 0:
            return "the run was not disturbed"
        if in_child(lambda: migrate(connection)) != 0:
            return "the second run failed"
        found = outcome(connection)
        return None if found == expected else f"{found} instead of {expected}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=("kill", "terminate"))
    parser.add_argument("moments", nargs="+")
    arguments = parser.parse_args()
    expected, last = undisturbed()
    moments = (
        range(1, last + 1)
        if arguments.moments == ["all"]
        else [each % (last + 1) for each in map(int, arguments.moments)]
    )
    failures = 0
    for moment in moments:
        problem = crash(arguments.how, moment, expected)
        failures += problem is not None
        sys.stdout.write(f"moment {moment} of {last}: {problem or 'ok'}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(moments) - failures} ok, {failures} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
