"""What stands in the way is told before the first write: each with its own code."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import scratch_database
from tests.processes import manage
from tests.schema.obstacles import (
    SETTINGS,
    Make,
    Roles,
    alembic_database,
    alembic_database_after_django,
    break_index,
    closed_database,
    column_in_the_way,
    contents,
    execute,
    full_disk,
    history_of_another,
    invalid_index,
    leftover_table,
    migrate,
    missing_row,
    newer_row,
    no_connect_privilege,
    no_connection_left,
    no_create_privilege,
    no_database,
    no_schema,
    nobody_listens,
    read_only_database,
    table_in_the_way,
    tables_of_another,
    times_of_a_users_zone,
    times_of_a_zone,
    unknown_host,
    unknown_user,
    url_of,
    user_without_connection_left,
    user_without_login,
)
from tradebot.schema import faults, preflight


class Case(NamedTuple):
    """How a fault is made, the exit code, and words of the message."""

    make: Make
    exit_code: int
    words: str
    create: str = ""


HISTORY = [
    Case(alembic_database, 26, "has the table alembic_version"),
    Case(alembic_database_after_django, 26, "has the table alembic_version"),
    Case(table_in_the_way, 27, "are there: users. Nothing was changed."),
    Case(missing_row, 28, "is applied before its dependency accounts.0001_"),
    Case(newer_row, 29, "bots.9999_of_a_newer_version is applied and not in this code"),
    Case(column_in_the_way, 32, "is there already: bot_configs.leverage. Nothing"),
    Case(leftover_table, 32, "is there already: trades. Nothing"),
]
SERVER = [
    Case(nobody_listens, 10, " as user someone: Connection refused. Start the"),
    Case(unknown_host, 10, "Cannot reach database bots on db.invalid port 5432"),
    Case(no_connection_left, 12, "too many connections for database"),
    Case(user_without_connection_left, 12, "too many connections for role"),
    Case(unknown_user, 13, "Cannot log in to database scratch_"),
    Case(user_without_login, 13, "is not permitted to log in. Correct user and"),
    Case(no_database, 14, "Cannot use database no_such on "),
    Case(closed_database, 15, "it accepts no connections."),
    Case(no_connect_privilege, 16, "GRANT CONNECT ON DATABASE"),
    Case(no_schema, 23, "the search_path (missing) is in"),
    Case(read_only_database, 22, "are read-only. Nothing was changed."),
    Case(no_create_privilege, 24, "Allow it with GRANT CREATE ON SCHEMA public TO"),
    Case(tables_of_another, 25, "which others own: api_keys, bot_configs, "),
    Case(history_of_another, 25, "django_content_type, django_migrations. Nothing"),
    Case(times_of_a_zone, 30, "trades.timestamp)? The time zone set for this"),
    Case(times_of_a_users_zone, 30, " is Asia/Tokyo, UTC was expected."),
    Case(invalid_index, 31, "broken on django_content_type. Nothing was changed."),
    Case(full_disk, 33, "No space left on device. What was complete"),
    Case(
        lambda database, roles: url_of(database),
        19,
        "is SQL_ASCII, expected UTF8. Nothing was changed.",
        "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
    ),
]


@pytest.fixture
def roles(django_db_blocker: DjangoDbBlocker) -> Iterator[Roles]:
    made = Roles()
    yield made
    with django_db_blocker.unblock():
        made.drop()


@pytest.mark.parametrize(
    "case",
    [
        *HISTORY[::2],
        *(pytest.param(case, marks=pytest.mark.long) for case in HISTORY[1::2]),
        *(pytest.param(case, marks=pytest.mark.postgresql) for case in SERVER[::2]),
        *(
            pytest.param(case, marks=[pytest.mark.postgresql, pytest.mark.long])
            for case in SERVER[1::2]
        ),
    ],
    ids=lambda case: case.make.__name__.strip("<>"),
)
def test_fault_is_told_with_its_code_and_nothing_is_written(
    case: Case, roles: Roles, django_db_blocker: DjangoDbBlocker
) -> None:
    with django_db_blocker.unblock(), scratch_database(case.create) as database:
        # Not the session of the checks: it was there before the fault.
        database.ensure_connection()
        url = case.make(database, roles)
        before = contents(database)

        result = manage("migrate", **SETTINGS, DATABASE_URL=url)

        assert case.words in result.stderr, result.stderr
        assert result.returncode == case.exit_code
        assert result.stderr.startswith("CommandError: ")
        assert result.stderr.count("\n") == 1
        assert "hunter2" not in result.stderr
        assert "Applying" not in result.stdout
        assert contents(database) == before


@pytest.mark.postgresql
def test_server_that_is_too_old_is_refused(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "MINIMUM_VERSION", (990_000, "PostgreSQL 99"))

    with pytest.raises(CommandError, match="expected PostgreSQL 99 or") as raised:
        migrate(empty_database)

    assert raised.value.returncode == faults.ServerTooOldError.exit_code
    assert contents(empty_database) == {}


# --- What is said and does not stop -----------------------------------------------


@pytest.mark.postgresql
def test_long_transaction_is_told_and_not_waited_for(
    empty_database: BaseDatabaseWrapper,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(preflight, "LONG_TRANSACTION_S", 0.2)
    other = connections.create_connection(empty_database.alias)
    try:
        execute(other, "BEGIN", "SELECT 'a report\n  of somebody'")
        time.sleep(0.3)
        migrate(empty_database)
        assert other.connection is not None
        pid = other.connection.info.backend_pid
    finally:
        other.close()

    told = capsys.readouterr().err
    assert f"pid {pid} of user " in told
    assert ": SELECT 'a report of somebody'. End it in its program, or" in told
    assert "django_session" in contents(empty_database)


@pytest.mark.postgresql
def test_invalid_index_is_told_where_nothing_is_to_be_applied(
    migrated_database: BaseDatabaseWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(migrated_database)
    break_index(migrated_database)

    migrate(migrated_database)

    assert "broken on django_content_type" in capsys.readouterr().err


@pytest.mark.postgresql
def test_invalid_index_that_a_migration_builds_or_drops_is_not_in_the_way(
    empty_database: BaseDatabaseWrapper,
) -> None:
    def cut_off(name: str) -> None:
        with empty_database.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false "
                "WHERE indexrelid = %s::regclass",
                [name],
            )

    migrate(empty_database)
    cut_off("users_email_lower")
    migrate(empty_database, "accounts", "0006")  # drops it
    execute(empty_database, "CREATE INDEX users_email_lower ON users (email)")
    cut_off("users_email_lower")
    migrate(empty_database, "accounts", "0007")  # builds it
    migrate(empty_database, "accounts", "0005")  # builds ix_users_id
    cut_off("ix_users_id")
    migrate(empty_database)  # drops it

    with empty_database.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, indisvalid AND indisunique "
            "FROM pg_index WHERE indrelid = 'users'::regclass ORDER BY 1"
        )
        assert cursor.fetchall() == [
            ("ix_users_email", True),
            ("users_email_lower", True),
            ("users_pkey", True),
            ("users_reset_token", False),
        ]


@pytest.mark.long
@pytest.mark.postgresql
def test_times_of_a_zone_are_taken_as_the_setting_says(
    empty_database: BaseDatabaseWrapper, roles: Roles
) -> None:
    url = times_of_a_zone(empty_database, roles)
    settings = {**SETTINGS, "NAIVE_TIMES_ZONE": "Europe/Berlin"}

    result = manage("migrate", **settings, DATABASE_URL=url)

    assert result.returncode == 0, result.stderr
    with empty_database.cursor() as cursor:
        cursor.execute("SELECT timestamp FROM trades")
        # 01:02 in Berlin in summer.
        assert cursor.fetchone()[0].isoformat() == "2025-05-22T23:02:03.456789+00:00"


def test_run_with_fake_takes_what_is_there(
    empty_database: BaseDatabaseWrapper,
) -> None:
    table_in_the_way(empty_database, Roles())

    call_command(
        "migrate", "accounts", database=empty_database.alias, verbosity=0, fake=True
    )

    assert MigrationLoader(empty_database).applied_migrations


@pytest.mark.long
@pytest.mark.sqlite
def test_column_that_a_plan_removes_first_is_not_in_the_way(
    empty_database: BaseDatabaseWrapper,
) -> None:
    # Forward from the middle, where what was reversed has to be made again.
    migrate(empty_database)
    migrate(empty_database, "bots", "0003")
    migrate(empty_database)
