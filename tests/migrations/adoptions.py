"""Take over a database of the old program and look whether all of it is still there.

    python -m tests.migrations.adoptions

does so for each of the 16 states, empty and with rows, and prints a line for each.
"""

from __future__ import annotations

import os
import sys
from io import StringIO
from typing import Any

import django
from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import old_program, rows

# What the migrations fill where it is NULL, as docs/revisions.md says.
FILLED = {
    ("users", "created_at"), ("users", "updated_at"), ("users", "is_active"),
    ("api_keys", "created_at"), ("api_keys", "updated_at"), ("api_keys", "is_valid"),
    ("bot_configs", "created_at"), ("bot_configs", "updated_at"),
    ("trades", "timestamp"),
    ("backtests", "created_at"), ("backtests", "updated_at"),
}  # fmt: skip
Tables = dict[str, list[dict[str, Any]]]


def run(connection: BaseDatabaseWrapper, *arguments: str, **options: Any) -> str:
    """Run a command on a database and return what it prints."""
    from django.core.management import call_command

    output = StringIO()
    options = {"stdout": output, "stderr": output, **options}
    call_command(*arguments, database=connection.alias, **options)
    return output.getvalue()


def take_over(
    connection: BaseDatabaseWrapper, state: old_program.State, *, with_rows: bool
) -> Tables:
    """Build the old database, adopt and migrate it; return the rows as they were."""
    old_program.build(connection, state, rows=with_rows)
    before = rows.read(connection)
    run(connection, "adopt")
    run(connection, "migrate")
    return before


def lost(before: Tables, after: Tables) -> str | None:
    """Return which value of the old database is another one now."""
    for table in old_program.TABLES:
        old = before.get(table, [])
        new = after.get(table, [])
        if len(old) != len(new):
            return f"{table}: {len(new)} rows instead of {len(old)}"
        by_key = {row["id"]: row for row in new}
        for row in old:
            for column, value in row.items():
                found = by_key[row["id"]][column]
                filled = value is None and (table, column) in FILLED
                if found != value and not (filled and found is not None):
                    return f"{table}.{column} of {row['id']}: {value!r} is {found!r}"
    return None


def unusable(
    connection: BaseDatabaseWrapper, state: old_program.State, *, with_rows: bool
) -> str | None:
    """Return what does not work with the models: reading, JSON, the next key."""
    for model in apps.get_models():
        list(model._default_manager.using(connection.alias).all())
    backtests = apps.get_model("backtests", "Backtest").objects.using(connection.alias)
    list(backtests.filter(parameters__ema_fast=9, daily_results__0__isnull=True))
    if not with_rows:
        return None
    for table, last in old_program.LAST_IDS.items():
        if table not in state.tables:
            continue
        with connection.cursor() as cursor:
            cursor.execute("SELECT nextval(pg_get_serial_sequence(%s, 'id'))", [table])
            (next_id,) = cursor.fetchone()
        if next_id != last + 1:
            return f"the next id of {table} is {next_id}, the last was {last}"
    return None


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.databases import scratch_database
    from tradebot.schema.catalogue import compare, read_catalogue

    with scratch_database() as connection:
        run(connection, "migrate")
        fresh = read_catalogue(connection)
    failures = 0
    for state in old_program.STATES:
        for with_rows in (False, True):
            with scratch_database() as connection:
                before = take_over(connection, state, with_rows=with_rows)
                problems = [
                    *map(str, compare(fresh, read_catalogue(connection))),
                    lost(before, rows.read(connection)),
                    unusable(connection, state, with_rows=with_rows),
                ]
            found = "; ".join(filter(None, problems))
            failures += bool(found)
            name = f"{state.name}, {'with rows' if with_rows else 'empty'}"
            sys.stdout.write(f"{name}: {found or 'ok'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{2 * len(old_program.STATES)} states, {failures} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
