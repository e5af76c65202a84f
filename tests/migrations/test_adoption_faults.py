"""What can come between a take-over and its end: locks, crashes, others at work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from django.core.management import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import override_settings
from pytest_django.plugin import DjangoDbBlocker

from tests.migrations import old_program, rows
from tests.migrations.adoptions import run
from tests.migrations.test_alembic_history import CONFIG
from tests.processes import database_url, manage, serving
from tests.schema.moments import Watch, in_child, wait_for_the_dead
from tests.schema.obstacles import SETTINGS, Roles, contents, execute
from tests.schema.starts import start_together
from tradebot.models import Action
from tradebot.schema import adoption
from tradebot.schema.catalogue import compare, read_catalogue
from tradebot.schema.faults import VersionTableError
from tradebot.schema.history import History
from tradebot.schema.lock import migration_lock
from tradebot.schema.revisions import migrations_at

postgresql = pytest.mark.postgresql
HEAD = old_program.HEAD
KEYS = migrations_at(*HEAD.heads)
ROLE_TABLES = ["alembic_version", *old_program.TABLES]


@pytest.fixture
def roles(django_db_blocker: DjangoDbBlocker) -> Iterator[Roles]:
    made = Roles()
    yield made
    with django_db_blocker.unblock():
        made.drop()


def heads(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version")
        return [id_ for (id_,) in cursor.fetchall()]


def recorded(connection: BaseDatabaseWrapper) -> int:
    return len(MigrationRecorder(connection).applied_migrations())


# --- Who may --------------------------------------------------------------------------


@postgresql
@pytest.mark.long
def test_tables_of_another_role_are_refused_by_name_until_they_are_handed_over(
    roles: Roles, empty_database: BaseDatabaseWrapper
) -> None:
    old_program.build(empty_database, HEAD, rows=True)
    role = roles.make()
    url = database_url(empty_database, **role)
    user = role["user"]
    # It may make tables, and no more: not even read those of the old program.
    execute(
        empty_database,
        f"GRANT CREATE ON SCHEMA public TO {user}",
        f"GRANT CREATE ON DATABASE {{name}} TO {user}",
    )
    before = contents(empty_database)

    def adopt() -> Any:
        return manage("adopt", **SETTINGS, DATABASE_URL=url)

    refused = adopt()
    assert refused.returncode == 25, refused.stderr
    assert "which others own: alembic_version, api_keys, backtests, " in refused.stderr
    assert refused.stderr.count("\n") == 1

    for table in ROLE_TABLES:
        if table != "trades":
            execute(empty_database, f"ALTER TABLE {table} OWNER TO {user}")
    refused = adopt()
    assert refused.returncode == 25
    assert "which others own: trades. Nothing was changed." in refused.stderr
    assert contents(empty_database) == before

    execute(empty_database, f"ALTER TABLE trades OWNER TO {user}")
    assert adopt().returncode == 0
    assert recorded(empty_database) == len(KEYS)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "arguments", ["adopt", "adopt --plan", "adopt --close", "unadopt", "unadopt --plan"]
)
def test_sqlite_has_nothing_to_take_over(
    arguments: str, empty_database: BaseDatabaseWrapper
) -> None:
    with pytest.raises(CommandError, match="Not on SQLite: the program") as error:
        run(empty_database, *arguments.split())

    assert error.value.returncode == 46
    assert contents(empty_database) == {}
    database = Path(empty_database.settings_dict["NAME"])
    assert not database.with_name(f"{database.name}-migrate").exists()


# --- Locks ----------------------------------------------------------------------------


@contextmanager
def holding(connection: BaseDatabaseWrapper, statement: str) -> Iterator[Any]:
    """Hold what a statement locks in a transaction of another session."""
    with psycopg.connect(database_url(connection)) as other:
        other.execute(statement)
        yield other
        if not other.closed:
            other.rollback()


@postgresql
def test_table_in_use_is_waited_for_and_given_up_by_name(
    empty_database: BaseDatabaseWrapper,
) -> None:
    connection = empty_database
    old_program.build(connection, HEAD, rows=False)

    def given_up(*arguments: str) -> None:
        with (
            holding(connection, "LOCK TABLE alembic_version") as other,
            override_settings(MIGRATION_LOCK_WAIT_S=0, MIGRATION_LOCK_TIMEOUT_MS=10),
        ):
            pid = other.info.backend_pid
            with pytest.raises(CommandError, match="Gave up after") as error:
                run(connection, *arguments)
        assert error.value.returncode == 35
        assert f"held by pid {pid} (user " in str(error.value)
        assert "LOCK TABLE alembic_version" in str(error.value)

    given_up("adopt")
    given_up("adopt", "--plan")
    assert "django_migrations" not in contents(connection)

    # As Alembic does it, which others may read meanwhile.
    update = "UPDATE alembic_version SET version_num = version_num"
    with holding(connection, update) as other:

        class Ending(StringIO):
            def write(self, line: str) -> int:
                if "Waiting for" in line:
                    other.close()
                return super().write(line)

        told = Ending()
        assert "Taken over" in run(connection, "adopt", stderr=told)
    assert "Waiting for alembic_version, django_migrations, held by pid" in (
        told.getvalue()
    )

    given_up("unadopt")
    given_up("adopt", "--close")
    assert heads(connection) == [adoption.FENCE]
    assert recorded(connection) == len(KEYS)


# --- Others at the same time ----------------------------------------------------------


@postgresql
def test_two_at_once_record_it_once(empty_database: BaseDatabaseWrapper) -> None:
    old_program.build(empty_database, HEAD, rows=False)

    runs = start_together(2, database_url(empty_database), ["manage.py", "adopt"])

    assert [each.exit_code for each in runs] == [0, 0], runs
    output = "".join(each.output for each in runs)
    assert output.count("14 migrations recorded") == 1
    assert output.count("has been taken over already") == 1
    assert [each.action for each in History(empty_database).entries()] == (
        [Action.ADOPT] * len(KEYS)
    )
    with empty_database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        assert cursor.fetchone() == (len(KEYS),)


@postgresql
def test_database_that_alembic_moved_meanwhile_is_refused(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url(empty_database))
    command.upgrade(CONFIG, "8dff47bdfa5f")
    found = adoption.examine(empty_database)
    command.upgrade(CONFIG, "head")

    with pytest.raises(VersionTableError, match="was changed by Alembic meanwhile"):
        adoption.patiently(
            empty_database, partial(adoption.adopt, empty_database, found), print
        )

    assert heads(empty_database) == list(HEAD.heads)
    assert set(contents(empty_database)) == {*old_program.TABLES, "alembic_version"}


@postgresql
def test_database_that_alembic_took_back_to_base_is_taken_over(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url(empty_database))
    command.upgrade(CONFIG, "8dff47bdfa5f")
    command.stamp(CONFIG, "base")
    execute(empty_database, f"DROP TABLE {', '.join(old_program.TABLES)}")
    assert contents(empty_database) == {"alembic_version": 0}

    assert "Taken over at base: 0 migrations" in run(empty_database, "adopt")
    run(empty_database, "migrate", "30d6391a9fcf")

    assert recorded(empty_database) == 1
    assert "users" in contents(empty_database)


@postgresql
def test_entrypoint_leaves_an_old_database_as_it_is(
    tmp_path: Path, empty_database: BaseDatabaseWrapper
) -> None:
    old_program.build(empty_database, HEAD, rows=True)
    catalogue, before = read_catalogue(empty_database), rows.read(empty_database)
    url = database_url(empty_database)

    with serving(
        tmp_path, ["tradebot/entrypoint.sh"], **SETTINGS, DATABASE_URL=url
    ) as web:
        assert web.process.wait(timeout=60) == 26, web.log

    assert "has not been taken over. Nothing was changed. Back it up, then" in web.log
    assert set(contents(empty_database)) == {*old_program.TABLES, "alembic_version"}
    assert compare(read_catalogue(empty_database), catalogue) == []
    assert rows.read(empty_database) == before


# --- Crashes --------------------------------------------------------------------------


def killed(
    connection: BaseDatabaseWrapper, moment: int, work: Callable[[], object]
) -> bool:
    """Let a process do the work and be killed at a moment; return whether it was."""

    def die() -> None:
        watch = Watch(connection)
        watch.die("kill", moment, from_start=True)
        watch.run(work)

    connection.close()  # each process has its own
    exit_code = in_child(die)
    wait_for_the_dead(connection)
    assert exit_code in (0, -signal.SIGKILL)
    return exit_code != 0


def killed_at_each_moment(
    connection: BaseDatabaseWrapper,
    transaction: Callable[[BaseDatabaseWrapper], object],
) -> Iterator[int]:
    """Do it under the lock, and be killed at one moment after the other.

    Yields each moment, until one is after the end.
    """

    def work() -> None:
        with migration_lock(connection, lambda line: None):
            adoption.patiently(
                connection, partial(transaction, connection), lambda line: None
            )

    moment = 1
    while killed(connection, moment, work):
        yield moment
        moment += 1


@postgresql
@pytest.mark.long
def test_killed_take_over_and_its_return_are_done_or_not_done(
    empty_database: BaseDatabaseWrapper,
) -> None:
    connection = empty_database
    old_program.build(connection, HEAD, rows=False)
    old_tables = set(contents(connection))
    found = adoption.examine(connection)

    def done_at(transaction: Any, changed: Callable[[], bool]) -> list[bool]:
        moments = killed_at_each_moment(connection, transaction)
        return [changed() for _ in moments]

    def taken_over() -> bool:
        tables = set(contents(connection))
        if heads(connection) == [adoption.FENCE]:
            assert recorded(connection) == len(KEYS)
            assert len(History(connection).entries()) == len(KEYS)
            return True
        assert tables == old_tables
        return False

    def given_back() -> bool:
        tables = set(contents(connection))
        if heads(connection) == [adoption.FENCE]:
            assert recorded(connection) == len(KEYS)
            return False
        assert tables == {*old_tables, "tradebot_schema_events"}
        assert len(History(connection).entries()) == 2 * len(KEYS)
        return True

    # Killed after the commit, it is found done by the next.
    adopt = partial(adoption_of, found=found)
    history = done_at(adopt, taken_over)
    assert history == sorted(history)
    assert history.count(False) > 2 * len(KEYS)
    assert history.count(True) >= 1
    assert "taken over already" in run(connection, "adopt")

    history = done_at(return_of, given_back)
    assert history == sorted(history)
    assert history.count(False) > len(KEYS)
    assert history.count(True) >= 1
    assert "is the old program's again, at b7e3f2c1a9d8" in run(connection, "unadopt")


def adoption_of(connection: BaseDatabaseWrapper, found: adoption.Adoption) -> None:
    if not adoption.is_taken_over(connection):
        adoption.adopt(connection, found)


def return_of(connection: BaseDatabaseWrapper) -> None:
    if not adoption.is_given_back(connection):
        adoption.give_back(connection)


@postgresql
@pytest.mark.long
def test_unadopt_that_is_killed_again_and_again_comes_to_the_same_end(
    empty_database: BaseDatabaseWrapper,
) -> None:
    connection = empty_database
    old_program.build(connection, HEAD, rows=True)
    documented, before = read_catalogue(connection), rows.read(connection)
    run(connection, "adopt")
    run(connection, "migrate", "bots", verbosity=0)

    deaths = 0
    while killed(connection, 150, lambda: run(connection, "unadopt", verbosity=0)):
        deaths += 1
        assert deaths < 20

    assert deaths >= 2
    assert heads(connection) == list(HEAD.heads)
    assert compare(read_catalogue(connection), documented) == []
    assert rows.read(connection) == before
