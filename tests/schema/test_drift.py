"""Drift between a database, its migrations and the models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import scratch_database
from tests.migrations.chain import Walker
from tests.schema.seeded_differences import OTHER_KINDS, OTHER_SEEDS, SEEDS, Seed
from tradebot.schema.catalogue import (
    Catalogue,
    Difference,
    compare,
    expected_catalogue,
    read_catalogue,
)
from tradebot.schema.drift import find_drift, format_drift
from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.faults import (
    NoScratchError,
    OtherVersionError,
    ReadOnlyError,
    UnadoptedError,
)
from tradebot.schema.lean_state import LeanState
from tradebot.schema.revisions import migrations_at
from tradebot.schema.steps import AnyStep, LiveStep, compile_migration


@pytest.fixture(scope="module")
def migrated(django_db_blocker: DjangoDbBlocker) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database of the newest migrations, for all tests here."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        call_command("migrate", database=connection.alias, verbosity=0)
        yield connection


def newest(connection: BaseDatabaseWrapper) -> Catalogue:
    """Return what all migrations make."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    return expected_catalogue(connection, [migration for migration, _ in plan])


@contextmanager
def sown(connection: BaseDatabaseWrapper, *scripts: str) -> Iterator[None]:
    """Run SQL in a database; take it back at the end."""
    with transaction.atomic(using=connection.alias):
        for script in scripts:
            _execute(connection, script)
        yield
        transaction.set_rollback(True, using=connection.alias)


def problems_of(
    connection: BaseDatabaseWrapper, seeds: Iterable[Seed], expected: Catalogue
) -> dict[str, str]:
    """Say what is wrong with how differences are named and repaired."""
    problems = {}
    for seed in seeds:
        with sown(connection, seed.sql):
            differences = differences_from(expected, connection)
            told = [
                f"{each} | {each.repair}"
                for each in differences
                if each.key == seed.key
            ]
            if not any(seed.words in each for each in told):
                others = list(map(str, differences))
                problems[seed.sql] = f"{seed.words} is not in {told or others}"
            elif seed.repaired and (left := repair(connection, differences, expected)):
                problems[seed.sql] = f"repaired by {told}, and left are {left}"
    return problems


def repair(
    connection: BaseDatabaseWrapper, differences: list[Difference], expected: Catalogue
) -> list[str]:
    """Run the repairs in a transaction and return what is left."""
    try:
        with transaction.atomic(using=connection.alias):
            for each in differences:
                _execute(connection, each.repair.replace(" CONCURRENTLY", ""))
    except DatabaseError as error:
        return [str(error)]
    return list(map(str, differences_from(expected, connection)))


def differences_from(
    expected: Catalogue, connection: BaseDatabaseWrapper
) -> list[Difference]:
    return compare(expected, read_catalogue(connection), connection.vendor)


def _execute(connection: BaseDatabaseWrapper, script: str) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(script)
            return
        is_one = script.startswith("CREATE TRIGGER")
        for statement in [script] if is_one else script.split("; "):
            cursor.execute(statement)


@pytest.mark.postgresql
def test_every_seeded_difference_is_named_and_repaired(
    migrated: BaseDatabaseWrapper,
) -> None:
    assert problems_of(migrated, SEEDS, newest(migrated)) == {}
    assert len({seed.sql for seed in SEEDS}) >= 60


@pytest.mark.postgresql
def test_differences_of_kinds_no_migration_makes_are_named(
    migrated: BaseDatabaseWrapper,
) -> None:
    with sown(migrated, OTHER_KINDS):
        expected = read_catalogue(migrated)

        assert problems_of(migrated, OTHER_SEEDS, expected) == {}
        assert differences_from(expected, migrated) == []


@pytest.mark.long
@pytest.mark.postgresql
def test_states_on_the_chain_and_back_have_no_drift(
    empty_database: BaseDatabaseWrapper,
) -> None:
    walker = Walker(empty_database, squashed=False)
    plan = walker.plan()
    documented = set(migrations_at("b7e3f2c1a9d8"))
    later = [key for key in plan if key not in documented]

    walker.forwards(*[key for key in plan if key in documented])
    assert_no_drift(empty_database, pending=len(later))
    walker.forwards(*later[:20])
    assert_no_drift(empty_database, pending=len(later) - 20)
    walker.forwards(*later[20:])
    assert_no_drift(empty_database, pending=0)
    walker.backwards(*reversed(later[15:]))
    assert_no_drift(empty_database, pending=len(later) - 15)


@pytest.mark.long
def test_database_before_migrate_and_after_going_back_and_forth_has_no_drift(
    empty_database: BaseDatabaseWrapper,
) -> None:
    alias = empty_database.alias

    assert find_drift(empty_database).findings == ()
    call_command("migrate", database=alias, verbosity=0)
    call_command("migrate", "bots", "0008", database=alias, verbosity=0)
    assert find_drift(empty_database).findings == ()
    call_command("migrate", database=alias, verbosity=0)
    assert_no_drift(empty_database, pending=0)


def assert_no_drift(connection: BaseDatabaseWrapper, *, pending: int) -> None:
    found = find_drift(connection)
    assert (found.findings, found.model_changes) == ((), ())
    assert len(found.pending) == pending


# --- The models -------------------------------------------------------------------


def models_with(field: models.Field[Any, Any], name: str) -> ProjectState:
    """Return the models with another field on the bots."""
    state = ProjectState.from_apps(apps)
    if name in state.models["bots", "botconfig"].fields:
        state.alter_field("bots", "botconfig", name, field, preserve_default=True)
    else:
        state.add_field("bots", "botconfig", name, field, preserve_default=True)
    return state


def test_changed_model_is_told_with_what_each_side_says(
    migrated: BaseDatabaseWrapper,
) -> None:
    changed = models_with(models.BigIntegerField(null=True), "leverage")

    found = find_drift(migrated, changed)

    assert [(each.app, each.repair) for each in found.model_changes] == [
        ("bots", "manage.py makemigrations bots")
    ]
    (finding,) = found.findings
    assert finding.between == "models"
    assert finding.difference.key == "column bot_configs.leverage"
    assert finding.difference.repair == "manage.py makemigrations bots"
    assert str(finding.models).startswith("bigint")
    assert str(finding.migrations).startswith("integer")
    assert finding.database == finding.migrations


def test_new_field_of_a_model_is_told(
    migrated: BaseDatabaseWrapper,
) -> None:
    found = find_drift(migrated, models_with(models.TextField(null=True), "note"))

    (finding,) = found.findings
    assert (finding.difference.key, finding.difference.problem) == (
        "column bot_configs.note",
        "extra",
    )
    assert (finding.migrations, finding.database) == (None, None)
    assert "Add field note to botconfig" in "\n".join(format_drift(found))


def test_change_of_a_model_without_effect_on_the_database_is_told(
    migrated: BaseDatabaseWrapper,
) -> None:
    changed = models_with(models.IntegerField(null=True, help_text="1–125"), "leverage")

    found = find_drift(migrated, changed)

    assert found.findings == ()
    assert [each.description for each in found.model_changes] == [
        "Alter field leverage on botconfig"
    ]


@pytest.mark.postgresql
def test_change_of_a_model_that_cannot_be_replayed_is_told(
    migrated: BaseDatabaseWrapper,
) -> None:
    changed = models_with(models.JSONField(null=True), "leverage")

    found = find_drift(migrated, changed)

    assert found.findings == ()
    assert [each.app for each in found.model_changes] == ["bots"]


@pytest.mark.postgresql
def test_database_that_is_ahead_with_its_models_is_one_finding(
    migrated: BaseDatabaseWrapper,
) -> None:
    changed = models_with(models.BigIntegerField(null=True), "leverage")

    with sown(migrated, "ALTER TABLE bot_configs ALTER leverage TYPE bigint"):
        found = find_drift(migrated, changed)

    (finding,) = found.findings
    assert finding.between == "database"
    assert (finding.models, finding.migrations, finding.database) == (
        "bigint",
        "integer",
        "bigint",
    )


# --- The command ------------------------------------------------------------------


def drift(connection: BaseDatabaseWrapper, *arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and output."""
    output = StringIO()
    code = 0
    try:
        call_command("drift", *arguments, database=connection.alias, stdout=output)
    except SystemExit as error:
        code = int(str(error.code))
    return code, output.getvalue().strip()


@pytest.mark.postgresql
def test_command_names_each_difference_and_exits_with_1(
    migrated: BaseDatabaseWrapper,
) -> None:
    keys = [
        "column trades.price",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "index users_email_lower on users",
    ]
    seeds = [next(each for each in SEEDS if each.key == key) for key in keys]

    with sown(migrated, *(seed.sql for seed in seeds)):
        code, output = drift(migrated, "--json")

    report = json.loads(output)
    assert (code, report["drift"]) == (1, True)
    assert [each["key"] for each in report["findings"]] == keys
    for seed, finding in zip(seeds, report["findings"], strict=True):
        assert finding["between"] == "migrations and database"
        assert seed.words in f"{finding['message']} {finding['repair']}"


@pytest.mark.postgresql
def test_text_has_the_three_sides_in_turn(
    migrated: BaseDatabaseWrapper,
) -> None:
    with sown(migrated, "ALTER TABLE trades ALTER price TYPE numeric(20,8)"):
        code, text = drift(migrated)

    assert (code, text) == (
        1,
        "column trades.price: type is numeric(20,8), expected numeric\n"
        "    models say      numeric\n"
        "    migrations say  numeric\n"
        "    database has    numeric(20,8)\n"
        '    repair          ALTER TABLE "trades" ALTER COLUMN "price" TYPE numeric;\n'
        "Drift: 1 difference and 0 model changes without a migration.",
    )


def test_command_without_drift_prints_json_and_exits_with_0(
    migrated: BaseDatabaseWrapper,
) -> None:
    code, output = drift(migrated, "--json")

    report = json.loads(output)
    assert code == 0
    assert (report["drift"], report["findings"], report["pending"]) == (False, [], [])
    assert len(report["applied"]) > 50
    assert bool(report["not_compared"]) == (migrated.vendor == "sqlite")


def test_command_on_a_database_of_a_newer_version_says_so(
    empty_database: BaseDatabaseWrapper,
) -> None:
    MigrationRecorder(empty_database).record_applied("bots", "0999_from_the_future")

    with pytest.raises(CommandError, match=r"bots\.0999_from_the_future") as error:
        drift(empty_database)

    assert error.value.returncode == OtherVersionError.exit_code


def test_command_on_a_database_of_alembic_says_so(
    empty_database: BaseDatabaseWrapper,
) -> None:
    with empty_database.cursor() as cursor:
        cursor.execute("CREATE TABLE alembic_version (version_num varchar(32))")

    with pytest.raises(CommandError, match="alembic_version") as error:
        drift(empty_database)

    assert error.value.returncode == UnadoptedError.exit_code


@pytest.mark.postgresql
def test_user_who_may_not_make_a_schema_is_told(
    migrated: BaseDatabaseWrapper,
) -> None:
    with (
        sown(migrated, "SET LOCAL ROLE pg_monitor"),
        pytest.raises(NoScratchError, match="User pg_monitor may not"),
    ):
        expected_catalogue(migrated, [])


@pytest.mark.postgresql
def test_read_only_transaction_is_told(
    migrated: BaseDatabaseWrapper,
) -> None:
    with (
        sown(migrated, "SET LOCAL transaction_read_only = on"),
        pytest.raises(ReadOnlyError),
    ):
        expected_catalogue(migrated, [])


# --- The replay -------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.postgresql
def test_replay_executes_the_statements_that_migrate_does(
    migrated: BaseDatabaseWrapper,
) -> None:
    executor: Any = MigrationExecutor(migrated)
    loader = executor.loader
    plan = executor.migration_plan(loader.graph.leaf_nodes(), clean_start=True)
    states = [
        state_class(real_apps=loader.unmigrated_apps)
        for state_class in (ProjectState, LeanState)
    ]

    for migration, _ in plan:
        steps, states[0] = compile_migration(migrated, migration, states[0])
        replayed, states[1] = compile_migration(migrated, migration, states[1])
        assert list(map(_comparable, replayed)) == list(map(_comparable, steps))


def _comparable(step: AnyStep) -> object:
    return step.description if isinstance(step, LiveStep) else step


# --- SQLite -----------------------------------------------------------------------

SQLITE_SEEDS = [
    Seed(
        "DROP INDEX trades_user_timestamp",
        "index trades_user_timestamp on trades",
        'CREATE INDEX "trades_user_timestamp"',
    ),
    Seed(
        "CREATE INDEX trades_symbol ON trades (symbol)",
        "index trades_symbol on trades",
        "no migration makes it",
    ),
    Seed(
        "DROP INDEX users_reset_token",
        "index users_reset_token on users",
        "is missing",
    ),
    Seed(
        "ALTER TABLE bot_configs ADD COLUMN note text",
        "column bot_configs.note",
        "Look what it holds",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades DROP COLUMN commission_asset",
        "column trades.commission_asset",
        "its values are gone",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades RENAME COLUMN commission_asset TO fee_asset",
        "column trades.fee_asset",
        "no migration makes it",
        repaired=False,
    ),
    Seed("CREATE TABLE notes (id int)", "table notes", "Look what it holds", False),
    Seed("DROP TABLE django_session", "table django_session", "is missing", False),
    Seed("CREATE VIEW big AS SELECT 1", "view big", 'DROP VIEW "big"'),
    Seed(
        "DROP TRIGGER tradebot_schema_events_no_update",
        "trigger tradebot_schema_events_no_update on tradebot_schema_events",
        "CREATE TRIGGER",
    ),
    Seed(
        "DROP TABLE bot_states; CREATE TABLE bot_states AS SELECT 1 AS one",
        "foreign key id on bot_states",
        "is missing",
        repaired=False,
    ),
]


@pytest.mark.sqlite
def test_every_difference_seeded_on_sqlite_is_named_and_repaired(
    migrated: BaseDatabaseWrapper,
) -> None:
    assert problems_of(migrated, SQLITE_SEEDS, newest(migrated)) == {}


@pytest.mark.sqlite
def test_command_on_sqlite_says_what_is_not_there(
    migrated: BaseDatabaseWrapper,
) -> None:
    code, text = drift(migrated)

    assert code == 0
    assert "\nNot on SQLite: " in text
