"""Say where the database, or the models, are not what the migrations say."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.base import SchemaCommand
from tradebot.schema.catalogue.sqlite import NOT_THERE
from tradebot.schema.drift import find_drift, format_drift


class Command(SchemaCommand):
    help = (
        "Compares the database with its migrations, and the models with both. Writes "
        "nothing. Exits with 1 where they differ; pending migrations are no difference."
    )

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        drift = find_drift(connection)
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
