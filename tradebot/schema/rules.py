"""What rows have to be like before a migration can tighten their table.

Rows that break a rule are found before the first write, listed, and repaired when the
operator says so; what a repair replaces or deletes is kept in an archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from tradebot.schema.archive import REPAIRS, REPAIRS_TABLE
from tradebot.schema.faults import RowsInTheWayError

SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRule:
    """A demand of a migration on the rows that are there.

    ``where`` selects the rows that break it. ``repair`` is what an UPDATE of them would
    set, or None where they have to be deleted; ``repaired`` says it in words.
    """

    name: str
    table: str
    key: str
    problem: str
    where: str
    repair: str | None
    repaired: str
    show: tuple[str, ...]
    """The columns that the rule is about."""
    setup: str | None = None
    only: str | None = None
    """The kind of database that has the rule, where not all have it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """The rows that break a rule: how many, and some of them with what is in them."""

    rule: DataRule
    count: int
    rows: tuple[dict[str, Any], ...]

    def __str__(self) -> str:
        lines = [
            f"{self.count:,} of {self.rule.table}: {self.rule.problem} "
            f"({self.rule.name})"
        ]
        for row in self.rows:
            values = ", ".join(f"{name} {value!s:.60}" for name, value in row.items())
            lines.append(f"    {values}")
        if self.count > len(self.rows):
            lines.append(f"    and {self.count - len(self.rows):,} more")
        return "\n".join(lines)


def rules_of(
    connection: BaseDatabaseWrapper,
    state: ProjectState,
    plan: Sequence[tuple[Migration, bool]],
) -> list[DataRule]:
    """Return the rules of the migrations that would be applied, in their order.

    ``state`` is the one of the database; it is left alone.
    """
    result: list[DataRule] = []
    state = state.clone()
    editor = connection.schema_editor(collect_sql=True)
    for migration, backwards in plan:
        if backwards:
            return []
        for operation in migration.operations:
            operation.state_forwards(migration.app_label, state)
            if hasattr(operation, "rules"):
                result += operation.rules(migration.app_label, state, editor)
    return result


def violations_of(
    executor: Any, plan: Sequence[tuple[Migration, bool]]
) -> list[Violation]:
    """Return what the rows that are there break of the rules of a plan."""
    if not executor.loader.applied_migrations:
        return []  # there are no rows
    state = executor._create_project_state(with_applied_migrations=True)
    connection = executor.connection
    return find_violations(connection, rules_of(connection, state, plan))


def refuse_rows_in_the_way(
    executor: Any, plan: Sequence[tuple[Migration, bool]]
) -> None:
    """Raise RowsInTheWayError where a plan would reject rows that are there."""
    if violations := violations_of(executor, plan):
        rows = "\n".join(map(str, violations))
        raise RowsInTheWayError(rows=f"\n{rows}")


def find_violations(
    connection: BaseDatabaseWrapper, rules: Iterable[DataRule]
) -> list[Violation]:
    """Return the rules that rows break; of tables and columns that are there."""
    result = []
    columns = _columns(connection)
    for rule in rules:
        if rule.only not in (None, connection.vendor):
            continue
        if not {rule.key, *rule.show} <= columns.get(rule.table, set()):
            continue
        violation = _violation(connection, rule)
        if violation.count:
            result.append(violation)
    return result


def repair(connection: BaseDatabaseWrapper, rule: DataRule) -> int:
    """Bring the rows that break a rule into line with it; return how many.

    Where they are deleted, so are the rows that refer to them. Each is archived as it
    was, in the same transaction.
    """
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(REPAIRS_TABLE)
        if rule.setup:
            cursor.execute(rule.setup)
        keys = _keys(connection, rule.table, rule.key, rule.where)
        chosen = _in(rule.key, keys)
        if keys and rule.repair is None:
            _delete(connection, rule, rule.table, rule.key, keys)
        elif keys:
            _archive(connection, rule, rule.table, rule.key, keys)
            table = connection.ops.quote_name(rule.table)
            cursor.execute(f"UPDATE {table} SET {rule.repair} WHERE {chosen}")
    return len(keys)


def _delete(
    connection: BaseDatabaseWrapper,
    rule: DataRule,
    table: str,
    key: str,
    keys: list[int],
) -> None:
    for child, column in _references_to(connection, table):
        (child_key,) = _primary_keys(connection, child)
        dependent = _keys(connection, child, child_key, _in(column, keys))
        if dependent:
            _delete(connection, rule, child, child_key, dependent)
    _archive(connection, rule, table, key, keys)
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {connection.ops.quote_name(table)} WHERE {_in(key, keys)}"
        )


def _archive(
    connection: BaseDatabaseWrapper,
    rule: DataRule,
    table: str,
    key: str,
    keys: list[int],
) -> None:
    columns = sorted(_columns(connection)[table])
    statement = REPAIRS.keep(connection.vendor, table, key, columns, _in(key, keys))
    with connection.cursor() as cursor:
        cursor.execute(statement, [rule.name])


def _keys(
    connection: BaseDatabaseWrapper, table: str, key: str, where: str
) -> list[int]:
    table, key = map(connection.ops.quote_name, (table, key))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key} FROM {table} WHERE {where} ORDER BY {key}")
        return [row[0] for row in cursor.fetchall()]


def _in(column: str, keys: list[int]) -> str:
    return f'"{column}" IN ({", ".join(map(str, keys))})'


def _references_to(
    connection: BaseDatabaseWrapper, table: str
) -> list[tuple[str, str]]:
    """Return the tables and columns of the foreign keys that refer to a table."""
    with connection.cursor() as cursor:
        return [
            (child, column)
            for child in connection.introspection.table_names(cursor)
            for column, (_, parent) in connection.introspection.get_relations(
                cursor, child
            ).items()
            if parent == table
        ]


def _primary_keys(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    with connection.cursor() as cursor:
        return connection.introspection.get_primary_key_columns(cursor, table) or []


def _violation(connection: BaseDatabaseWrapper, rule: DataRule) -> Violation:
    table = connection.ops.quote_name(rule.table)
    shown = list(dict.fromkeys((rule.key, *rule.show)))
    columns = ", ".join(map(connection.ops.quote_name, shown))
    with connection.cursor() as cursor:
        if rule.setup:
            cursor.execute(rule.setup)
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {rule.where}")
        (count,) = cursor.fetchone()
        if not count:
            return Violation(rule=rule, count=0, rows=())
        cursor.execute(
            f"SELECT {columns} FROM {table} WHERE {rule.where} "
            f"ORDER BY {connection.ops.quote_name(rule.key)} LIMIT {SHOWN_ROWS}"
        )
        rows = tuple(dict(zip(shown, row, strict=True)) for row in cursor.fetchall())
    return Violation(rule=rule, count=count, rows=rows)


def _columns(connection: BaseDatabaseWrapper) -> dict[str, set[str]]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT table_name, column_name FROM information_schema.columns "
                "WHERE table_schema = current_schema()"
            )
        else:
            cursor.execute(
                "SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) "
                "c WHERE t.type = 'table'"
            )
        result: dict[str, set[str]] = {}
        for table, column in cursor.fetchall():
            result.setdefault(table, set()).add(column)
    return result
