"""What migrations lock is predicted right, for every statement of every migration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import rows
from tests.migrations.chain import Walker
from tests.schema.held_locks import read_locks
from tradebot.schema.locks import Effect, LockMode, predict, read_schema

pytestmark = pytest.mark.postgresql


class Comparison:
    """Compares prediction and server after every statement of a connection.

    An execute wrapper. A weak lock may be predicted and not taken: whether the table
    that a foreign key refers to is looked up depends on the rows.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.statements: list[str] = []
        self.wrong: list[str] = []
        self._asking = False
        self._transaction: str | None = None
        self._tables: dict[int, str] = {}
        self._predicted: dict[str, LockMode] = {}

    def __call__(
        self, execute: Callable[..., Any], sql: str, params: Any, *args: Any
    ) -> Any:
        if self._asking:
            return execute(sql, params, *args)
        statement = str(self.connection.ops.compose_sql(sql, params))  # type: ignore[attr-defined]  # PostgreSQL's has it
        self._asking = True
        self._expect(statement)
        self._asking = False
        result = execute(sql, params, *args)
        self._asking = True
        self._compare(statement)
        self._asking = False
        return result

    def _expect(self, statement: str) -> None:
        effect = predict(statement, read_schema(self.connection))
        self.statements.append(statement)
        if not effect.known:
            self.wrong.append(f"unknown: {statement}")
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT oid::bigint, relname FROM pg_class WHERE relkind = 'r' "
                "AND relnamespace = 'public'::regnamespace"
            )
            now = dict(cursor.fetchall())
            cursor.execute(
                "SELECT virtualtransaction FROM pg_locks "
                "WHERE pid = pg_backend_pid() LIMIT 1"
            )
            (running,) = cursor.fetchone()
        if running != self._transaction:
            self._transaction, self._tables, self._predicted = running, now, {}
        # Renamed in this transaction, a table is still the one that it was.
        before = {
            name: self._tables[oid] for oid, name in now.items() if oid in self._tables
        }
        locks = {
            before[name]: mode for name, mode in effect.locks.items() if name in before
        }
        self._predicted = dict(
            (Effect(locks=self._predicted) | Effect(locks=locks)).locks
        )

    def _compare(self, statement: str) -> None:
        if not self.connection.in_atomic_block:
            return  # its locks are gone
        taken = read_locks(self.connection, self._tables)
        for table in taken.keys() | self._predicted.keys():
            if table.startswith("tradebot_archive_"):
                continue  # written by a trigger, which is not followed
            predicted, observed = self._predicted.get(table, 0), taken.get(table, 0)
            weak = observed < predicted <= LockMode.ROW_EXCLUSIVE
            if predicted != observed and not weak:
                self.wrong.append(
                    f"{table}: {predicted!r}, not {observed!r}, after {statement}"
                )


@pytest.mark.long
@pytest.mark.parametrize("squashed", [False, True], ids=["chain", "squashed"])
def test_locks_of_every_migration_are_the_predicted_ones(
    squashed: bool, empty_database: BaseDatabaseWrapper
) -> None:
    walker = Walker(empty_database, squashed=squashed)
    plan = walker.plan()
    comparison = Comparison(empty_database)

    for key in plan:
        with empty_database.execute_wrapper(comparison):
            walker.forwards(key)
        rows.fill(empty_database, walker.apps())
    for key in reversed(plan):
        with empty_database.execute_wrapper(comparison):
            walker.backwards(key)

    assert comparison.wrong == []
    assert len(comparison.statements) > len(plan)
