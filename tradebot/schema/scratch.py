"""A schema on the same server to try migrations in, which leaves no trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import sql

from tradebot.schema.faults import (
    NoScratchError,
    ReadOnlyError,
    StandbyError,
    describe,
)
from tradebot.schema.steps import AnyStep, Batches, LiveStep, Step, is_done

_NAME = "tradebot_scratch"


@contextmanager
def scratch_schema(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Let names mean tables of an empty schema; undo everything at the end.

    PostgreSQL only. No table of the database is touched or locked. Raises the
    PreflightError for which no schema can be made.
    """
    _check_may_create(connection)
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {_NAME}")
            cursor.execute(f"SET LOCAL search_path TO {_NAME}")
        try:
            yield
        finally:
            transaction.set_rollback(True, using=connection.alias)


def _check_may_create(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_user, pg_is_in_recovery(), "
            "current_setting('transaction_read_only')::bool, "
            "has_database_privilege(current_database(), 'CREATE')"
        )
        user, standby, read_only, may_create = cursor.fetchone()
    if standby:
        raise StandbyError(database=describe(connection))
    if read_only:
        raise ReadOnlyError(database=describe(connection))
    if not may_create:
        raise NoScratchError(user=user, database=describe(connection))


def replay(
    connection: BaseDatabaseWrapper, steps: Sequence[AnyStep]
) -> Iterator[tuple[AnyStep, str]]:
    """Do steps in a scratch schema, yielding each statement just before it is executed.

    Those that cannot be in a transaction take the form that can. Yields an operation
    that only Django can do with its description.
    """
    for step in steps:
        if isinstance(step, LiveStep):
            yield step, step.description
            with connection.schema_editor(atomic=False) as schema_editor:
                step.run(schema_editor)
            continue
        if isinstance(step, Batches):
            yield step, step.statement.format(rows=step.todo)
            continue  # there are no rows
        done = is_done(connection, step)
        for statement in step.statements:
            yield step, statement
            if not done:
                with connection.cursor() as cursor:
                    cursor.execute(in_transaction(step, statement))


def replay_all(connection: BaseDatabaseWrapper, steps: Iterable[AnyStep]) -> None:
    """Do steps as ``replay`` does, in as few round trips as can be."""
    for is_live, group in groupby(steps, _is_live):
        if is_live:
            for _ in replay(connection, list(group)):
                pass
        elif script := _joined(filter(None, map(_script, group))):
            with connection.cursor() as cursor:
                cursor.execute(script)


def _is_live(step: AnyStep) -> bool:
    return isinstance(step, LiveStep)


def _script(step: AnyStep) -> str:
    if not isinstance(step, Step):
        return ""  # there are no rows
    statements = [in_transaction(step, each) for each in step.statements]
    if step.done is None:
        return _joined(statements)
    body = " ".join(f"EXECUTE {_literal(each)};" for each in statements)
    return f"DO {_literal(f'BEGIN IF ({step.done}) THEN ELSE {body} END IF; END')}"


def _joined(statements: Iterable[str]) -> str:
    return "\n;\n".join(statements)


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(None)


def in_transaction(step: Step, statement: str) -> str:
    """Return the form of a statement of a step that can be in a transaction."""
    return statement if step.transactional else statement.replace(" CONCURRENTLY", "")
