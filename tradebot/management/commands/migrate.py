"""Django's migrate, which says in one sentence that the database cannot be used."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper


class Command(migrate.Command):
    # Not handle(): the system checks, which ask the database too, come before it.
    def execute(self, *args: Any, **options: Any) -> str | None:
        connection = connections[options["database"]]
        try:
            connection.ensure_connection()
        except DatabaseError as error:
            raise CommandError(
                f"Cannot use {_describe(connection)}: {_reason(error)}. Check "
                "DATABASE_URL and the database server."
            ) from error
        return super().execute(*args, **options)


def _describe(connection: BaseDatabaseWrapper) -> str:
    if connection.vendor == "sqlite":
        return f"the SQLite database {connection.settings_dict['NAME']}"
    parameters = connection.get_connection_params()
    return (
        f"database {parameters.get('dbname')} on {parameters.get('host', 'localhost')} "
        f"port {parameters.get('port', 5432)} as user {parameters.get('user')}"
    )


def _reason(error: DatabaseError) -> str:
    # The driver repeats the address before the reason and adds hints in more lines.
    first_line = str(error).partition("\n")[0]
    return " ".join(first_line.rpartition(" failed: ")[2].split())
