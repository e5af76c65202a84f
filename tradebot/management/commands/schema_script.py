"""Write one SQL file for psql that brings a database from a state to a later one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from tradebot.schema.script import ScriptError, write_script
from tradebot.schema.states import BASE, StateError, everything, parse_state


class Command(BaseCommand):
    help = (
        "Writes an SQL script that does what migrate does, for psql on PostgreSQL. No "
        f"database is needed. A STATE is {BASE!r}, a documented revision, a migration "
        "as APP.NAME (with all that it needs), or several of them joined by commas."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from",
            default=BASE,
            dest="start",
            metavar="STATE",
            help="The state that the database is in (base: it is empty).",
        )
        parser.add_argument(
            "--to",
            dest="end",
            metavar="STATE",
            help="The state to bring it to (that of this code).",
        )
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help="Write the script there, not to the standard output.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        output = options["output"]
        try:
            start = parse_state(options["start"])
            end = (
                everything() if options["end"] is None else parse_state(options["end"])
            )
            script = "".join(f"{line}\n" for line in write_script(start, end))
        except (StateError, ScriptError) as error:
            raise CommandError(str(error)) from error
        if output is None:
            self.stdout.write(script)
            return
        try:
            output.write_text(script, encoding="utf-8")
        except OSError as error:
            raise CommandError(
                f"Cannot write {output}: {error.strerror}. Name a file in a folder "
                "that is there and may be written to."
            ) from error
        self.stderr.write(f"Wrote {output}: from {start.name} to {end.name}.")
