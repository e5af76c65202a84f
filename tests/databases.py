"""Databases of their own for tests that migrate."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import database_url


@contextmanager
def scratch_database(
    options: str = "", *, template: str = ""
) -> Iterator[BaseDatabaseWrapper]:
    """Make an empty database beside the default one; drop it afterwards.

    ``options`` are those of CREATE DATABASE. ``template`` is the name of a database to
    copy, to which nobody may be connected.
    """
    default = connections["default"]
    alias = name = f"scratch_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        if default.vendor == "postgresql":
            if template:
                options = f'{options} TEMPLATE "{template}"'
            with default._nodb_cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name} {options}")
        else:
            name = str(Path(folder) / f"{name}.sqlite3")
            if template:
                shutil.copy(template, name)
        connections.databases[alias] = {**default.settings_dict, "NAME": name}
        connection = connections[alias]
        try:
            yield connection
        finally:
            connection.close()
            del connections[alias]
            del connections.databases[alias]
            if default.vendor == "postgresql":
                with default._nodb_cursor() as cursor:
                    cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def url_of(database: BaseDatabaseWrapper) -> str:
    """Return the URL of a database, for processes of their own."""
    if database.vendor == "sqlite":
        return f"sqlite:///{database.settings_dict['NAME']}"
    return database_url(database)


@contextmanager
def as_default(database: BaseDatabaseWrapper) -> Iterator[None]:
    """Let the models read and write a database beside the one of the tests."""
    default, settings = connections["default"], connections.databases["default"]
    connections["default"] = database
    try:
        yield
    finally:
        database.close()
        connections["default"], connections.databases["default"] = default, settings
