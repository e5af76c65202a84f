"""What a run of migrate would do: each statement, what it locks and for what work.

The migrations up to now, and then those of the plan, are replayed in a scratch schema;
what a statement finds there is what it will find in the database. So nothing that is in
use is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.state import ProjectState

from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.locks import Effect, LockMode, Work, predict, read_schema
from tradebot.schema.losses import Loss, planned_losses
from tradebot.schema.revisions import MigrationKey
from tradebot.schema.scratch import replay, scratch_schema
from tradebot.schema.steps import Batches, LiveStep, compile_migration

Steps = Sequence[tuple[Migration, bool]]
"""Migrations in the order in which they run, and whether backwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a table is, as the server estimates it."""

    rows: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStatement:
    """A statement and what it does to the tables that are there now."""

    sql: str
    locks: dict[str, str]
    """Per table the mode of the lock, as in SQL."""
    work: str
    blocks_reads: bool
    blocks_writes: bool
    in_transaction: bool
    in_batches: bool
    known: bool
    """False where it cannot be told from the text: Python code, for example."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDrop:
    """A table with rows that is dropped, or columns of it."""

    table: str
    columns: tuple[str, ...]
    """Empty where the table goes as a whole."""
    rows: int
    bytes: int
    """Of the table, 0 on SQLite."""
    kept: bool
    """False where the rows would be lost."""
    seconds: float | None
    """About how long keeping them takes."""
    holds_up_writers: bool
    """Whether who writes to the table waits meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMigration:
    app: str
    name: str
    revision: str | None
    """The documented revision that it mirrors."""
    backwards: bool
    atomic: bool
    reversible: bool
    drops: tuple[PlannedDrop, ...]
    statements: tuple[PlannedStatement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    migrations: tuple[PlannedMigration, ...]
    tables: dict[str, Size]
    """The tables that are locked by some statement."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def plan_run(executor: MigrationExecutor, plan: Steps) -> RunPlan:
    """Return what a plan of Django's executor would do to its database.

    On SQLite without the statements: there is one writer at a time.
    """
    if executor.connection.vendor == "postgresql" and plan:
        statements = _replay(executor, plan)
    else:
        statements = {key(migration): () for migration, _ in plan}
    locked = {
        table
        for each in statements.values()
        for statement in each
        for table in statement.locks
    }
    sizes = _sizes(executor.connection) if locked else {}
    losses = planned_losses(executor, plan)
    return RunPlan(
        migrations=tuple(
            PlannedMigration(
                app=migration.app_label,
                name=migration.name,
                revision=getattr(migration, "revision", None),
                backwards=backwards,
                atomic=migration.atomic,
                reversible=all(each.reversible for each in migration.operations),
                drops=tuple(
                    _drop(executor, migration, loss)
                    for dropping, loss in losses
                    if dropping == migration
                ),
                statements=statements[key(migration)],
            )
            for migration, backwards in plan
        ),
        tables={table: sizes[table] for table in sorted(locked) if table in sizes},
    )


def key(migration: Migration) -> MigrationKey:
    return migration.app_label, migration.name


def _replay(
    executor: MigrationExecutor, plan: Steps
) -> dict[MigrationKey, tuple[PlannedStatement, ...]]:
    connection = executor.connection
    existing = set(_sizes(connection))
    loader: Any = executor.loader
    applied = [
        migration
        for migration, _ in executor.migration_plan(
            loader.graph.leaf_nodes(), clean_start=True
        )
        if key(migration) in loader.applied_migrations
    ]
    result: dict[MigrationKey, tuple[PlannedStatement, ...]] = {}
    state = ProjectState(real_apps=loader.unmigrated_apps)
    before: dict[MigrationKey, ProjectState] = {}
    with scratch_schema(connection):
        for migration in applied:
            before[key(migration)] = state
            steps, state = compile_migration(connection, migration, state)
            for _ in replay(connection, steps):
                pass
        for migration, backwards in plan:
            if backwards:
                state = before[key(migration)]
            steps, state = compile_migration(
                connection, migration, state, backwards=backwards
            )
            planned = []
            for step, sql in replay(connection, steps):
                if isinstance(step, LiveStep):
                    effect = Effect(locks={}, known=False)
                else:
                    effect = predict(sql, read_schema(connection))
                planned.append(_planned(step, sql, effect, existing))
            result[key(migration)] = tuple(planned)
    return result


def _drop(executor: MigrationExecutor, migration: Migration, loss: Loss) -> PlannedDrop:
    kept = loss.is_kept_by(executor, migration)
    return PlannedDrop(
        table=loss.table,
        columns=loss.columns,
        rows=loss.rows,
        bytes=loss.bytes,
        kept=kept,
        seconds=round(loss.keeping_s, 1) if kept else None,
        holds_up_writers=kept and not loss.is_copied_beside(executor.connection),
    )


def _planned(
    step: Any, sql: str, effect: Effect, existing: set[str]
) -> PlannedStatement:
    locks = {
        table: LockMode(mode).sql
        for table, mode in sorted(effect.locks.items())
        if table in existing
    }
    return PlannedStatement(
        sql=" ".join(sql.split()),
        locks=locks,
        # Of a table that is not there yet it is none.
        work=str(effect.work if locks else Work.NONE),
        blocks_reads=bool(locks) and effect.blocks_reads,
        blocks_writes=bool(locks) and effect.blocks_writes,
        in_transaction=getattr(step, "transactional", True),
        in_batches=isinstance(step, Batches),
        known=effect.known,
    )


def _sizes(connection: BaseDatabaseWrapper) -> dict[str, Size]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, greatest(reltuples, 0)::bigint, "
            "pg_total_relation_size(oid) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        return {
            table: Size(rows=rows, bytes=bytes_)
            for table, rows, bytes_ in cursor.fetchall()
        }


_WORK = {
    Work.NONE: "",
    Work.SCAN: "reads the table",
    Work.ROWS: "writes rows",
    Work.BUILD: "builds an index",
    Work.REWRITE: "writes the table anew",
}


def format_plan(plan: RunPlan, *, width: int = 100) -> Iterator[str]:
    """Yield the lines of a plan for people."""
    for migration in plan.migrations:
        facts = [
            "backwards" if migration.backwards else "forwards",
            "in one transaction" if migration.atomic else "step by step",
            "reversible" if migration.reversible else "cannot be reversed",
            *([f"revision {migration.revision}"] if migration.revision else []),
        ]
        yield f"{migration.app}.{migration.name}  ({', '.join(facts)})"
        for drop in migration.drops:
            yield f"    {_fate(drop)}"
        for statement in migration.statements:
            sql = ("in batches: " if statement.in_batches else "") + statement.sql
            yield f"    {sql if len(sql) <= width - 4 else sql[: width - 5] + '…'}"
            for table, mode in statement.locks.items():
                yield f"        {_effect(statement, table, mode, plan.tables)}"
            if not statement.known:
                yield "        may lock anything: it cannot be told beforehand"
    if plan.tables:
        yield "Locks that hold up others are waited for in turns of milliseconds."


def _fate(drop: PlannedDrop) -> str:
    what = f"{', '.join(drop.columns)} of " if drop.columns else ""
    if drop.seconds is None:
        return (
            f"LOSES {what}{drop.table} ({drop.rows:,} rows): refused without "
            "--accept-data-loss"
        )
    time = f"about {drop.seconds:,.0f} s" if drop.seconds >= 1 else "less than 1 s"
    who = "writers" if drop.holds_up_writers else "nobody"
    return (
        f"keeps {what}{drop.table} ({drop.rows:,} rows, {time}, holds up {who} "
        "meanwhile)"
    )


def _effect(
    statement: PlannedStatement, table: str, mode: str, tables: dict[str, Size]
) -> str:
    size = tables.get(table)
    held_up = {
        (False, False): "holds up nobody",
        (False, True): "holds up writers",
        (True, True): "holds up readers and writers",
    }[mode == LockMode.ACCESS_EXCLUSIVE.sql, _blocks_writes(mode)]
    parts = [
        f"{mode} on {table}",
        f"about {size.rows:,} rows, {_readable(size.bytes)}" if size else "",
        held_up,
        _WORK[Work(statement.work)],
    ]
    return "; ".join(filter(None, parts))


def _blocks_writes(mode: str) -> bool:
    strength = next(each for each in LockMode if each.sql == mode)
    return strength >= LockMode.SHARE


def _readable(size: int) -> str:
    value = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1024:
            return f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.1f} TB"
