"""Go back from one state of the history to another and forward again, with rows.

    python -m tests.with_postgres --no-sync python -m tests.migrations.pairs all|N

All pairs, or N drawn at random, on the database of DATABASE_URL's kind. A state is the
first migrations of the chain, up to one of them. At the earlier state rows are written:
they have to be there afterwards, and all other rows as they were. Prints a line for
each pair and exits with 1 if one failed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import django
from django.core.management.color import no_style
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import rows
from tradebot.schema.revisions import MigrationKey

NEW = "new@example.com"
Tables = dict[str, list[dict[str, Any]]]


class Pairs:
    """One database with rows in every table, which is taken back and forth."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        from tradebot.schema.executor import MigrationExecutor, chain_loader

        self.connection = connection
        self._executor = MigrationExecutor
        executor = MigrationExecutor(connection)
        executor.loader = chain_loader(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        self.chain: list[MigrationKey] = [
            (migration.app_label, migration.name) for migration, _ in plan
        ]
        self.go(len(self.chain))
        state: Any = executor.loader.project_state()
        self._models = state.apps
        self.restore()
        self.at_head = rows.read(connection)

    def restore(self) -> None:
        """Empty all tables and put the first rows in again, at the head."""
        ops = self.connection.ops
        tables = list(rows.read(self.connection))
        ops.execute_sql_flush(ops.sql_flush(no_style(), tables, reset_sequences=True))
        rows.fill(self.connection, self._models)

    def go(self, count: int) -> None:
        """Migrate to where the first ``count`` migrations of the chain are applied."""
        wanted = frozenset(self.chain[:count])
        executor = self._executor(self.connection, exactly=wanted)
        executor.migrate(executor.loader.graph.leaf_nodes())

    def check(self, later: int, earlier: int) -> str | None:
        """Return what is wrong after going from ``later`` to ``earlier`` and back."""
        self.go(later)
        expected = rows.read(self.connection)
        self.go(earlier)
        written = self._write()
        self.go(later)
        problem = _difference(expected, rows.read(self.connection), written)
        if written:
            with self.connection.cursor() as cursor:
                cursor.execute("DELETE FROM users WHERE email = %s", [NEW])
        return problem

    def _write(self) -> bool:
        """Insert a user, if there are users."""
        with self.connection.cursor() as cursor:
            if "users" not in self.connection.introspection.table_names(cursor):
                return False
            cursor.execute(
                "INSERT INTO users (email, hashed_password) VALUES (%s, 'x')", [NEW]
            )
        return True


def _difference(expected: Tables, found: Tables, written: bool) -> str | None:
    found = {table: list(found_rows) for table, found_rows in found.items()}
    new = [row for row in found.get("users", []) if row["email"] == NEW]
    if len(new) != written:
        return f"{len(new)} rows of those written in between"
    if new:
        found["users"].remove(new[0])
        if new[0]["id"] <= max(row["id"] for row in found["users"]):
            return f"the new row has the id {new[0]['id']}"
    for table in expected.keys() | found.keys():
        if expected.get(table) != found.get(table):
            return f"{table}: {found.get(table)} instead of {expected.get(table)}"
    return None


def states(chain: Sequence[MigrationKey]) -> Iterator[tuple[int, int]]:
    """Yield all pairs of a later and an earlier state."""
    for later in range(1, len(chain) + 1):
        for earlier in range(later):
            yield later, earlier


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", help="all, or how many")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.databases import scratch_database

    failures = count = 0
    with scratch_database() as connection:
        pairs = Pairs(connection)
        chosen = list(states(pairs.chain))
        if arguments.pairs != "all":
            draw = random.Random(arguments.seed)  # noqa: S311  # a sample, no secret
            chosen = sorted(draw.sample(chosen, int(arguments.pairs)))
        for later, earlier in chosen:
            problem = pairs.check(later, earlier)
            failures += problem is not None
            count += 1
            names = [
                ".".join(pairs.chain[each - 1]) if each else "zero"
                for each in (later, earlier)
            ]
            sys.stdout.write(f"{' → '.join(names)}: {problem or 'ok'}\n")
            sys.stdout.flush()
        pairs.go(len(pairs.chain))
        if problem := _difference(pairs.at_head, rows.read(connection), False):
            failures += 1
            sys.stdout.write(f"at the head: {problem}\n")
    sys.stdout.write(f"{count} pairs, {failures} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
