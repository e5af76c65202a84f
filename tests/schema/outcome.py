"""Rows that a run of ``migrate`` has to bring along, and what it leads to."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import rows
from tests.migrations.catalogue import read_catalogue, read_definitions
from tests.migrations.chain import Walker

Outcome = dict[str, Any]

# What a fill puts in for want of a better time is not before this; SQLite's has no more
# than whole seconds.
BEGAN = dt.datetime.now(dt.UTC).replace(microsecond=0)
# Of what else there is, so that nothing is left over.
_OBJECTS = """
    SELECT 'relation', c.relname, coalesce(x.indisvalid, true)
    FROM pg_class c LEFT JOIN pg_index x ON x.indexrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'function', proname, true
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', tgname, tgenabled = 'O'
    FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'sequence at ' || coalesce(last_value, 0), sequencename, true
    FROM pg_sequences
    WHERE sequencename !~ '^(auth|counted|django|tradebot)_'
"""
_PERMISSIONS = """
    SELECT app_label, model, codename
    FROM django_content_type t LEFT JOIN auth_permission p ON t.id = p.content_type_id
"""

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+\d\d)?")


def add_rows(connection: BaseDatabaseWrapper) -> None:
    """Fill the documented tables: for every fill a NULL; the times are in the past."""
    rows.fill(connection, Walker(connection, squashed=True).apps())
    with connection.cursor() as cursor:

        def copy(table: str, **instead: str) -> None:
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608  # names of ours
            columns = {each[0]: f'"{each[0]}"' for each in cursor.description} | instead
            del columns["id"]
            names, values = ", ".join(columns), ", ".join(columns.values())
            cursor.execute(
                f'INSERT INTO "{table}" ({names}) '  # noqa: S608  # as above
                f'SELECT {values} FROM "{table}" CROSS JOIN numbers'
            )

        cursor.execute(
            "CREATE TEMPORARY TABLE numbers AS WITH RECURSIVE numbers (n) AS ("
            "SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 12) "
            "SELECT n FROM numbers"
        )
        past = "'2025-05-23 01:02:03'"
        for table in ("users", "api_keys", "bot_configs", "backtests"):
            cursor.execute(
                f"UPDATE {table} SET created_at = {past}, updated_at = {past}"  # noqa: S608  # as above
            )
        copy("trades", binance_order_id="NULL", timestamp="NULL")
        cursor.execute("DELETE FROM numbers WHERE n > 2")
        no_times = {"created_at": "NULL", "updated_at": "NULL"}
        copy("users", email="'user-' || n", is_active="NULL", **no_times)
        copy("api_keys", is_valid="NULL", **no_times)
        copy("bot_configs", **no_times)
        copy(
            "backtests",
            parameters="""'{"b": 1,  "a": 2, "a": 3}'""",
            daily_results="NULL",
            created_at="NULL",
        )
        cursor.execute("DROP TABLE numbers")


def outcome(connection: BaseDatabaseWrapper) -> Outcome:
    """Return what has to be the same after every run, by what it is."""
    result: Outcome = {"rows": rows.read(connection)}
    queries = {}
    if connection.vendor == "sqlite":
        queries["schema"] = "SELECT name, sql FROM sqlite_master"
    else:
        result["catalogue"] = read_catalogue(connection)
        result["definitions"] = read_definitions(connection)
        queries["objects"] = _OBJECTS
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        if "django_migrations" in tables:
            queries["migrations"] = "SELECT app, name FROM django_migrations"
        if "auth_permission" in tables:
            queries["permissions"] = _PERMISSIONS
        for table in tables:
            if table.startswith("tradebot_archive_"):
                # As text: JSON is kept as it was written.
                each = "*" if connection.vendor == "sqlite" else "each::text"
                queries[table] = f'SELECT {each} FROM "{table}" AS each'  # noqa: S608  # its own name
        for name, query in queries.items():
            cursor.execute(query)
            result[name] = sorted(cursor.fetchall(), key=str)
    # Their keys are from sequences, which do not go back with a transaction.
    for table in [*result["rows"]]:
        if table.startswith(("auth_", "django_")):
            del result["rows"][table]
    for row in result["rows"].get("counted", ()):
        del row["id"]
    plain: Outcome = _without_now(result)
    return plain


def _without_now(value: Any) -> Any:
    """Put a word in the place of every time since this program began."""
    if isinstance(value, dict):
        return {key: _without_now(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_now(each) for each in value]
    if isinstance(value, dt.datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return "now" if aware >= BEGAN else value
    if isinstance(value, str):
        return _TIME.sub(
            lambda match: str(_without_now(dt.datetime.fromisoformat(match[0]))), value
        )
    return value
