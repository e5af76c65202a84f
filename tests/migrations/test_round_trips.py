"""Every migration forward and back to zero, with rows in every table."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tests.migrations import rows
from tests.migrations.catalogue import read_catalogue, read_definitions
from tests.migrations.chain import Walker
from tradebot.schema.revisions import Revision, load_revisions, migrations_at

# Django's tables, one of whose migrations moves a column, and the archives.
_LEFT_OUT = ("auth_", "django_", "tradebot_")


def _schema(connection: BaseDatabaseWrapper) -> Any:
    """Return the schema of our tables in a form that two states can be compared by.

    The columns are in the order of their names: one that was made anew for another
    type has moved to the end of its table.
    """
    if connection.vendor == "postgresql":
        tables = read_catalogue(connection)
        for table in tables.values():
            table["columns"].sort(key=lambda column: str(column["name"]))
        definitions = [
            row
            for row in read_definitions(connection)
            if not row[0].startswith(_LEFT_OUT)
        ]
    else:
        tables, definitions = {}, []
        with connection.cursor() as cursor:
            cursor.execute("SELECT tbl_name, name, sql FROM sqlite_master ORDER BY 2")
            for table, *definition in cursor.fetchall():
                name, sql = definition
                columns = re.sub(r'^CREATE TABLE "\w+" \((.*)\)$', r"\1", sql or "")
                parts = sorted(re.split(r", (?![^(]*\))", columns))
                tables.setdefault(table, []).append((name, parts))
    ours = {
        name: table
        for name, table in tables.items()
        if not name.startswith((*_LEFT_OUT, "sqlite_"))
    }
    return ours, definitions


def _of_columns(table: list[dict[str, Any]], columns: set[str]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name in columns} for row in table]


@pytest.mark.long
def test_chain_with_rows_runs_to_the_head_and_back_to_zero(
    empty_database: BaseDatabaseWrapper,
) -> None:
    walker = Walker(empty_database, squashed=False)
    plan = walker.plan()
    schemas = []

    for key in plan:
        schemas.append(_schema(empty_database))
        walker.forwards(key)
        rows.fill(empty_database, walker.apps())
    at_head = rows.read(empty_database)
    assert all(at_head.values()), "a table has no row: the test would show nothing"

    for key in reversed(plan):
        walker.backwards(key)
        before = schemas.pop()
        assert _schema(empty_database) == before, f"{key} does not reverse itself"
        for table, left in rows.read(empty_database).items():
            assert left, f"{key} emptied {table}"
            columns = set(left[0]) & set(at_head[table][0])
            assert _of_columns(left, columns) == _of_columns(at_head[table], columns), (
                f"{key} lost or changed rows of {table} on its way back"
            )

    assert rows.read(empty_database) == {}
    assert walker.applied() == set()


@pytest.mark.long
def test_squashed_path_runs_again_after_it_went_back_to_zero(
    empty_database: BaseDatabaseWrapper,
) -> None:
    walker = Walker(empty_database, squashed=True)
    plan = walker.plan()

    walker.forwards(*plan)
    once = _schema(empty_database)
    walker.backwards(*reversed(plan))
    walker.forwards(*plan)

    assert _schema(empty_database) == once


def test_strategy_revision_on_a_populated_table_sets_simple(
    empty_database: BaseDatabaseWrapper,
) -> None:
    walker = Walker(empty_database, squashed=False)
    walker.forwards(*migrations_at("69694099e14e"))
    rows.fill(empty_database, walker.apps())

    walker.forwards(("bots", "0004_add_bot_config_strategy"))

    bot = rows.read(empty_database)["bot_configs"][0]
    assert (bot["strategy"], bot["ema_period"]) == ("simple", None)


def test_late_parameters_leave_existing_bots_without_a_value(
    empty_database: BaseDatabaseWrapper,
) -> None:
    walker = Walker(empty_database, squashed=False)
    walker.forwards(*migrations_at("69694099e14e"))
    rows.fill(empty_database, walker.apps())

    walker.forwards(
        *migrations_at("107856acfca7")[len(migrations_at("69694099e14e")) :]
    )

    bot = rows.read(empty_database)["bot_configs"][0]
    assert [bot[name] for name in ("position_type", "auto_transfer_funds")] == [
        None
    ] * 2
    assert bot["leverage"] is None


@pytest.mark.parametrize(
    "there",
    [
        [],
        ["reset_token varchar"],
        ["reset_token_expires timestamp with time zone"],
        ["reset_token varchar", "reset_token_expires timestamp with time zone"],
    ],
    ids=["none", "token", "expires", "both"],
)
def test_reset_token_revision_adds_only_the_columns_that_are_missing(
    there: list[str], empty_database: BaseDatabaseWrapper
) -> None:
    if empty_database.vendor == "sqlite":
        there = [each.replace("timestamp with time zone", "datetime") for each in there]
    walker = Walker(empty_database, squashed=False)
    walker.forwards(*migrations_at("8dff47bdfa5f"))
    rows.fill(empty_database, walker.apps())
    with empty_database.cursor() as cursor:
        for column in there:
            cursor.execute(f"ALTER TABLE users ADD COLUMN {column} NULL")
        if there:
            name = there[0].split()[0]
            cursor.execute(f"UPDATE users SET {name} = '2025-01-01'")  # noqa: S608  # as above
    key = ("accounts", "0002_add_user_reset_token")

    walker.forwards(key)

    user = rows.read(empty_database)["users"][0]
    assert {"reset_token", "reset_token_expires"} < set(user)
    if there:
        assert "2025-01-01" in str(user[there[0].split()[0]])

    walker.backwards(key)

    user = rows.read(empty_database)["users"][0]
    assert not {"reset_token", "reset_token_expires"} & set(user)


# What `migrate APP NAME` drops of the documented tables: what was created after NAME in
# the same app, and nothing else.
_DROPPED = {("bots", "0001_create_bot_config_table"): {"bot_states"}}
_TABLES = {"api_keys", "backtests", "bot_configs", "bot_states", "trades", "users"}


@pytest.mark.long
def test_migrate_goes_back_to_a_revision_of_a_squashed_install(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    def migrate(*target: str) -> None:
        call_command("migrate", *target, database=migrated_database.alias, verbosity=0)

    migrate()
    fresh = _schema(migrated_database)

    # Each way goes past all the others of the chain: these stand for them.
    for revision in load_revisions()[::7]:
        migrate(*revision.migration)
        with migrated_database.cursor() as cursor:
            tables = set(migrated_database.introspection.table_names(cursor))
        dropped = _TABLES - tables
        assert dropped == _DROPPED.get(revision.migration, set()), revision

        migrate()
        assert _schema(migrated_database) == fresh, revision


@pytest.mark.parametrize("replace", [False, True], ids=["chain", "squashed"])
def test_each_app_has_one_newest_migration(
    replace: bool, empty_database: BaseDatabaseWrapper
) -> None:
    graph = MigrationLoader(empty_database, replace_migrations=replace).graph
    newest = Counter(
        app
        for app, name in graph.leaf_nodes()
        # Without replacement the squashed ones are ends of their own.
        if not graph.nodes[app, name].replaces or replace
    )

    assert set(newest.values()) == {1}


# Each goes past those before it: these stand for all.
@pytest.mark.long
@pytest.mark.parametrize("revision", load_revisions()[3::5], ids=lambda each: each.id)
def test_migrate_reaches_every_revision_from_an_empty_database(
    revision: Revision, empty_database: BaseDatabaseWrapper
) -> None:
    call_command(
        "migrate", *revision.migration, database=empty_database.alias, verbosity=0
    )
    applied = set(MigrationRecorder(empty_database).applied_migrations())
    assert revision.migration in applied

    call_command(
        "migrate", "accounts", "zero", database=empty_database.alias, verbosity=0
    )

    with empty_database.cursor() as cursor:
        tables = set(empty_database.introspection.table_names(cursor))
    assert not tables & _TABLES
