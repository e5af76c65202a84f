"""Bring a database from each documented state to each later one by a script for psql.

    DATABASE_URL=postgres://… python -m tests.schema.script_pairs

The states are base, the documented revisions, the two heads at once, and the newest
migrations. What a script leaves has to be what the migrations leave one by one. Prints
a line for each pair and exits with 1 if one failed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402
from django.db.migrations.loader import MigrationLoader  # noqa: E402

from tests.databases import scratch_database  # noqa: E402
from tests.migrations.chain import Walker  # noqa: E402
from tests.schema.scripts import copy_of, outcome, run_psql  # noqa: E402
from tradebot.schema.revisions import load_revisions, migrations_at  # noqa: E402, migrations_at
from tradebot.schema.script import write_script  # noqa: E402
from tradebot.schema.states import State, everything, parse_state  # noqa: E402

HEADS = "d24f9f7e7532,a1b2c3d4e5f6"
_REPLACES = {
    key: migration.replaces
    for key, migration in MigrationLoader(None).disk_migrations.items()
}


def states() -> list[State]:
    """Return the states, each after those that come before it."""
    revisions = [each.id for each in load_revisions()]
    named = ["base", *revisions[:-1], HEADS, revisions[-1]]
    return [*map(parse_state, named), everything()]


def make(state: State, connection: BaseDatabaseWrapper) -> None:
    """Bring an empty database to a state, one migration at a time."""
    walker = Walker(connection, squashed=False)
    if state.name == "base":
        connection.ensure_connection()
    elif state.applied == everything().applied:
        walker.forwards(*migrations_at(load_revisions()[-1].id))
        call_command("migrate", database=connection.alias, verbosity=0)
    else:
        walker.forwards(*migrations_at(*state.name.split(", ")))


def left(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return what there is in a form that is the same on every way to a state."""
    parts = outcome(connection)
    events = Counter[tuple[str, ...]]()
    for (action, event, app, name, *_), count in parts["events"].items():
        for key in _REPLACES[app, name] or [(app, name)]:
            events[action, event, *key] += count
    parts["events"] = events
    return parts


def main() -> int:
    found = Counter[bool]()
    with ExitStack() as stack:
        databases: dict[str, BaseDatabaseWrapper] = {}
        expected: dict[str, dict[str, Any]] = {}
        for state in states():
            with scratch_database() as connection:
                make(state, connection)
                if state.applied:
                    expected[state.name] = left(connection)
                databases[state.name] = stack.enter_context(copy_of(connection))
        for start in states():
            for end in states():
                if not start.applied < end.applied:
                    continue
                parts = list(write_script(start, end))
                with copy_of(databases[start.name]) as copy:
                    result = run_psql(copy, parts)
                    problem = result.stderr
                    if not problem:
                        got = left(copy)
                        problem = ", ".join(
                            part
                            for part, what in expected[end.name].items()
                            if got[part] != what
                        )
                found[not problem] += 1
                sys.stdout.write(
                    f"{start.name} -> {end.name}: "
                    f"{f'failed: {problem}' if problem else 'ok'}\n"
                )
                sys.stdout.flush()
    sys.stdout.write(f"{found[True]} ok, {found[False]} failed\n")
    return 1 if found[False] else 0


if __name__ == "__main__":
    sys.exit(main())
