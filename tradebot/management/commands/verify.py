"""Verify the migrations, for CI and before a release."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.base import SchemaCommand
from tradebot.schema.verification import as_json, format_end, format_result, verify


class Command(SchemaCommand):
    help = (
        "Verifies that the migrations are one history that can be applied, resumed, "
        "undone and scripted. Touches nothing that is in the database. Exits with 1 "
        "where a check fails."
    )

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        is_shown = self.stdout.isatty() and not options["json"]

        def begin(name: str) -> None:
            if is_shown:
                self.stdout.write(f"...       {name}", ending="")
                self.stdout.flush()

        results = []
        for result in verify(connection, begin=begin):
            results.append(result)
            if is_shown:
                self.stdout.write("\r\x1b[K", ending="")
            if not options["json"]:
                self.stdout.write("\n".join(format_result(result)))
        if options["json"]:
            self.stdout.write(json.dumps(as_json(results), indent=2))
        else:
            self.stdout.write(format_end(results))
        if any(result.problems for result in results):
            sys.exit(1)
