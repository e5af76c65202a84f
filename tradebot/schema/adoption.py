"""Take over a database of the program before this one, and give it back.

Alembic's table ``alembic_version`` says at which revisions a database stands. The
migrations that mirror them make the same catalogue, so to take it over is to prove that
it is that catalogue, and then to record them as applied: no table is touched. Whatever
changes comes with ``migrate``, and the way back is to undo that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tradebot.models import Action
from tradebot.schema.catalogue import (
    Difference,
    compare,
    expected_catalogue,
    read_catalogue,
)
from tradebot.schema.checksum import checksum
from tradebot.schema.contention import LockBudget, Say, with_retries
from tradebot.schema.executor import chain_loader
from tradebot.schema.faults import (
    DifferentError,
    MovedOnError,
    NoWayBackError,
    VersionTableError,
)
from tradebot.schema.history import History
from tradebot.schema.lean_state import LeanState
from tradebot.schema.revisions import (
    MigrationKey,
    Revision,
    ancestors,
    load_revisions,
    migrations_at,
)

TABLE = "alembic_version"
FENCE = "taken-over-by-tradebot-on-django"
"""The only row of ``alembic_version`` after that: a revision which no Alembic finds."""
_LENGTH = 32  # of the column
_RECORDS = frozenset({TABLE, MigrationRecorder.Migration._meta.db_table})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session in the database that is not ours."""

    pid: int
    user: str
    host: str
    program: str
    since: str
    state: str

    def __str__(self) -> str:
        return (
            f"pid {self.pid} (user {self.user}, {self.program or 'no name'}, from "
            f"{self.host}, since {self.since} UTC, {self.state})"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What there is to take over."""

    heads: tuple[str, ...]
    """The documented revisions at which Alembic says that the database stands."""
    migrations: tuple[MigrationKey, ...]
    """What is to be recorded as applied."""
    differences: tuple[Difference, ...]
    """How the database is not what these migrations make, but for ``accepted``."""
    accepted: tuple[Difference, ...]
    sessions: tuple[Session, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "heads": self.heads,
            "migrations": [".".join(key) for key in self.migrations],
            "differences": list(map(_difference_as_json, self.differences)),
            "accepted": list(map(_difference_as_json, self.accepted)),
            "sessions": [asdict(session) for session in self.sessions],
        }


def patiently(connection: BaseDatabaseWrapper, work: Callable[[], _T], say: Say) -> _T:
    """Return what ``work`` returns: a transaction that does not wait for long.

    While somebody holds the tables in which Alembic and Django record what is applied,
    it is tried again; ContentionError after settings.MIGRATION_LOCK_WAIT_S seconds.
    """

    def attempt() -> _T:
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute(LockBudget().statement())
            return work()

    return with_retries(connection, attempt, lambda: _RECORDS, say)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of the database and how much is in it, as the server estimates it."""

    table: str
    rows: int
    bytes: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.table:24} about {self.rows:>12,} rows {self.bytes:>16,} bytes"


def tables(connection: BaseDatabaseWrapper) -> list[Table]:
    """Return the tables in the schema in which ours are made."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, greatest(reltuples, 0)::bigint, "
            "pg_total_relation_size(oid) FROM pg_class WHERE relkind IN ('r', 'p') "
            "AND relnamespace = current_schema()::regnamespace ORDER BY relname"
        )
        return [
            Table(table=table, rows=rows, bytes=size)
            for table, rows, size in cursor.fetchall()
        ]


def is_taken_over(connection: BaseDatabaseWrapper) -> bool:
    """Ask whether a database of the old program has been taken over."""
    return connection.vendor == "postgresql" and _read_heads(connection) == [FENCE]


def examine(connection: BaseDatabaseWrapper, accept: Collection[str] = ()) -> Adoption:
    """Compare a database of the old program with what its revisions make.

    ``accept`` are keys of differences that the operator knows and lives with. Raises
    VersionTableError where it cannot be told at which revisions the database stands.
    """
    heads = _heads(connection)
    loader = chain_loader(connection)
    if loader.applied_migrations:
        recorded = ", ".join(map(".".join, sorted(loader.applied_migrations)[:3]))
        raise VersionTableError(
            found=f"names {', '.join(heads) or 'no revision'}, and django_migrations "
            f"has rows as well ({recorded} …)",
            expected="only one of them to have any",
        )
    keys = migrations_at(*heads)
    differences = _differences(connection, loader, keys)
    if unknown := sorted(set(accept) - {each.key for each in differences}):
        found = "; ".join(each.key for each in differences) or "none"
        raise DifferentError(
            found=f"--accept {unknown[0]!r} names no difference. There are: {found}",
            revisions=_named(heads),
        )
    return Adoption(
        heads=heads,
        migrations=tuple(keys),
        differences=tuple(each for each in differences if each.key not in accept),
        accepted=tuple(each for each in differences if each.key in accept),
        sessions=_sessions(connection),
    )


def refuse_differences(adoption: Adoption) -> None:
    """Raise DifferentError where the database is not what its revisions make."""
    if not adoption.differences:
        return
    lines = [
        line
        for each in adoption.differences
        for line in (
            f"  {each}",
            f"    to bring it into line:  {each.repair}",
            f'    to leave it as it is:   --accept "{each.key}"',
        )
    ]
    if not adoption.heads:
        lines.insert(0, f"  {TABLE} names no revision, so no table should be there")
    raise DifferentError(
        found="\n" + "\n".join(lines), revisions=_named(adoption.heads)
    )


def adopt(connection: BaseDatabaseWrapper, adoption: Adoption) -> None:
    """Record the migrations and keep the old program out.

    In the caller's transaction, under the migration lock. Raises VersionTableError
    where Alembic has moved the database since it was examined.
    """
    history = History(connection)
    disk = chain_loader(connection).disk_migrations
    recorder = MigrationRecorder(connection)
    details = {
        "heads": list(adoption.heads),
        "accepted": [str(each) for each in adoption.accepted],
    }
    with connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
    if _heads(connection) != adoption.heads:
        raise VersionTableError(
            found="was changed by Alembic meanwhile",
            expected="the old program to be stopped",
        )
    recorder.ensure_schema()
    for app, name in adoption.migrations:
        recorder.record_applied(app, name)
        history.record(
            Action.ADOPT,
            app,
            name,
            checksum=checksum(disk[app, name]),
            details=details,
        )
    _write_heads(connection, (FENCE,))


# --- The way back -----------------------------------------------------------------


def documented_head() -> Revision:
    """Return the last documented revision, to which the way back leads."""
    return load_revisions()[-1]


def check_way_back(connection: BaseDatabaseWrapper) -> None:
    """Raise NoWayBackError where the database cannot go back to the old program."""
    heads = _read_heads(connection)
    if heads != [FENCE]:
        found = (
            "is not there" if heads is None else f"has {', '.join(heads) or 'no row'}"
        )
        raise NoWayBackError(found=found)


def is_given_back(connection: BaseDatabaseWrapper) -> bool:
    """Ask whether a database that was taken over is the old program's again."""
    return (
        _read_heads(connection) == [documented_head().id]
        and History(connection).has_table()
        and not MigrationRecorder(connection).has_table()
    )


def give_back(connection: BaseDatabaseWrapper) -> None:
    """Let Alembic have the database again, which stands at the documented head.

    In the caller's transaction, under the migration lock. Raises MovedOnError where
    more is applied.
    """
    head = documented_head()
    keys = migrations_at(head.id)
    loader = chain_loader(connection)
    applied = loader.applied_migrations.keys() - loader.replacements.keys()
    if applied != set(keys):
        more = ", ".join(map(".".join, sorted(applied ^ set(keys))[:3]))
        raise MovedOnError(applied=more)
    history = History(connection)
    for app, name in reversed(keys):
        history.record(Action.RETURN, app, name, details={"head": head.id})
    _write_heads(connection, (head.id,))
    with connection.cursor() as cursor:
        # It would say that somebody else migrates this database.
        cursor.execute(f"DROP TABLE {MigrationRecorder.Migration._meta.db_table}")


def differences_from_head(connection: BaseDatabaseWrapper) -> list[Difference]:
    """Return how a database differs from what the documented head makes."""
    loader = chain_loader(connection)
    return _differences(connection, loader, migrations_at(documented_head().id))


def what_stays(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the tables of this program that the old one does not know."""
    return [
        each.table for each in tables(connection) if each.table.startswith("tradebot_")
    ]


def close_way_back(connection: BaseDatabaseWrapper) -> None:
    """Drop what keeps the way back open: the table of Alembic.

    In the caller's transaction, under the migration lock.
    """
    check_way_back(connection)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")
    History(connection).record(Action.ADOPT, details={"way back": "closed"})


def unreadable_passwords(connection: BaseDatabaseWrapper) -> int:
    """Return how many users have a password that the old program cannot read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM users WHERE hashed_password NOT LIKE '$2%'"
        )
        (count,) = cursor.fetchone()
    return int(count)


# --- alembic_version --------------------------------------------------------------


def _heads(connection: BaseDatabaseWrapper) -> tuple[str, ...]:
    """Return at which documented revisions a database stands.

    Raises VersionTableError where its table does not say that.
    """
    rows = _read_heads(connection)
    if rows is None:
        raise VersionTableError(
            found="is not there", expected="the table by which Alembic knows its way"
        )
    revisions = [revision.id for revision in load_revisions()]
    if doubled := sorted(id_ for id_, times in Counter(rows).items() if times > 1):
        raise VersionTableError(
            found=f"has {doubled[0]} more than once", expected="each revision once"
        )
    if unknown := sorted(set(rows) - set(revisions)):
        raise VersionTableError(
            found=f"names {', '.join(unknown)}",
            expected=f"documented revisions: {', '.join(revisions)}",
        )
    for id_ in rows:
        if before := sorted(ancestors(id_) & set(rows)):
            raise VersionTableError(
                found=f"names {id_} together with {', '.join(before)}",
                expected=f"{id_} alone, which comes after it",
            )
    return tuple(id_ for id_ in revisions if id_ in rows)


def _read_heads(connection: BaseDatabaseWrapper) -> list[str] | None:
    """Return the rows of the table, None where it is not there."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT array_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                             ORDER BY a.attnum)
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.oid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
            """,
            [TABLE],
        )
        (columns,) = cursor.fetchone()
        if columns is None:
            return None
        expected = [f"version_num character varying({_LENGTH})"]
        if columns != expected:
            raise VersionTableError(
                found=f"has the columns {', '.join(columns)}", expected=expected[0]
            )
        cursor.execute(f"SELECT version_num FROM {TABLE} ORDER BY version_num")
        return [id_ for (id_,) in cursor.fetchall()]


def _write_heads(connection: BaseDatabaseWrapper, heads: Sequence[str]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {TABLE}")
        for head in heads:
            cursor.execute(f"INSERT INTO {TABLE} VALUES (%s)", [head])


def _differences(
    connection: BaseDatabaseWrapper,
    loader: MigrationLoader,
    keys: Sequence[MigrationKey],
) -> list[Difference]:
    return compare(
        expected_catalogue(
            connection,
            [loader.disk_migrations[key] for key in keys],
            LeanState(real_apps=loader.unmigrated_apps),
        ),
        read_catalogue(connection),
    )


def _named(heads: Sequence[str]) -> str:
    return " and ".join(heads) or "base"


def _sessions(connection: BaseDatabaseWrapper) -> tuple[Session, ...]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pid, usename, coalesce(host(client_addr), 'this machine'),
                   application_name,
                   to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
                   coalesce(state, 'state not visible')
            FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'
            ORDER BY backend_start
            """
        )
        return tuple(
            Session(
                pid=pid, user=user, host=host, program=program, since=since, state=state
            )
            for pid, user, host, program, since, state in cursor.fetchall()
        )


def _difference_as_json(difference: Difference) -> dict[str, Any]:
    return {"key": difference.key, "message": str(difference), **asdict(difference)}
