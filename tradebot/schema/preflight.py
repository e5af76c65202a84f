"""Look at a database before the first write: can the pending migrations succeed?

Whatever stands in the way is raised as one of the faults in ``faults.py``; what only
holds up the work is said. Nothing here writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.recorder import MigrationRecorder

from tradebot.schema import adoption
from tradebot.schema.faults import (
    EncodingError,
    InconsistentHistoryError,
    InvalidIndexError,
    LeftoverError,
    NaiveTimesError,
    NoCreatePrivilegeError,
    NoSchemaError,
    NotOnSQLiteError,
    NotOwnerError,
    NotWritableError,
    OtherVersionError,
    ReadOnlyError,
    ServerTooOldError,
    StandbyError,
    TablesInTheWayError,
    UnadoptedError,
    describe,
)
from tradebot.schema.losses import Columns, columns_of
from tradebot.schema.pooler import refuse_transaction_pooler
from tradebot.schema.version import unknown_migrations

Say = Callable[[str], None]
Plan = Sequence[tuple[Migration, bool]]
"""Migrations in their order, each with whether it is undone, as Django plans them."""

MINIMUM_VERSION = (150_000, "PostgreSQL 15")
LONG_TRANSACTION_S = 10.0

UTC = {"UTC", "GMT", "UCT", "Zulu", "Universal", "Greenwich", "GMT0", "Etc/UTC"}
# The time zones that are set for this database, each with the place where. Not the zone
# of the session, which the program has set to UTC.
ZONES_QUERY = """
    SELECT 'this user and database', reset_val
    FROM pg_settings WHERE name = 'TimeZone'
    UNION ALL
    SELECT CASE setrole WHEN 0 THEN 'this database'
           ELSE 'user ' || setrole::regrole END,
           split_part(setting, '=', 2)
    FROM pg_db_role_setting
    JOIN pg_database d ON d.oid = setdatabase
    CROSS JOIN LATERAL unnest(setconfig) AS setting
    WHERE d.datname = current_database() AND setting ILIKE 'timezone=%'
"""
_HISTORY = MigrationRecorder.Migration._meta.db_table
# Rows are written to these whatever a migration does.
_WRITTEN = [
    _HISTORY,
    ContentType._meta.db_table,
    Permission._meta.db_table,
]


def check_lock(connection: BaseDatabaseWrapper) -> None:
    """Raise the PreflightError for which the migration lock cannot be held there."""
    if connection.vendor == "postgresql":
        refuse_transaction_pooler(connection)
    elif not connection.is_in_memory_db():  # type: ignore[attr-defined]  # SQLite has it
        path = Path(connection.settings_dict["NAME"])
        for place, kind in ((path, "the file"), (path.parent, "its folder")):
            if not os.access(place, os.W_OK):
                raise NotWritableError(
                    database=describe(connection), reason=f"{kind} is not writable"
                )


def check_takeover(connection: BaseDatabaseWrapper) -> None:
    """Raise the PreflightError for which a database cannot be taken over, or back."""
    if connection.vendor != "postgresql":
        raise NotOnSQLiteError
    tables = [adoption.TABLE, _HISTORY, *(table for _, table in _managed_tables())]
    check_privileges(connection, check_server(connection), tables)


def preflight(
    connection: BaseDatabaseWrapper,
    loader: MigrationLoader,
    plan: Plan,
    say: Say,
    *,
    fake: bool = False,
) -> None:
    """Raise the first PreflightError that stands in the way of the plan.

    ``say`` gets what does not: long transactions. With ``fake``, as with Django's
    --fake and --fake-initial, what migrations make may be there already.
    """
    tables = _table_names(connection)
    if connection.vendor == "postgresql":
        server = check_server(connection)
        check_privileges(connection, server, [] if fake else _altered_tables(plan))
    else:
        _check_writing(connection)
    check_history(connection, loader, plan, tables)
    if not fake:
        _check_way(connection, loader, plan, tables)
    if connection.vendor == "postgresql":
        if any(not backwards for _, backwards in plan):
            _check_naive_times(connection)
        if invalid := _invalid_indexes(connection, plan):
            raise InvalidIndexError(indexes=_listed(invalid))
        _tell_long_transactions(connection, say)


# --- The server -------------------------------------------------------------------


class _Server(NamedTuple):
    version: int
    version_text: str
    encoding: str
    standby: bool
    read_only: bool
    user: str
    search_path: str
    schema: str | None
    may_create: bool


def _read_server(connection: BaseDatabaseWrapper) -> _Server:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT current_setting('server_version_num')::int,
                   current_setting('server_version'),
                   pg_encoding_to_char(encoding),
                   pg_is_in_recovery(),
                   current_setting('transaction_read_only')::bool,
                   current_user,
                   current_setting('search_path'),
                   current_schema(),
                   coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
            FROM pg_database WHERE datname = current_database()
            """
        )
        return _Server(*cursor.fetchone())


def check_server(connection: BaseDatabaseWrapper) -> _Server:
    """Raise the PreflightError for a PostgreSQL that TradeBot cannot run on."""
    server = _read_server(connection)
    minimum, name = MINIMUM_VERSION
    if server.version < minimum:
        raise ServerTooOldError(found=server.version_text, expected=name)
    if server.encoding != "UTF8":
        raise EncodingError(database=describe(connection), found=server.encoding)
    return server


def check_privileges(
    connection: BaseDatabaseWrapper, server: _Server, altered: list[str]
) -> None:
    """Raise the PreflightError for which these tables cannot be altered."""
    if server.standby:
        raise StandbyError(database=describe(connection))
    if server.read_only:
        raise ReadOnlyError(database=describe(connection))
    if server.schema is None:
        raise NoSchemaError(
            database=describe(connection), search_path=server.search_path
        )
    if not server.may_create:
        raise NoCreatePrivilegeError(user=server.user, schema=server.schema)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT relname FROM pg_class
            WHERE relkind IN ('r', 'p') AND pg_table_is_visible(oid)
              AND (relname = ANY(%s) AND NOT pg_has_role(relowner, 'USAGE')
                   OR relname = ANY(%s) AND NOT has_table_privilege(oid, 'INSERT'))
            ORDER BY relname
            """,
            [altered, _WRITTEN],
        )
        foreign = [name for (name,) in cursor.fetchall()]
    if foreign:
        raise NotOwnerError(user=server.user, tables=_listed(foreign))


def _altered_tables(plan: Plan) -> list[str]:
    """Return the tables of the apps that the plan is about."""
    labels = {migration.app_label for migration, _ in plan}
    return [table for label, table in _managed_tables() if label in labels]


def _check_writing(connection: BaseDatabaseWrapper) -> None:
    # Taken and let go: it fails as the first write would, and writes nothing.
    with connection.cursor() as cursor:
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")


def _tell_long_transactions(connection: BaseDatabaseWrapper, say: Say) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT pid, usename, extract(epoch FROM clock_timestamp() - xact_start),
                   regexp_replace(left(query, 100), '\\s+', ' ', 'g')
            FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'
              AND xact_start < clock_timestamp() - make_interval(secs => %s)
            ORDER BY xact_start
            """,
            [LONG_TRANSACTION_S],
        )
        rows = cursor.fetchall()
    for pid, user, age_s, query in rows:
        say(
            f"Attention: A transaction has been open for {age_s:.0f} s, and what it "
            f"locks the migrations wait for: pid {pid} of user {user}: {query}. End it "
            f"in its program, or with SELECT pg_terminate_backend({pid})."
        )


# --- The history ------------------------------------------------------------------


def check_history(
    connection: BaseDatabaseWrapper,
    loader: MigrationLoader,
    plan: Plan,
    tables: set[str],
) -> None:
    """Raise the PreflightError for which the record of migrations cannot be used."""
    if (
        adoption.TABLE in tables
        and not loader.applied_migrations
        and not adoption.is_taken_over(connection)  # at base: nothing to record
    ):
        raise UnadoptedError(database=describe(connection))
    try:
        loader.check_consistent_history(connection)
    except InconsistentMigrationHistory as error:
        raise InconsistentHistoryError(reason=str(error).rstrip(".")) from error
    unknown = unknown_migrations(loader, loader.applied_migrations)
    if plan and unknown:
        raise OtherVersionError(unknown=_listed(".".join(key) for key in unknown))


def _check_way(
    connection: BaseDatabaseWrapper,
    loader: MigrationLoader,
    plan: Plan,
    tables: set[str],
) -> None:
    """Raise where the plan makes tables or columns that are there already."""
    state = loader.project_state(
        [key for key in loader.applied_migrations if key in loader.graph.nodes]
    )
    columns = columns_of(state)
    removed: Columns = set()  # by the plan: out of the way of what comes later
    awaited: Columns = set()
    for migration, backwards in plan:
        if backwards:
            return  # what a reverse makes was there before
        for operation in migration.operations:
            operation.state_forwards(migration.app_label, state)
            before, columns = columns, columns_of(state)
            removed |= before - columns
            # Exactly these: what derives from them knows what to do.
            if type(operation) in (migrations.CreateModel, migrations.AddField):
                awaited |= columns - before - removed
    new_tables = {table for table, column in awaited if not column}
    found = sorted(new_tables & tables)
    for table in sorted({table for table, _ in awaited} & tables - new_tables):
        there = _column_names(connection, table)
        found += [
            f"{table}.{column}"
            for name, column in sorted(awaited)
            if name == table and column in there
        ]
    if found and not loader.applied_migrations:
        raise TablesInTheWayError(tables=_listed(found))
    if found:
        raise LeftoverError(found=_listed(found))


# --- The contents -----------------------------------------------------------------


def _invalid_indexes(connection: BaseDatabaseWrapper, plan: Plan) -> list[str]:
    """Return the INVALID indexes on tables of ours that the plan leaves as they are.

    One that somebody is building just now is not among them.
    """
    # Built or dropped, forwards or back: a run that was cut off is at work on them.
    changed = {
        name
        for migration, _ in plan
        for operation in migration.operations
        for name in _index_names(operation)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT i.relname, t.relname
            FROM pg_index x
            JOIN pg_class i ON i.oid = x.indexrelid
            JOIN pg_class t ON t.oid = x.indrelid
            WHERE NOT x.indisvalid AND t.relname = ANY(%s)
              AND pg_table_is_visible(t.oid)
              AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p
                              WHERE p.relid = t.oid)
            ORDER BY i.relname
            """,
            [[table for _, table in _managed_tables()]],
        )
        return [
            f"{index} on {table}"
            for index, table in cursor.fetchall()
            if index not in changed
        ]


def _index_names(operation: Operation) -> Iterator[str]:
    """Yield the names of the indexes that an operation makes or drops."""
    if isinstance(operation, migrations.AddIndex):
        yield operation.index.name
    elif isinstance(operation, migrations.AddConstraint):
        yield operation.constraint.name
    elif isinstance(operation, migrations.RemoveIndex | migrations.RemoveConstraint):
        yield operation.name


def tell_invalid_indexes(connection: BaseDatabaseWrapper, say: Say) -> None:
    """Say what a cut-off index build left; nothing waits for it to be repaired."""
    if invalid := _invalid_indexes(connection, plan=[]):
        say(f"Attention: {InvalidIndexError(indexes=_listed(invalid))}")


def _check_naive_times(connection: BaseDatabaseWrapper) -> None:
    """Raise where times without zone are to get one, and nobody says which."""
    if settings.NAIVE_TIMES_ZONE:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.relname, a.attname
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
            WHERE a.atttypid = 'timestamp'::regtype AND NOT a.attisdropped
              AND c.relkind = 'r' AND pg_table_is_visible(c.oid)
            """
        )
        naive = set(cursor.fetchall()) & _aware_columns(connection)
        filled = []
        for table in sorted({table for table, _ in naive}):
            cursor.execute(
                f"SELECT EXISTS (SELECT 1 FROM {connection.ops.quote_name(table)})"
            )
            if cursor.fetchone()[0]:
                filled.append(table)
        if not filled:
            return
        cursor.execute(ZONES_QUERY)
        zones = [(where, zone) for where, zone in cursor if zone not in UTC]
    if zones:
        where, zone = zones[0]
        columns = sorted(
            f"{table}.{column}" for table, column in naive if table in filled
        )
        raise NaiveTimesError(columns=_listed(columns), where=f"{where} is {zone}")


def _aware_columns(connection: BaseDatabaseWrapper) -> Columns:
    """Return the columns that hold times with a zone once all is migrated."""
    return {
        (model._meta.db_table, str(field.column))
        for model in apps.get_models(include_auto_created=True)
        for field in model._meta.local_concrete_fields
        if isinstance(field, models.DateTimeField)
        and field.db_type(connection) == "timestamp with time zone"
    }


def _managed_tables() -> list[tuple[str, str]]:
    """Return the label and the table of every model whose table migrations make."""
    return [
        (model._meta.app_label, model._meta.db_table)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    ]


def _table_names(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        return set(connection.introspection.table_names(cursor))


def _column_names(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, table)
    return {column.name for column in description}


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
