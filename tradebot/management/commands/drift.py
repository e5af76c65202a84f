"""Say where the database, or the models, are not what the migrations say."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from tradebot.schema.catalogue.sqlite import NOT_THERE
from tradebot.schema.drift import find_drift, format_drift
from tradebot.schema.faults import PreflightError, run_fault
from tradebot.schema.waiting import wait_for_database


class Command(BaseCommand):
    help = (
        "Compares the database with its migrations, and the models with both. Writes "
        "nothing. Exits with 1 where they differ; pending migrations are no difference."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print a JSON object.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if settings.MIGRATION_DATABASE and connection.alias == DEFAULT_DB_ALIAS:
            connection.close()
            connection.settings_dict.update(settings.MIGRATION_DATABASE)
        try:
            wait_for_database(connection, self.stderr.write, timeout_s=0)
            drift = find_drift(connection)
        except PreflightError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        except DatabaseError as error:
            fault = run_fault(connection, error)
            if fault is None:
                raise
            raise CommandError(str(fault), returncode=fault.exit_code) from error
        not_there = NOT_THERE if connection.vendor == "sqlite" else ()
        if options["json"]:
            report = {**drift.as_json(), "not_compared": not_there}
            self.stdout.write(json.dumps(report, indent=2))
        else:
            for line in format_drift(drift):
                self.stdout.write(line)
            if not_there:
                self.stdout.write(f"Not on SQLite: {', '.join(not_there)}.")
        if drift:
            sys.exit(1)
