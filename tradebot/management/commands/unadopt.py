"""Give a database back to the program before this one."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandParser
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.base import SchemaCommand
from tradebot.schema import adoption
from tradebot.schema.lock import migration_lock


class Command(SchemaCommand):
    help = (
        "Returns a database that was taken over to the documented head, so that the "
        "old program starts on it again. What is written since stays; what that "
        "program has no place for is kept and comes back with adopt and migrate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--plan", action="store_true", help="Show what would be undone."
        )

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        adoption.check_way_back(connection)
        head = adoption.documented_head()
        to_head: dict[str, Any] = {
            "app_label": head.id,
            "database": options["database"],
            "verbosity": options["verbosity"],
            "stderr": self.stderr,
        }
        if options["plan"]:
            call_command(
                "migrate",
                **to_head,
                plan=True,
                json=options["json"],
                stdout=self.stdout,
            )
            return
        if unreadable := adoption.unreadable_passwords(connection):
            self.stderr.write(
                f"Attention: {unreadable:,} users have a password that the old program "
                "cannot read. It lets them reset it."
            )
        call_command("migrate", **to_head, stdout=self.stderr)
        with migration_lock(connection, self.stderr.write):
            differences = adoption.give_back(connection)
        stay = adoption.what_stays(connection)
        if options["json"]:
            report = {
                "head": head.id,
                "differences": list(map(str, differences)),
                "stays": stay,
            }
            self.stdout.write(json.dumps(report, indent=2))
            return
        for difference in differences:
            self.stderr.write(f"Attention: {difference}")
        self.stdout.write(
            f"The database is the old program's again, at {head.id}. Tables of ours "
            f"that stay and do not disturb it: {', '.join(stay)}. manage.py adopt and "
            "migrate take it over again, with what was kept."
        )
