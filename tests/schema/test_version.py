"""A schema that is not the one of the code is told, by words and by exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from accounts.models import User
from tests.processes import SECRETS, database_url, free_port, manage, serving
from tradebot.schema.faults import UnreachableError
from tradebot.schema.version import read_version

NEWER = ("bots", "9999_of_a_newer_version")
# Of the last app: no other depends on it.
_graph = MigrationLoader(None).graph
((_, NEWEST),) = _graph.leaf_nodes("backtests")
((_, BEFORE),) = [
    key for key in _graph.node_map["backtests", NEWEST].parents if key[0] == "backtests"
]


@pytest.fixture
def settings(migrated_database: BaseDatabaseWrapper) -> dict[str, str]:
    """The settings of a process on a database that is up to date."""
    url = (
        database_url(migrated_database)
        if migrated_database.vendor == "postgresql"
        else f"sqlite:///{migrated_database.settings_dict['NAME']}"
    )
    return {**SECRETS, "DATABASE_URL": url, "HTTPS_ONLY": "false"}


def go_back(connection: BaseDatabaseWrapper) -> None:
    alias = connection.alias
    call_command("migrate", "backtests", BEFORE, database=alias, verbosity=0)


def get_ahead(connection: BaseDatabaseWrapper) -> None:
    MigrationRecorder(connection).record_applied(*NEWER)


@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        ([], 0, "The schema is the one of this code."),
        ([go_back], 1, f"behind this code by backtests.{NEWEST}."),
        ([get_ahead], 3, "ahead of this code by bots.9999_of_a_newer_version."),
        ([go_back, get_ahead], 4, "belongs to another version of the program."),
    ],
    ids=["current", "behind", "ahead", "both"],
)
def test_check_tells_the_states_apart(
    changes: list[object],
    exit_code: int,
    words: str,
    settings: dict[str, str],
    migrated_database: BaseDatabaseWrapper,
) -> None:
    for change in changes:
        change(migrated_database)  # type: ignore[operator]  # these functions

    result = manage("migrate", "--check", **settings)

    assert (result.returncode, words in result.stdout) == (exit_code, True)
    assert read_version(migrated_database).exit_code == exit_code


def test_empty_database_is_behind(empty_database: BaseDatabaseWrapper) -> None:
    version = read_version(empty_database)

    assert version.exit_code == 1
    assert " more. Run migrate." in str(version)


def test_migrate_says_that_the_database_is_ahead(
    settings: dict[str, str], migrated_database: BaseDatabaseWrapper
) -> None:
    get_ahead(migrated_database)

    result = manage("migrate", **settings)

    assert result.returncode == 0
    assert "Attention: The schema is ahead of this code" in result.stderr


GUNICORN = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]


def test_server_on_a_schema_behind_its_code_does_not_start(
    settings: dict[str, str], migrated_database: BaseDatabaseWrapper, tmp_path: Path
) -> None:
    go_back(migrated_database)

    with serving(tmp_path, GUNICORN, **settings) as server:
        assert server.process.wait(timeout=30) == 1

    assert "Not served: The schema is behind this code" in server.log
    assert "Traceback" not in server.log


def test_server_on_a_schema_ahead_of_its_code_says_so_and_serves(
    settings: dict[str, str], migrated_database: BaseDatabaseWrapper, tmp_path: Path
) -> None:
    get_ahead(migrated_database)

    with serving(tmp_path, GUNICORN, **settings) as server:
        assert server.get("/health").status == 200
        assert server.stop() == 0

    assert "ahead of this code by bots.9999_of_a_newer_version" in server.log


COMMANDS = [
    ["create_first_admin"],
    ["createsuperuser", "--no-input", "--email", "chief@example.com"],
]
PASSWORD = "Correct-Horse-7"


@pytest.mark.alike
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        ([go_back], 1, "CommandError: The schema is behind this code by backtests."),
        ([go_back, get_ahead], 4, "CommandError: The schema has bots.9999"),
        ([get_ahead], 0, "Attention: The schema is ahead of this code by bots."),
        pytest.param([], 0, "", marks=pytest.mark.long),
    ],
    ids=["behind", "both", "ahead", "current"],
)
def test_command_on_data_refuses_a_schema_that_lacks_something(
    command: list[str],
    changes: list[object],
    exit_code: int,
    words: str,
    settings: dict[str, str],
    migrated_database: BaseDatabaseWrapper,
) -> None:
    for change in changes:
        change(migrated_database)  # type: ignore[operator]  # these functions

    result = manage(*command, **settings, DJANGO_SUPERUSER_PASSWORD=PASSWORD)

    assert result.returncode == exit_code, result.stderr
    assert result.stderr.startswith(words)
    users = User.objects.using(migrated_database.alias)
    assert users.filter(is_superuser=True).exists() == (exit_code == 0)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("changes", "exit_code", "words"),
    [
        ([], 0, ""),
        ([get_ahead], 0, "Attention: The schema is ahead of this code by bots.9999"),
        (
            [go_back],
            1,
            "CommandError: The schema is behind this code by backtests.",
        ),
        ([go_back, get_ahead], 4, "CommandError: The schema has bots.9999"),
    ],
    ids=["current", "ahead", "behind", "both"],
)
def test_wait_for_schema_ends_when_the_time_is_up(
    changes: list[object],
    exit_code: int,
    words: str,
    settings: dict[str, str],
    migrated_database: BaseDatabaseWrapper,
) -> None:
    for change in changes:
        change(migrated_database)  # type: ignore[operator]  # these functions

    result = manage("wait_for_schema", "--timeout", "1", **settings)

    assert result.returncode == exit_code
    assert words in result.stderr
    assert ("Waiting for that for 1 s." in result.stderr) == (exit_code > 0)
    assert result.stderr.count("\n") == (2 if exit_code else bool(words))


def test_wait_for_schema_without_a_database_ends_with_the_code_of_the_fault() -> None:
    url = f"postgres://someone:hunter2@127.0.0.1:{free_port()}/bots"

    result = manage("wait_for_schema", "--timeout", "0", **SECRETS, DATABASE_URL=url)

    assert result.returncode == UnreachableError.exit_code
    assert result.stderr.startswith("CommandError: Cannot reach database bots on ")
