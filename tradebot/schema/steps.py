"""What a migration does on PostgreSQL, statement by statement, before it is done.

Django executes each operation as soon as it has worked out its statements, so that a
lock taken by the first is held while Python thinks about the next. Here a migration is
compiled to steps first; they can then be run in one go (``executor``) or shown
(``plan``). What is shown is what is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import migrations
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.exceptions import IrreversibleError
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from psycopg import sql as psycopg_sql


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Statements that take effect together.

    ``done`` is a query that says by one boolean whether they have been executed
    already; a migration that is not atomic needs it, to go on where a crash left it.
    """

    statements: tuple[str, ...]
    done: str | None = None
    transactional: bool = True
    """False where they cannot be in a transaction, such as CREATE INDEX CONCURRENTLY:
    then they take effect one after the other, and all of them can be repeated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """A change of many rows, in short transactions along the key.

    ``todo`` is the SQL condition of the rows that are left, ``statement`` changes a
    batch of them: ``{rows}`` in it stands for the condition that selects the batch.
    ``done`` is as in Step: where it is true, ``todo`` may make no sense any more.
    """

    table: str
    key: str
    todo: str
    statement: str
    done: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStep:
    """An operation that only Django can execute: Python code, or one that looks first.

    ``run`` gets a schema editor on the database.
    """

    description: str
    operation: Operation
    run: Callable[[Any], None]


AnyStep = Step | Batches | LiveStep


class _NeedsDatabaseError(Exception):
    """The statements of an operation depend on what is in the database."""


class StepEditor(DatabaseSchemaEditor):
    """Django's schema editor for PostgreSQL, which collects steps.

    It asks the database nothing.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        # Not atomic: Django's would begin a transaction.
        super().__init__(connection, collect_sql=True, atomic=False)
        self.steps: list[AnyStep] = []
        self._removing_field = False

    def remove_field(self, model: Any, field: Any) -> None:
        self._removing_field = True
        super().remove_field(model, field)
        self._removing_field = False

    def execute(self, sql: Any, params: Any = ()) -> None:
        text = str(sql)
        if params is not None:
            text %= tuple(
                psycopg_sql.Literal(value).as_string(None) for value in params
            )
        self.steps.append(Step(statements=(text,)))

    def _constraint_names(
        self, *args: Any, foreign_key: bool | None = None, **kwargs: Any
    ) -> list[str]:
        if foreign_key and self._removing_field:
            return []  # it goes with its column
        raise _NeedsDatabaseError


def compile_migration(
    connection: BaseDatabaseWrapper,
    migration: Migration,
    state: ProjectState,
    *,
    backwards: bool = False,
) -> tuple[list[AnyStep], ProjectState]:
    """Return the steps of a migration on PostgreSQL and the state after it.

    ``state`` is the one before the migration, and is left alone; backwards that is
    where the steps lead. Raises IrreversibleError for what has no reverse.
    """
    moves = list(_moves(migration, state))
    result = moves[-1][2] if moves else state
    if backwards:
        moves = [
            (_reversible(operation, migration), after, before)
            for operation, before, after in reversed(moves)
        ]
        result = state
    with StepEditor(connection) as editor:
        for operation, before, after in moves:
            _compile_operation(
                editor, migration.app_label, operation, before, after, backwards
            )
    return editor.steps, result


def perform(schema_editor: Any, *steps: AnyStep) -> None:
    """Do the steps of an operation with the schema editor that Django gave it."""
    if isinstance(schema_editor, StepEditor):
        schema_editor.steps.extend(steps)
        return
    for step in steps:
        if isinstance(step, LiveStep):
            step.run(schema_editor)
        elif schema_editor.collect_sql or not is_done(schema_editor.connection, step):
            for statement in statements_of(step):
                schema_editor.execute(statement, None)


def statements_of(step: Step | Batches) -> tuple[str, ...]:
    """Return the statements of a step, all rows of a batch at once."""
    if isinstance(step, Batches):
        return (step.statement.format(rows=f"({step.todo})"),)
    return step.statements


def is_done(connection: BaseDatabaseWrapper, step: AnyStep) -> bool:
    """Ask the database whether a step has been executed already."""
    if isinstance(step, LiveStep) or step.done is None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(step.done)
        return bool(cursor.fetchone()[0])


def _moves(
    migration: Migration, state: ProjectState
) -> Iterator[tuple[Operation, ProjectState, ProjectState]]:
    """Yield each operation with the states before and after it."""
    after = state
    for operation in migration.operations:
        before, after = after, after.clone()
        operation.state_forwards(migration.app_label, after)
        yield operation, before, after


def _reversible(operation: Operation, migration: Migration) -> Operation:
    if not operation.reversible:
        raise IrreversibleError(f"{operation} in {migration} has no reverse")
    return operation


def _compile_operation(
    editor: StepEditor,
    app_label: str,
    operation: Operation,
    before: ProjectState,
    after: ProjectState,
    backwards: bool,
) -> None:
    run = operation.database_backwards if backwards else operation.database_forwards

    def live(schema_editor: Any) -> None:
        run(app_label, schema_editor, before, after)

    as_live = LiveStep(description=operation.describe(), operation=operation, run=live)
    if _runs_python(operation):
        editor.steps.append(as_live)
        return
    count, deferred = len(editor.steps), list(editor.deferred_sql)
    try:
        run(app_label, editor, before, after)
    except _NeedsDatabaseError:
        del editor.steps[count:]
        editor.deferred_sql = deferred
        editor.steps.append(as_live)


def _runs_python(operation: Operation) -> bool:
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        return any(map(_runs_python, operation.database_operations))
    return isinstance(operation, migrations.RunPython)
