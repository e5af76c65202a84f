"""A file that cannot be used is told with its own code."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import ROOT, environment, manage
from tests.schema.obstacles import SETTINGS, contents, execute, migrate
from tradebot.schema import faults


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
