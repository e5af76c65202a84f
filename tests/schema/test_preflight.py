"""What stands in the way is told before the first write: each with its own code."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError, NotSupportedError, OperationalError
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import scratch_database
from tests.migrations.chain import Walker
from tests.migrations.rows import fill
from tests.processes import (
    ROOT,
    SECRETS,
    database_url,
    environment,
    free_port,
    manage,
)
from tests.schema.servers import OwnServer, own_server
from tradebot.schema import faults, preflight
from tradebot.schema.faults import PreflightError, connection_fault
from tradebot.schema.waiting import wait_for_database

SETTINGS = {**SECRETS, "DATABASE_WAIT_S": "0"}


def execute(database: BaseDatabaseWrapper, *statements: str) -> None:
    with database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(name=database.settings_dict["NAME"]))


def migrate(database: BaseDatabaseWrapper, *target: str) -> None:
    call_command("migrate", *target, database=database.alias, verbosity=0)


def contents(database: BaseDatabaseWrapper) -> dict[str, int]:
    """Return the tables and how many rows each has."""
    with database.cursor() as cursor:
        counts = {}
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
            counts[table] = cursor.fetchone()[0]
        return counts


def url_of(database: BaseDatabaseWrapper, **instead: str) -> str:
    if database.vendor == "sqlite":
        return f"sqlite:///{database.settings_dict['NAME']}"
    return database_url(database, **instead)


# --- Ways to make a fault: each returns the URL with which a run meets it ---------

Make = Callable[[BaseDatabaseWrapper, "Roles"], str]


class Roles:
    """Makes roles of the server that may do little; drops them at the end."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def make(self, options: str = "LOGIN") -> dict[str, str]:
        """Return user and password of a new role."""
        name = f"role_{uuid.uuid4().hex}"
        with connections["default"]._nodb_cursor() as cursor:
            try:
                cursor.execute(f"CREATE ROLE {name} {options} PASSWORD 'secret'")
            except DatabaseError as error:
                pytest.skip(f"the user of this run may not make roles: {error}")
        self._names.append(name)
        return {"user": name, "password": "secret"}

    def drop(self) -> None:
        for name in self._names:
            with connections["default"]._nodb_cursor() as cursor:
                cursor.execute(f"DROP ROLE {name}")


def nobody_listens(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return f"postgres://someone:hunter2@127.0.0.1:{free_port()}/bots"


def unknown_host(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return "postgres://someone:hunter2@db.invalid/bots"


def no_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, dbname="no_such")


def unknown_user(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, user="no_such_user", password="hunter2")


def user_without_login(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, **roles.make("NOLOGIN"))


def no_connection_left(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "ALTER DATABASE {name} CONNECTION LIMIT 0")
    return url_of(database, **roles.make())


def user_without_connection_left(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, **roles.make("LOGIN CONNECTION LIMIT 0"))


def closed_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    with database._nodb_cursor() as cursor:
        cursor.execute(
            f"ALTER DATABASE {database.settings_dict['NAME']} ALLOW_CONNECTIONS false"
        )
    return url_of(database)


def no_connect_privilege(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    return url_of(database, **roles.make())


def read_only_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "ALTER DATABASE {name} SET default_transaction_read_only = on")
    return url_of(database)


def no_schema(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "ALTER DATABASE {name} SET search_path = missing")
    return url_of(database)


def no_create_privilege(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    return url_of(database, **roles.make())


def tables_of_another(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    role = roles.make()
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role['user']}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role['user']}",
    )
    return url_of(database, **role)


def history_of_another(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database)
    migrate(database, "sessions", "zero")
    role = roles.make()
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role['user']}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role['user']}",
    )
    return url_of(database, **role)


def alembic_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(
        database,
        "CREATE TABLE users (id int)",
        "CREATE TABLE alembic_version (version_num varchar(32))",
        "INSERT INTO alembic_version VALUES ('b7e3f2c1a9d8')",
    )
    return url_of(database)


def alembic_database_after_django(database: BaseDatabaseWrapper, roles: Roles) -> str:
    MigrationRecorder(database).ensure_schema()
    return alembic_database(database, roles)


def table_in_the_way(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "CREATE TABLE users (id int)")
    return url_of(database)


def missing_row(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    MigrationRecorder(database).record_unapplied("accounts", "0001_create_user_table")
    return url_of(database)


def newer_row(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    MigrationRecorder(database).record_applied("bots", "9999_of_a_newer_version")
    return url_of(database)


def times_of_a_zone(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "trading", "0003")
    fill(database, Walker(database, squashed=False).apps())
    execute(database, "ALTER DATABASE {name} SET timezone = 'Europe/Berlin'")
    return url_of(database)


def times_of_a_users_zone(database: BaseDatabaseWrapper, roles: Roles) -> str:
    url = times_of_a_zone(database, roles)
    user = roles.make()["user"]
    execute(
        database,
        "ALTER DATABASE {name} RESET timezone",
        f"ALTER ROLE {user} IN DATABASE {{name}} SET timezone = 'Asia/Tokyo'",
    )
    return url


def invalid_index(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database)
    migrate(database, "sessions", "zero")
    break_index(database)
    return url_of(database)


def break_index(database: BaseDatabaseWrapper) -> None:
    with pytest.raises(DatabaseError):
        execute(
            database,
            "CREATE UNIQUE INDEX CONCURRENTLY broken ON django_content_type ((1))",
        )


def column_in_the_way(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    execute(database, "ALTER TABLE bot_configs ADD COLUMN leverage int")
    return url_of(database)


def leftover_table(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    execute(database, "CREATE TABLE trades (id int)")
    return url_of(database)


def full_disk(database: BaseDatabaseWrapper, roles: Roles) -> str:
    try:
        execute(
            database,
            # What the server says when a table cannot be extended.
            "CREATE FUNCTION no_space() RETURNS event_trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'could not extend file: No space left on device' "
            "USING ERRCODE = 'disk_full'; END $$",
            "CREATE EVENT TRIGGER no_space ON ddl_command_start "
            "EXECUTE FUNCTION no_space()",
        )
    except DatabaseError as error:
        pytest.skip(f"the user of this run may not make event triggers: {error}")
    return url_of(database)


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
        *HISTORY,
        *(pytest.param(case, marks=pytest.mark.postgresql) for case in SERVER),
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


# --- A server of one's own --------------------------------------------------------


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


@pytest.mark.postgresql
def test_wrong_password_is_told_at_once(server: OwnServer) -> None:
    server.start()

    began = time.monotonic()
    result = manage("migrate", **SECRETS, DATABASE_URL=server.url("hunter2"))

    assert time.monotonic() - began < 10
    assert result.returncode == faults.LoginError.exit_code
    assert 'password authentication failed for user "postgres"' in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.postgresql
def test_standby_is_refused(server: OwnServer) -> None:
    server.follow()
    server.start("restore_command=false")

    result = manage("migrate", **SETTINGS, DATABASE_URL=server.url())

    assert result.returncode == faults.StandbyError.exit_code
    assert "is a standby, which only follows another server." in result.stderr


@pytest.mark.postgresql
def test_server_that_is_starting_is_waited_for(server: OwnServer) -> None:
    server.follow()
    # As one that recovers: it answers, and lets nobody in.
    server.start("hot_standby=off", "restore_command=false", wait=False)
    settings = {**SECRETS, "DATABASE_WAIT_S": "2"}
    began = time.monotonic()
    result = manage("migrate", **settings, DATABASE_URL=server.url())

    assert time.monotonic() - began > 2
    assert result.returncode == faults.StartingError.exit_code
    assert "Trying again for 2 s." in result.stderr


@pytest.mark.postgresql
def test_server_that_comes_up_later_is_used_within_half_a_second(
    server: OwnServer, django_db_blocker: DjangoDbBlocker
) -> None:
    def start() -> None:
        time.sleep(2)
        server.start()
        times["up"] = time.monotonic()

    times: dict[str, float] = {}
    said: list[str] = []
    instead = {
        "HOST": "127.0.0.1",
        "PORT": server.port,
        "USER": "postgres",
        "PASSWORD": "correct",
        "NAME": "postgres",
    }
    with django_db_blocker.unblock(), other_connection(instead) as connection:
        starting = threading.Thread(target=start)
        starting.start()
        wait_for_database(connection, said.append, 30)
        times["used"] = time.monotonic()
        starting.join()

    assert times["used"] - times["up"] < 0.5
    assert said[0].endswith("Trying again for 30 s.")


@contextmanager
def other_connection(instead: dict[str, object]) -> Iterator[BaseDatabaseWrapper]:
    """Make a connection with other settings than those of this run."""
    connections.databases["other"] = {
        **connections["default"].settings_dict,
        **instead,
    }
    try:
        yield connections["other"]
    finally:
        connections["other"].close()
        del connections["other"]
        del connections.databases["other"]


def test_waiting_ends_and_says_so_in_between(
    django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradebot.schema.waiting._REPEAT_S", 0.3)
    said: list[str] = []
    began = time.monotonic()
    instead = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": free_port(),
        "NAME": "bots",
        "OPTIONS": {"connect_timeout": 10},
    }
    with django_db_blocker.unblock(), other_connection(instead) as connection:
        with pytest.raises(faults.UnreachableError, match="Connection refused"):
            wait_for_database(connection, said.append, 1)
        assert connection.settings_dict["OPTIONS"] == {"connect_timeout": 10}

    assert 1 <= time.monotonic() - began < 1.5
    assert 3 <= len(said) <= 5


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
    empty_database: BaseDatabaseWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    migrate(empty_database)
    break_index(empty_database)

    migrate(empty_database)

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


@pytest.mark.sqlite
def test_column_that_a_plan_removes_first_is_not_in_the_way(
    empty_database: BaseDatabaseWrapper,
) -> None:
    # Forward from the middle, where what was reversed has to be made again.
    migrate(empty_database)
    migrate(empty_database, "bots", "0003")
    migrate(empty_database)


# --- SQLite -----------------------------------------------------------------------


def run_without_rights(url: str) -> subprocess.CompletedProcess[str]:
    """Run migrate so that the rights of files count: for root they do not."""
    prefix = []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and setpriv is not installed")
        prefix = ["setpriv", "--bounding-set=-all"]
    return subprocess.run(
        [*prefix, sys.executable, "manage.py", "migrate"],
        cwd=ROOT,
        env=environment(**SETTINGS, DATABASE_URL=url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def missing_folder(folder: Path) -> str:
    return f"{folder}/missing/bots.sqlite3"


def folder_as_file(folder: Path) -> str:
    return str(folder)


def other_file(folder: Path) -> str:
    path = folder / "bots.sqlite3"
    path.write_text("This is not a database. " * 100)
    return str(path)


def empty_file(folder: Path) -> Path:
    path = folder / "bots.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 1")
    return path


def read_only_file(folder: Path) -> str:
    path = empty_file(folder)
    path.chmod(0o444)
    return str(path)


def read_only_folder(folder: Path) -> str:
    path = empty_file(folder)
    folder.chmod(0o555)
    return str(path)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("make", "exit_code", "words"),
    [
        (missing_folder, 40, "/missing/bots.sqlite3: its folder does not exist."),
        (folder_as_file, 41, ": unable to open database file. Correct the path"),
        (other_file, 41, "/bots.sqlite3: file is not a database. Correct the path"),
        (read_only_file, 42, "Give the user who runs this program the right to write"),
        (read_only_folder, 42, "Give the user who runs this program the right to"),
    ],
)
def test_fault_of_a_file_is_told_with_its_code_and_nothing_is_written(
    make: Callable[[Path], str], exit_code: int, words: str, tmp_path: Path
) -> None:
    folder = tmp_path / "database"
    folder.mkdir()
    url = f"sqlite:///{make(folder)}"
    before = {path: path.read_bytes() for path in folder.iterdir()}

    result = run_without_rights(url)

    assert words in result.stderr, result.stderr
    assert result.returncode == exit_code
    assert result.stderr.startswith("CommandError: ")
    assert result.stderr.count("\n") == 1
    folder.chmod(0o755)
    assert {path: path.read_bytes() for path in before} == before
    assert {path.suffix for path in folder.iterdir()} <= {
        ".sqlite3",
        ".sqlite3-migrate",
    }


@pytest.mark.sqlite
def test_full_disk_under_a_file_is_told(empty_database: BaseDatabaseWrapper) -> None:
    # The engine's own limit: it says what it says of a full disk.
    execute(empty_database, "PRAGMA max_page_count = 1")

    with pytest.raises(CommandError, match="database or disk is full") as raised:
        migrate(empty_database)

    assert raised.value.returncode == faults.DiskFullError.exit_code
    assert contents(empty_database) == {}


@pytest.mark.sqlite
def test_file_locked_by_another_program_is_told(tmp_path: Path) -> None:
    path = tmp_path / "bots.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("BEGIN IMMEDIATE")
        result = manage(
            "migrate", **SETTINGS, DATABASE_URL=f"sqlite:///{path}?timeout=1"
        )
        other.rollback()
        tables = other.execute("SELECT * FROM sqlite_master").fetchall()

    assert result.returncode == faults.LockedError.exit_code
    assert f"{path}: another program has locked it." in result.stderr
    assert tables == []


# --- The words of servers ---------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("FATAL:  the database system is starting up", faults.StartingError),
        ("FATAL:  the database system is shutting down", faults.StartingError),
        (
            "FATAL:  the database system is not yet accepting connections",
            faults.StartingError,
        ),
        ("FATAL:  sorry, too many clients already", faults.TooManyConnectionsError),
        (
            "FATAL:  remaining connection slots are reserved for roles with the "
            "SUPERUSER attribute",
            faults.TooManyConnectionsError,
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "bot", database '
            '"bots", no encryption',
            faults.LoginError,
        ),
        ("fe_sendauth: no password supplied", faults.LoginError),
        ('FATAL:  role "bot" does not exist', faults.LoginError),
        ('FATAL:  database "bots" does not exist', faults.NoDatabaseError),
        ("FATAL:  no such database: bots", faults.NoDatabaseError),
        (
            "server does not support SSL, but SSL was required",
            faults.RefusedError,
        ),
        ("FATAL:  das gibt es nicht", faults.RefusedError),
        (
            "server closed the connection unexpectedly",
            faults.UnreachableError,
        ),
        (
            "FATAL:  server login has been failing, cached error: connect failed "
            "(server_login_retry)",
            faults.UnreachableError,
        ),
    ],
)
def test_words_of_a_server_are_understood(
    said: str, fault: type[PreflightError]
) -> None:
    error = OperationalError(
        f'connection failed: connection to server at "db", port 5432 failed: {said}'
    )

    assert type(connection_fault(unconnected(), error)) is fault


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            'connection failed: connection to server at "127.0.0.1", port 1 failed: '
            "Connection refused\n\tIs the server running on that host and accepting "
            "TCP/IP connections?",
            "Connection refused",
        ),
        (
            'connection failed: connection to server at "::1", port 5432 failed: '
            'FATAL:  password authentication failed for user "bot"\n',
            'FATAL: password authentication failed for user "bot"',
        ),
        (
            'connection failed: connection to server at "10.0.0.2", port 5432 failed: '
            "timeout expired\nMultiple connection attempts failed. All failures were:\n"
            "- host: 'db', port: '5432', hostaddr: '10.0.0.1': connection failed",
            "timeout expired",
        ),
        ("connection timeout expired", "connection timeout expired"),
        ("unable to open database file", "unable to open database file"),
    ],
)
def test_reason_is_one_line_without_repetition(message: str, reason: str) -> None:
    assert faults.reason(OperationalError(message)) == reason


def test_server_too_old_for_django_is_too_old_for_us() -> None:
    error = NotSupportedError("PostgreSQL 14 or later is required (found 13.2).")

    fault = connection_fault(unconnected(), error)

    assert type(fault) is faults.ServerTooOldError
    assert "found 13.2, expected PostgreSQL 14 or newer" in str(fault)


def unconnected() -> BaseDatabaseWrapper:
    with other_connection(
        {"ENGINE": "django.db.backends.postgresql", "NAME": "bots", "OPTIONS": {}}
    ) as connection:
        return connection
