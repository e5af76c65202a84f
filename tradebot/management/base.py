"""What management commands have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.faults import PreflightError, run_fault
from tradebot.schema.lock import LockError
from tradebot.schema.version import read_version
from tradebot.schema.waiting import wait_for_database


def migration_connection(alias: str) -> BaseDatabaseWrapper:
    """Return the connection over which the schema is changed."""
    found = connections[alias]
    if settings.MIGRATION_DATABASE and alias == DEFAULT_DB_ALIAS:
        found.close()
        found.settings_dict.update(settings.MIGRATION_DATABASE)
    return found


@contextmanager
def told_in_words(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Turn what stands in the way into the message and exit code of the command."""
    try:
        yield
    except LockError as error:
        raise CommandError(str(error)) from error
    except PreflightError as error:
        raise CommandError(str(error), returncode=error.exit_code) from error
    except DatabaseError as error:
        fault = run_fault(connection, error)
        if fault is None:
            raise
        raise CommandError(str(fault), returncode=fault.exit_code) from error


class SchemaCommand(BaseCommand):
    """A command about the schema itself."""

    requires_system_checks = ()
    database_wait_s = 0.0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = migration_connection(options["database"])
        with told_in_words(connection):
            wait_for_database(connection, self.stderr.write, self.database_wait_s)
            self.run(connection, options)

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        """Do what the command is for."""
        raise NotImplementedError


class DataCommand(BaseCommand):
    """A command that reads or writes data, for which the schema has to be the code's.

    Exits with the code of SchemaVersion where something is missing in the schema, and
    with that of the fault where the code is not one history; where the schema is ahead,
    says so and goes on.
    """

    requires_migrations_checks = True

    def check_migrations(self) -> None:
        try:
            version = read_version(connection)
        except PreflightError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        if version.missing:
            raise CommandError(str(version), returncode=version.exit_code)
        if version.unknown:
            self.stderr.write(f"Attention: {version}")
