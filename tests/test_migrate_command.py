from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import SECRETS, database_url, free_port, manage
from tradebot.management.commands.migrate import _reason


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
    assert _reason(OperationalError(message)) == reason


def test_migrate_with_closed_port_says_where_it_went() -> None:
    port = free_port()
    result = manage(
        "migrate",
        **SECRETS,
        DATABASE_URL=f"postgres://someone:hunter2@127.0.0.1:{port}/tradebot",
    )
    assert result.returncode == 1
    assert result.stderr == (
        f"CommandError: Cannot use database tradebot on 127.0.0.1 port {port} as user "
        "someone: Connection refused. Check DATABASE_URL and the database server.\n"
    )


def test_migrate_with_unknown_host_says_where_it_went() -> None:
    result = manage(
        "migrate", **SECRETS, DATABASE_URL="postgres://someone:hunter2@db.invalid/bots"
    )
    assert result.returncode == 1
    assert result.stderr.startswith(
        "CommandError: Cannot use database bots on db.invalid port 5432 as user "
        "someone: "
    )
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_migrate_with_missing_folder_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "bots.sqlite3"
    result = manage("migrate", **SECRETS, DATABASE_URL=f"sqlite:///{path}")
    assert result.returncode == 1
    assert result.stderr == (
        f"CommandError: Cannot use the SQLite database {path}: unable to open database "
        "file. Check DATABASE_URL and the database server.\n"
    )


def test_migrate_with_file_of_another_kind_names_it(tmp_path: Path) -> None:
    path = tmp_path / "bots.sqlite3"
    path.write_text("This is not a database. " * 100)
    result = manage("migrate", **SECRETS, DATABASE_URL=f"sqlite:///{path}")
    assert result.returncode == 1
    assert f"{path}: file is not a database." in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.postgresql
def test_migrate_with_unknown_database_or_user_says_which(
    empty_database: BaseDatabaseWrapper,
) -> None:
    url = database_url(empty_database)
    name = str(empty_database.settings_dict["NAME"])
    result = manage("migrate", **SECRETS, DATABASE_URL=url.replace(name, "no_such"))
    assert result.returncode == 1
    assert "Cannot use database no_such on " in result.stderr
    assert ': FATAL: database "no_such" does not exist. Check DATABASE_URL' in (
        result.stderr
    )
    assert result.stderr.count("\n") == 1


def test_migrate_leaves_a_database_of_the_old_program_alone(
    empty_database: BaseDatabaseWrapper,
) -> None:
    with empty_database.cursor() as cursor:
        cursor.execute("CREATE TABLE alembic_version (version_num varchar(32))")
        cursor.execute("INSERT INTO alembic_version VALUES ('b7e3f2c1a9d8')")

    with pytest.raises(CommandError, match="belongs to the program before this one"):
        call_command("migrate", database=empty_database.alias)

    with empty_database.cursor() as cursor:
        tables = empty_database.introspection.table_names(cursor)
    assert tables == ["alembic_version"]
