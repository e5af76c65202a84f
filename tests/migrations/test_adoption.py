"""Databases of the old program are taken over, or refused, and given back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from django.core.management import CommandError
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from tests.databases import scratch_database
from tests.migrations import old_program, rows
from tests.migrations.adoptions import lost, run, take_over, unusable
from tests.schema.tampered_databases import HARMLESS, TAMPERINGS
from tradebot.models import Action
from tradebot.schema import adoption
from tradebot.schema.catalogue import (
    Catalogue,
    compare,
    expected_catalogue,
    read_catalogue,
)
from tradebot.schema.history import History
from tradebot.schema.revisions import migrations_at

pytestmark = pytest.mark.postgresql
HEAD = old_program.HEAD


@pytest.fixture
def database(empty_database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """A database in which nothing is left of what a test does."""
    with transaction.atomic(empty_database.alias):
        yield empty_database
        transaction.set_rollback(True, empty_database.alias)


@pytest.fixture(scope="module")
def fresh(django_db_setup: None, django_db_blocker: Any) -> Catalogue:
    """The catalogue of a new database."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        run(connection, "migrate", verbosity=0)
        return read_catalogue(connection)


@pytest.fixture
def replayed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a state should be, replayed once for all that are compared with it."""
    real = expected_catalogue
    states: dict[int, Any] = {}

    @cache
    def of(connection: Any, count: int) -> Catalogue:
        return real(connection, *states[count])

    def once(connection: Any, migrations: list[Any], state: Any) -> Catalogue:
        states[len(migrations)] = (migrations, state)
        return of(connection, len(migrations))

    monkeypatch.setattr(adoption, "expected_catalogue", once)


def heads(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version ORDER BY 1")
        return [id_ for (id_,) in cursor.fetchall()]


def refusal(connection: BaseDatabaseWrapper, **options: Any) -> CommandError:
    with pytest.raises(CommandError) as error:
        run(connection, "adopt", **options)
    return error.value


def test_every_state_is_recorded_and_no_table_is_changed(
    database: BaseDatabaseWrapper,
) -> None:
    for state in old_program.STATES:
        with transaction.atomic(database.alias):
            old_program.build(database, state, rows=True)
            catalogue, contents = read_catalogue(database), rows.read(database)
            contents.pop("alembic_version")

            assert f"{len(migrations_at(*state.heads))} migrations recorded" in run(
                database, "adopt"
            )

            recorded = set(MigrationRecorder(database).applied_migrations())
            assert recorded == set(migrations_at(*state.heads)), state
            assert heads(database) == [adoption.FENCE]
            assert compare(read_catalogue(database), catalogue) == []
            left = rows.read(database)
            left.pop("alembic_version")
            assert left == contents
            assert {each.action for each in History(database).entries()} <= {
                Action.ADOPT
            }
            transaction.set_rollback(True, database.alias)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(old_program.BASE, marks=pytest.mark.long),
        next(each for each in old_program.STATES if each.name == "69694099e14e"),
        pytest.param(old_program.TWO_HEADS, marks=pytest.mark.long),
    ],
    ids=lambda state: state.name,
)
def test_migrated_database_is_a_new_one_with_all_its_rows(
    state: old_program.State, empty_database: BaseDatabaseWrapper, fresh: Catalogue
) -> None:
    before = take_over(empty_database, state, with_rows=True)

    assert compare(fresh, read_catalogue(empty_database)) == []
    assert lost(before, rows.read(empty_database)) is None
    assert unusable(empty_database, state, with_rows=True) is None


def test_tampered_databases_are_refused_by_name_with_nothing_written(
    database: BaseDatabaseWrapper, replayed_once: None
) -> None:
    for state in {tampering.state for tampering in TAMPERINGS}:
        with transaction.atomic(database.alias):
            old_program.build(database, state, rows=True)
            for tampering in TAMPERINGS:
                if tampering.state != state:
                    continue
                with transaction.atomic(database.alias):
                    with database.cursor() as cursor:
                        cursor.execute(tampering.sql)
                        cursor.execute("SELECT pg_current_xact_id_if_assigned()")
                    before = read_catalogue(database)

                    message = str(refusal(database))

                    for word in tampering.words:
                        assert word in message, (tampering.id, message)
                    assert "Nothing was changed" in message
                    assert read_catalogue(database) == before, tampering.id
                    assert not History(database).has_table()
                    transaction.set_rollback(True, database.alias)
            transaction.set_rollback(True, database.alias)


def test_harmless_changes_are_not_minded(
    database: BaseDatabaseWrapper, replayed_once: None
) -> None:
    old_program.build(database, HEAD, rows=True)
    for name, sql in HARMLESS:
        with transaction.atomic(database.alias):
            with database.cursor() as cursor:
                cursor.execute(sql)
            assert adoption.examine(database).differences == (), name
            transaction.set_rollback(True, database.alias)


def test_named_difference_can_be_accepted_on_purpose(
    database: BaseDatabaseWrapper,
) -> None:
    old_program.build(database, HEAD, rows=True)
    with database.cursor() as cursor:
        cursor.execute("ALTER TABLE users ADD COLUMN nickname text")
        cursor.execute("CREATE TABLE notes (id integer)")

    error = refusal(database)
    assert error.returncode == 39
    assert '--accept "column users.nickname"' in str(error)

    unknown = refusal(database, accept=["column users.name"])
    assert "names no difference. There are: column users.nickname" in str(unknown) or (
        "names no difference. There are: table notes" in str(unknown)
    )

    report = json.loads(
        run(
            database, "adopt", json=True, stderr=None,
            accept=["column users.nickname", "table notes"],
        )
    )  # fmt: skip
    assert report["adopted"] is True
    assert {each["key"] for each in report["accepted"]} == {
        "column users.nickname",
        "table notes",
    }
    assert History(database).entries()[0].details["accepted"] != []


@pytest.mark.long
def test_plan_shows_what_comes_and_writes_nothing(
    empty_database: BaseDatabaseWrapper,
) -> None:
    old_program.build(empty_database, HEAD, rows=True)
    catalogue = read_catalogue(empty_database)

    report = json.loads(run(empty_database, "adopt", plan=True, json=True, stderr=None))

    assert report["heads"] == ["b7e3f2c1a9d8"]
    assert len(report["migrations"]) == 14
    names = [f"{each['app']}.{each['name']}" for each in report["then"]["migrations"]]
    assert "trading.0006_alter_trade_indexes" in names
    assert read_catalogue(empty_database) == catalogue
    assert heads(empty_database) == ["b7e3f2c1a9d8"]


def test_open_sessions_are_named_before(empty_database: BaseDatabaseWrapper) -> None:
    old_program.build(empty_database, HEAD, rows=False)
    other = empty_database.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SET application_name = 'old-program'")
        output = run(empty_database, "adopt")
    finally:
        other.close()

    assert output.index("old-program") < output.index("Taken over")
    assert "taken over already" in run(empty_database, "adopt")


def test_database_that_was_written_to_is_given_back_and_taken_over_again(
    empty_database: BaseDatabaseWrapper, fresh: Catalogue
) -> None:
    connection = empty_database
    old_program.build(connection, HEAD, rows=True)
    documented = read_catalogue(connection)
    before = rows.read(connection)
    run(connection, "adopt")
    run(connection, "migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (email, hashed_password, is_staff, is_superuser) "
            "VALUES ('new@example.com', '$2b$12$x', true, false) RETURNING id"
        )
        (new,) = cursor.fetchone()
        cursor.execute("UPDATE trades SET price = 7.000000000000000000001")
        cursor.execute("UPDATE backtests SET parameters = '{\"new\": 1}' WHERE id = 13")
    migrated = rows.read(connection)

    output = run(connection, "unadopt")

    assert "is the old program's again, at b7e3f2c1a9d8" in output
    assert "tradebot_schema_events" in output
    assert heads(connection) == ["b7e3f2c1a9d8"]
    assert compare(read_catalogue(connection), documented) == []
    returned = rows.read(connection)
    assert set(returned) == set(before)
    assert {row["id"] for row in returned["users"]} == {
        *(row["id"] for row in before["users"]),
        new,
    }
    assert {str(row["price"]) for row in returned["trades"]} == {
        "7.000000000000000000001"
    }
    # What nobody has written since is as the old program left it, NULLs too.
    assert [row for row in returned["users"] if row["id"] != new] == before["users"]
    assert returned["api_keys"] == before["api_keys"]

    with pytest.raises(CommandError, match="has not been taken over"):
        run(connection, "migrate")

    run(connection, "adopt")
    run(connection, "migrate", verbosity=0)
    assert compare(fresh, read_catalogue(connection)) == []
    assert rows.read(connection)["users"] == migrated["users"]


def test_closed_way_back_is_closed(database: BaseDatabaseWrapper) -> None:
    old_program.build(database, HEAD, rows=False)
    with pytest.raises(CommandError, match="no way back") as error:
        run(database, "unadopt")
    assert error.value.returncode == 45
    run(database, "adopt")

    assert "is closed" in run(database, "adopt", close=True)

    with pytest.raises(CommandError, match="no way back"):
        run(database, "unadopt")
