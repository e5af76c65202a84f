"""What management commands have in common."""

from __future__ import annotations

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from tradebot.schema.faults import PreflightError
from tradebot.schema.version import read_version


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
