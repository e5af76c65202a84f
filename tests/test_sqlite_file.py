"""The file of an SQLite database is for its owner alone where it is made here."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

pytestmark = pytest.mark.sqlite


def write(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("CREATE TABLE written (id integer)")


def modes(folder: Path) -> dict[str, int]:
    return {path.suffix: path.stat().st_mode & 0o777 for path in folder.iterdir()}


def test_new_file_is_for_its_owner_alone(empty_database: BaseDatabaseWrapper) -> None:
    path = Path(str(empty_database.settings_dict["NAME"]))
    empty_database.close()
    path.unlink(missing_ok=True)

    write(empty_database)

    assert modes(path.parent) == {
        ".sqlite3": 0o600,
        ".sqlite3-wal": 0o600,
        ".sqlite3-shm": 0o600,
    }


def test_mode_of_a_file_that_is_there_stays(
    empty_database: BaseDatabaseWrapper,
) -> None:
    path = Path(str(empty_database.settings_dict["NAME"]))
    empty_database.close()
    path.touch()
    path.chmod(0o640)

    write(empty_database)

    assert modes(path.parent)[".sqlite3"] == 0o640
