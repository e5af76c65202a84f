"""Give rows that were kept when they were dropped back to where they came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.archive import empty
from tradebot.schema.batches import run_batches
from tradebot.schema.contention import LockBudget
from tradebot.schema.dropped import TABLE, Archive, forget
from tradebot.schema.losses import column_names
from tradebot.schema.steps import Batches

Say = Callable[[str], None]


def parents_first(
    connection: BaseDatabaseWrapper, found: Iterable[Archive]
) -> list[Archive]:
    """Return the archives so that rows come after those that they refer to."""
    left, result = list(found), []
    while left:
        tables = {archive.table_name for archive in left}
        ready = [
            archive
            for archive in left
            if not tables & _references(connection, archive.table_name)
        ]
        result += ready or left  # a circle: in the order in which they were kept
        left = [archive for archive in left if ready and archive not in ready]
    return result


def _references(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    if not column_names(connection, table):
        return set()
    with connection.cursor() as cursor:
        relations = connection.introspection.get_relations(cursor, table)
    return {relation[1] for relation in relations.values()} - {table}


def give_back(
    connection: BaseDatabaseWrapper, archive: Archive, say: Say, show: Say
) -> None:
    """Put the rows of an archive back where they came from, and end it.

    A row that belonged to one that is gone stays in the archive; where the column may
    be NULL, it is set to that instead. Can be called again after a crash.
    """
    columns = [
        name
        for name in column_names(connection, archive.table_name)
        if name in (archive.column_names or column_names(connection, archive.table))
    ]
    if not columns:
        return  # the migration was faked: there is nothing to put it into
    parents = _parents(connection, archive.table_name, columns)
    if archive.column_names:
        _give_back_columns(connection, archive, columns, parents, show)
    else:
        _give_back_table(connection, archive, columns, parents)
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {archive.table}")
        (left,) = cursor.fetchone()
        if not left:
            forget(connection, archive)
        else:
            cursor.execute(
                f"UPDATE {TABLE} SET waiting = %s, rows = %s WHERE id = %s",
                [False, left, archive.id],
            )
            say(
                f"  {left:,} rows of {archive.table_name} stay in archive "
                f"{archive.id}: the rows that they belong to are gone. See manage.py "
                "archives."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parent:
    """What a foreign key refers to."""

    table: str
    column: str
    may_be_null: bool


def _give_back_columns(
    connection: BaseDatabaseWrapper,
    archive: Archive,
    columns: Sequence[str],
    parents: dict[str, _Parent],
    show: Say,
) -> None:
    quote = connection.ops.quote_name
    table, key = quote(archive.table_name), quote(archive.key)
    values = {column: _value(quote, "kept", column, parents) for column in columns}
    settings = ", ".join(f"{quote(name)} = {value}" for name, value in values.items())
    todo = _has_parents(quote, archive.table, columns, parents)
    if connection.vendor == "postgresql":
        # What has been given back is deleted with it, so that a run that is cut off
        # and another one never overwrite what was written in between.
        statement = (
            f"WITH kept AS (DELETE FROM {archive.table} WHERE {{rows}} RETURNING *) "
            f"UPDATE {table} SET {settings} FROM kept WHERE {table}.{key} = kept.{key} "
            # Otherwise the server may read the whole table for a batch: it knows
            # nothing of the archive yet.
            f"AND {table}.{key} BETWEEN (SELECT min({key}) FROM kept) "
            f"AND (SELECT max({key}) FROM kept)"
        )
        step = Batches(
            table=archive.table, key=archive.key, todo=todo, statement=statement
        )
        run_batches(connection, step, LockBudget().statement(), show)
        return
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {table} SET {settings} FROM (SELECT * FROM {archive.table} "
            f"WHERE {todo}) AS kept WHERE {table}.{key} = kept.{key}"
        )
        cursor.execute(f"DELETE FROM {archive.table} WHERE {todo}")


def _give_back_table(
    connection: BaseDatabaseWrapper,
    archive: Archive,
    columns: Sequence[str],
    parents: dict[str, _Parent],
) -> None:
    quote = connection.ops.quote_name
    table = quote(archive.table_name)
    names = ", ".join(map(quote, columns))
    values = ", ".join(_value(quote, "kept", column, parents) for column in columns)
    todo = _has_parents(quote, "kept", columns, parents)
    # Nobody uses a table that was made just now: one statement for all rows.
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) "
            f"SELECT {values} FROM {archive.table} AS kept WHERE {todo}"
        )
        if cursor.rowcount == archive.rows:
            empty(connection, archive.table)
        else:
            cursor.execute(
                f"DELETE FROM {archive.table} "
                f"WHERE {_has_parents(quote, archive.table, columns, parents)}"
            )
        if archive.last_key is not None:
            _carry_on(connection, archive.table_name, archive.key, archive.last_key)


def _value(
    quote: Callable[[str], str], kept: str, column: str, parents: dict[str, _Parent]
) -> str:
    value = f"{kept}.{quote(column)}"
    parent = parents.get(column)
    if parent is None or not parent.may_be_null:
        return value
    return (
        f"(SELECT parent.{quote(parent.column)} FROM {quote(parent.table)} AS parent "
        f"WHERE parent.{quote(parent.column)} = {value})"
    )


def _has_parents(
    quote: Callable[[str], str],
    kept: str,
    columns: Iterable[str],
    parents: dict[str, _Parent],
) -> str:
    """Return the condition of the kept rows whose parents are there."""
    conditions = [
        f"EXISTS (SELECT 1 FROM {quote(parent.table)} AS parent "
        f"WHERE parent.{quote(parent.column)} = {kept}.{quote(column)})"
        for column in columns
        if (parent := parents.get(column)) and not parent.may_be_null
    ]
    return " AND ".join(conditions) or "TRUE"


def _parents(
    connection: BaseDatabaseWrapper, table: str, columns: Collection[str]
) -> dict[str, _Parent]:
    with connection.cursor() as cursor:
        relations = connection.introspection.get_relations(cursor, table)
        null = {
            column.name: bool(column.null_ok)
            for column in connection.introspection.get_table_description(cursor, table)
        }
    return {
        column: _Parent(table=relation[1], column=relation[0], may_be_null=null[column])
        for column, relation in relations.items()
        if column in columns and relation[1] != table
    }


def _carry_on(
    connection: BaseDatabaseWrapper, table: str, key: str, last_key: int
) -> None:
    """Number new rows after the last one that there has ever been."""
    quoted = connection.ops.quote_name(table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT coalesce(max({connection.ops.quote_name(key)}), 0) FROM {quoted}"
        )
        last = max(cursor.fetchone()[0], last_key)
        if connection.vendor == "sqlite":
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence VALUES (%s, %s)", [table, last])
        else:
            cursor.execute(
                "SELECT setval(pg_get_serial_sequence(%s, %s), %s)",
                [quoted, key, last],
            )
