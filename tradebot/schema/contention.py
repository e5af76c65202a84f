"""Change a table that others are using, without holding them up.

A statement that waits for a strong lock makes everybody wait who comes after it. So it
waits for a moment only, lets go, and tries again later, outside of any transaction.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.faults import ContentionError

Say = Callable[[str], None]
_T = TypeVar("_T")

_LOCK_NOT_AVAILABLE = "55P03"
# With deadlock_detected and serialization_failure: they pass.
_RETRIED = {_LOCK_NOT_AVAILABLE, "40P01", "40001"}
_PAUSE_S = (0.3, 1.2)  # drawn between these, so that runners do not fall in step
_REPEAT_S = 5.0  # between two messages about the same wait
_READ_S = 1


class LockBudget:
    """How long one transaction may wait for locks, all of them together.

    PostgreSQL's ``lock_timeout`` counts for each lock anew: the first one would be held
    while the others are waited for, one after the other.
    """

    def __init__(self) -> None:
        self._until = time.monotonic() + settings.MIGRATION_LOCK_TIMEOUT_MS / 1000

    def statement(self) -> str:
        """Return the SQL that gives what is left to the next statement."""
        left_ms = max(1, round((self._until - time.monotonic()) * 1000))
        return f"SET LOCAL lock_timeout = {left_ms}"


def with_retries(
    connection: BaseDatabaseWrapper,
    attempt: Callable[[], _T],
    tables_of: Callable[[], frozenset[str]],
    say: Say,
) -> _T:
    """Return what ``attempt`` returns, called until no lock is in its way.

    ``tables_of`` returns the tables that it locks, for the messages.

    ``attempt`` has to leave nothing behind when it fails. Raises ContentionError, which
    names the sessions in the way, after settings.MIGRATION_LOCK_WAIT_S seconds.
    """
    began = time.monotonic()
    said = 0.0
    while True:
        try:
            return attempt()
        except DatabaseError as error:
            if getattr(error.__cause__, "sqlstate", None) not in _RETRIED:
                raise
            waited = time.monotonic() - began
            tables = tables_of()
            for pid in _stop_autovacuum(connection, tables):
                say(f"  Stopped the autovacuum of pid {pid}, which starts anew later.")
            blockers = _blockers(connection, tables)
            if not blockers:  # one that the SQL does not name is in the way
                tables |= _taken(connection)
                blockers = _blockers(connection, tables)
            named = "; ".join(blockers) or "sessions that have ended since"
            if waited > settings.MIGRATION_LOCK_WAIT_S:
                raise ContentionError(
                    waited=f"{waited:.0f}", tables=_listed(tables), sessions=named
                ) from error
        if time.monotonic() - said > _REPEAT_S or not said:
            said = time.monotonic()
            say(f"  Waiting for {_listed(tables)}, held by {named}.")
        time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311  # jitter, not a secret


def read_with_retries(
    connection: BaseDatabaseWrapper, read: Callable[[Say], _T], say: Say
) -> _T:
    """Return what ``read`` returns, which locks nothing but may have to wait.

    It is in nobody's way; but somebody may have a table all for themselves, as VACUUM
    FULL does. ``read`` gets a ``say`` that says nothing twice. Raises ContentionError
    as ``with_retries`` does.
    """
    if connection.vendor != "postgresql":
        return read(say)
    said: set[str] = set()

    def say_once(message: str) -> None:
        if message not in said:
            said.add(message)
            say(message)

    def attempt() -> _T:
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{_READ_S} s'")
        try:
            return read(say_once)
        finally:
            with suppress(DatabaseError), connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")

    return with_retries(connection, attempt, lambda: _taken(connection), say)


def _taken(connection: BaseDatabaseWrapper) -> frozenset[str]:
    """Return the tables that somebody else has all for themselves."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname FROM pg_locks l
            JOIN pg_class c ON c.oid = l.relation
              AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
            JOIN pg_database d ON d.oid = l.database
            WHERE d.datname = current_database() AND l.pid <> pg_backend_pid()
              AND l.granted AND l.mode = 'AccessExclusiveLock'
            """
        )
        return frozenset(name for (name,) in cursor.fetchall())


def _listed(tables: frozenset[str]) -> str:
    return ", ".join(sorted(tables)) or "a lock"


def _stop_autovacuum(
    connection: BaseDatabaseWrapper, tables: frozenset[str]
) -> list[int]:
    """Ask the autovacuums of these tables to end; return their process ids.

    They make way by themselves only for who waits as long as deadlock_timeout, with all
    others behind. One that prevents a wraparound is left alone. Only a superuser may
    ask; anybody else waits for their end.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pid, pg_cancel_backend(pid) FROM (
                SELECT DISTINCT a.pid
                FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                WHERE l.granted AND l.locktype = 'relation'
                  AND a.backend_type = 'autovacuum worker'
                  AND a.query NOT LIKE '%%(to prevent wraparound)'
                  AND a.datname = current_database()
                  AND l.relation = ANY (
                    SELECT to_regclass(quote_ident(t)) FROM unnest(%s::text[]) t)
            ) AS vacuums
            WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
            """,
            [sorted(tables)],
        )
        return [pid for pid, asked in cursor.fetchall() if asked]


def _blockers(connection: BaseDatabaseWrapper, tables: frozenset[str]) -> list[str]:
    """Describe the sessions that hold these tables, those of the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT a.pid, a.usename, a.xact_start,
                   round(extract(epoch FROM clock_timestamp() - a.xact_start)),
                   coalesce(a.state, 'unknown state'),
                   left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80)
            FROM pg_locks l JOIN pg_stat_activity a USING (pid)
            WHERE l.granted AND l.pid <> pg_backend_pid()
              AND l.locktype = 'relation' AND l.database = (
                SELECT oid FROM pg_database WHERE datname = current_database())
              AND l.relation = ANY (
                SELECT to_regclass(quote_ident(t)) FROM unnest(%s::text[]) t)
            ORDER BY a.xact_start LIMIT 3
            """,
            [sorted(tables)],
        )
        rows: list[Any] = cursor.fetchall()
    return [
        f"pid {pid} (user {user}, transaction open for {age or 0} s, {state}: {query})"
        for pid, user, _, age, state, query in rows
    ]
