"""What a migration takes away of the rows that are there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from tradebot.schema.faults import DataLossError

# Measured on two cores that others used a little: 430,000 rows of a column, and what a
# table as a whole took longer for its bytes, 90 to 160 MB.
_KEPT_ROWS_PER_S = 400_000
_KEPT_BYTES_PER_S = 100_000_000

# As many take a few hundredths of a second: as long may writers be held up.
_KEPT_AT_ONCE = 10_000

Columns = set[tuple[str, str]]
"""Tables and columns of them; with "" for the column, the table itself."""


def columns_of(state: ProjectState) -> Columns:
    """Return the tables and columns that migrations have made up to a state."""
    found: Columns = set()
    for (app_label, model_name), model in state.models.items():
        if model.options.get("proxy") or not model.options.get("managed", True):
            continue
        table = str(model.options.get("db_table") or f"{app_label}_{model_name}")
        found.add((table, ""))
        for name, field in model.fields.items():
            if not field.many_to_many:
                suffix = "_id" if field.is_relation else ""
                found.add((table, field.db_column or f"{name}{suffix}"))
            elif field.remote_field.through is None:
                found.add((field.db_table or f"{table}_{name}", ""))
    return found


def columns_after(migration: Migration, state: ProjectState) -> Columns:
    """Return the tables and columns after a migration; ``state`` is left alone."""
    # Without its models, which would be made anew at every change.
    bare = ProjectState(
        {key: model.clone() for key, model in state.models.items()}, state.real_apps
    )
    return columns_of(migration.mutate_state(bare, preserve=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a migration drops of one table."""

    table: str
    columns: tuple[str, ...]
    """Empty where the table goes as a whole."""
    rows: int
    bytes: int
    key: str
    """The column of the primary key; empty where it is not one column."""

    def is_kept_by(self, executor: Any, migration: Migration) -> bool:
        """Whether it is kept when the executor runs the migration that drops it."""
        has_key = bool(self.key or not self.columns)
        return bool(executor.keep_dropped and migration.atomic and has_key)

    def is_copied_beside(self, connection: BaseDatabaseWrapper) -> bool:
        """Whether it is kept before the migration, while others go on writing."""
        return (
            connection.vendor == "postgresql"
            and bool(self.columns)
            and self.rows > _KEPT_AT_ONCE
        )

    @property
    def keeping_s(self) -> float:
        """About how many seconds it takes to keep it."""
        copied = 0 if self.columns else self.bytes
        return self.rows / _KEPT_ROWS_PER_S + copied / _KEPT_BYTES_PER_S

    def __str__(self) -> str:
        what = f"{', '.join(self.columns)} of " if self.columns else ""
        return f"{what}{self.table} ({self.rows:,} rows)"


def losses(connection: BaseDatabaseWrapper, lost: Columns) -> list[Loss]:
    """Return which of these tables and columns are there, empty ones too."""
    if not lost:
        return []
    tables = {table for table, column in lost if not column}
    columns: defaultdict[str, list[str]] = defaultdict(list)
    for table, column in sorted(lost):
        if column and table not in tables:
            columns[table].append(column)
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        found = []
        for table in sorted({*tables, *columns} & there):
            names = tuple(
                column
                for column in columns[table]
                if column in column_names(connection, table)
            )
            if table not in tables and not names:
                continue
            quoted = connection.ops.quote_name(table)
            cursor.execute(f"SELECT count(*) FROM {quoted}")
            (rows,) = cursor.fetchone()
            size = 0
            if connection.vendor == "postgresql":
                cursor.execute("SELECT pg_table_size(%s::regclass)", [quoted])
                (size,) = cursor.fetchone()
            keys = connection.introspection.get_primary_key_columns(cursor, table)
            found.append(
                Loss(
                    table=table,
                    columns=names,
                    rows=rows,
                    bytes=size,
                    key=keys[0] if keys and len(keys) == 1 else "",
                )
            )
    return found


def planned_losses(
    executor: Any, plan: Sequence[tuple[Migration, bool]]
) -> list[tuple[Migration, Loss]]:
    """Return what the migrations of a plan will drop of the rows that are there now."""
    loader = executor.loader
    if not loader.applied_migrations:
        return []
    wanted = dict(plan)
    lost: dict[Migration, Columns] = {}
    state = ProjectState(real_apps=loader.unmigrated_apps)
    before = columns_of(state)
    for migration, _ in executor.migration_plan(loader.graph.leaf_nodes(), True):
        state = migration.mutate_state(state, preserve=False)
        after = columns_of(state)
        if migration in wanted:
            lost[migration] = after - before if wanted[migration] else before - after
        before = after
    return [
        (migration, loss)
        for migration, _ in plan
        for loss in losses(executor.connection, lost[migration])
        if loss.rows
    ]


def refuse_data_loss(
    executor: Any, plan: Sequence[tuple[Migration, bool]], *, accepted: bool
) -> None:
    """Raise DataLossError where a plan would drop rows that are not kept."""
    if accepted:
        return
    found = [
        str(loss)
        for migration, loss in planned_losses(executor, plan)
        if not loss.is_kept_by(executor, migration)
    ]
    if found:
        raise DataLossError(rows="; ".join(found))


def column_names(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """Return the columns of a table; none where it is not there."""
    with connection.cursor() as cursor:
        if table not in connection.introspection.table_names(cursor):
            return []
        description = connection.introspection.get_table_description(cursor, table)
    return [column.name for column in description]
