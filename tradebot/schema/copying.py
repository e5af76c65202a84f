"""Keep columns of a large table before they are dropped, while others go on writing.

The archive is filled beside the table, by a trigger and in batches; the migration that
drops the columns finds it complete. Only PostgreSQL, where others could go on. A run
that was cut off leaves trigger and archive, with which the next one goes on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema import dropped
from tradebot.schema.archive import PREFIX
from tradebot.schema.batches import run_batches
from tradebot.schema.contention import LockBudget
from tradebot.schema.losses import Loss
from tradebot.schema.revisions import MigrationKey
from tradebot.schema.steps import Batches

Retry = Callable[[Callable[[], None]], None]
Show = Callable[[str], None]


def copy_beside(
    connection: BaseDatabaseWrapper,
    migration: MigrationKey,
    loss: Loss,
    *,
    backwards: bool,
    retry: Retry,
    show: Show,
) -> None:
    """Fill an archive with what will be dropped; ``complete`` ends it."""
    quote = connection.ops.quote_name
    table, key = quote(loss.table), quote(loss.key)
    columns = ", ".join(map(quote, (loss.key, *loss.columns)))

    def begin() -> None:
        if unfinished(connection, migration, loss, backwards=backwards) is not None:
            return
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            id_ = dropped.register(
                cursor, migration, loss, backwards=backwards, complete=False
            )
            archive = f"{PREFIX}{id_}"
            news = ", ".join(f"NEW.{quote(name)}" for name in (loss.key, *loss.columns))
            changes = ", ".join(
                f"{quote(name)} = excluded.{quote(name)}" for name in loss.columns
            )
            cursor.execute(
                f"{LockBudget().statement()};\n"
                f"CREATE TABLE {archive} AS SELECT {columns} FROM {table} WITH NO DATA;"
                f"ALTER TABLE {archive} ADD PRIMARY KEY ({key});"
                f"CREATE FUNCTION {archive}() RETURNS trigger LANGUAGE plpgsql AS $$"
                f"BEGIN INSERT INTO {archive} ({columns}) VALUES ({news}) "
                f"ON CONFLICT ({key}) DO UPDATE SET {changes}; RETURN NULL; END$$;"
                f"CREATE TRIGGER {archive} AFTER INSERT OR UPDATE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {archive}()"
            )

    retry(begin)
    id_ = unfinished(connection, migration, loss, backwards=backwards)
    archive = f"{PREFIX}{id_}"
    step = Batches(
        table=loss.table,
        key=loss.key,
        todo=f"NOT EXISTS (SELECT 1 FROM {archive} AS kept "
        f"WHERE kept.{key} = {table}.{key})",
        # What a writer has put there meanwhile is newer.
        statement=f"INSERT INTO {archive} ({columns}) SELECT {columns} FROM {table} "
        "WHERE {rows} ON CONFLICT DO NOTHING",
    )
    retry(lambda: run_batches(connection, step, LockBudget().statement(), show))
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {dropped.TABLE} SET rows = (SELECT count(*) FROM {archive}) "
            "WHERE id = %s",
            [id_],
        )


def complete(
    connection: BaseDatabaseWrapper,
    migration: MigrationKey,
    loss: Loss,
    *,
    backwards: bool,
    budget: LockBudget,
) -> int | None:
    """End an archive that was filled, in the transaction that drops the columns.

    Returns its id; None where none was.
    """
    id_ = unfinished(connection, migration, loss, backwards=backwards)
    if id_ is None:
        return None
    with connection.cursor() as cursor:
        _drop_trigger(cursor, connection.ops.quote_name(loss.table), id_, budget)
        cursor.execute(
            f"UPDATE {dropped.TABLE} SET complete = true, waiting = true WHERE id = %s",
            [id_],
        )
    return id_


def unfinished(
    connection: BaseDatabaseWrapper,
    migration: MigrationKey,
    loss: Loss,
    *,
    backwards: bool,
) -> int | None:
    """Return the id of the archive that is being filled with this; None without."""
    found = [
        id_
        for id_, *which in _unfinished(connection)
        if which == [*migration, backwards, loss.table, json.dumps(loss.columns)]
    ]
    return found[0] if found else None


def discard_unfinished(
    connection: BaseDatabaseWrapper, wanted: Collection[MigrationKey], retry: Retry
) -> None:
    """Do away with what runs that were cut off have left, but of these migrations."""
    for id_, app, name, _, table, _ in _unfinished(connection):
        if (app, name) in wanted:
            continue

        def discard(id_: int = id_, table: str = table) -> None:
            with (
                transaction.atomic(using=connection.alias),
                connection.cursor() as cursor,
            ):
                quoted = connection.ops.quote_name(table)
                _drop_trigger(cursor, quoted, id_, LockBudget())
                cursor.execute(f"DROP TABLE {PREFIX}{id_}")
                cursor.execute(f"DELETE FROM {dropped.TABLE} WHERE id = %s", [id_])

        retry(discard)


def _unfinished(connection: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
    if connection.vendor != "postgresql" or not dropped.has_table(connection):
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, app, name, backwards, table_name, column_names "
            f"FROM {dropped.TABLE} WHERE NOT complete ORDER BY id"
        )
        return [tuple(row) for row in cursor.fetchall()]


def _drop_trigger(cursor: Any, table: str, id_: int, budget: LockBudget) -> None:
    cursor.execute(
        f"{budget.statement()};\nDROP TRIGGER {PREFIX}{id_} ON {table};"
        f"DROP FUNCTION {PREFIX}{id_}()"
    )
