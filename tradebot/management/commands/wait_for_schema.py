"""Wait until the schema is that of this code: for workers, before they start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from tradebot.schema.faults import PreflightError
from tradebot.schema.waiting import wait_for_schema


class Command(BaseCommand):
    help = (
        "Waits until all migrations of this code are applied. Exits with 1 where some "
        "are still missing when the time is up, with 4 where the schema belongs to "
        "another version, and with the code of the fault where the database cannot be "
        "used."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--timeout",
            type=float,
            default=300,
            metavar="S",
            help="Seconds to wait at most, for the database too (300).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        try:
            version = wait_for_schema(connection, self.stderr.write, options["timeout"])
        except PreflightError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        if version.missing:
            raise CommandError(str(version), returncode=version.exit_code)
        if version.unknown:
            self.stderr.write(f"Attention: {version}")
