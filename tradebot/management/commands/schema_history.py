"""Show what was done to the schema, and whether something about it is wrong."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.loader import MigrationLoader

from tradebot.schema.branches import branches_fault
from tradebot.schema.checksum import changed
from tradebot.schema.history import (
    TABLE,
    History,
    HistoryEntry,
    describe_error,
    format_seconds,
)
from tradebot.schema.revisions import MigrationKey

_BAR_WIDTH = 12
_ERROR_WIDTH = 88


class Command(BaseCommand):
    help = (
        "Shows every migration that was applied, reversed or adopted, or that failed "
        "or was killed: when, how long, by whom, and with which version."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--limit",
            type=int,
            default=50,
            metavar="N",
            help="Show the last N actions (50).",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON list.")
        parser.add_argument(
            "--check",
            action="store_true",
            help="Exit with 1 if an applied migration was changed since, if the last "
            "action failed or was killed, or if branches of the code are to be merged.",
        )
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] < 1:
            raise CommandError("--limit must be 1 or more.")
        connection = connections[options["database"]]
        history = History(connection)
        try:
            has_table = history.has_table()
        except DatabaseError as error:
            raise CommandError(
                f"Cannot use the database: {describe_error(error, connection)}. Check "
                "DATABASE_URL and the database server."
            ) from error
        entries = history.entries(options["limit"])
        problems = [*_cut_off(entries)]
        loader = MigrationLoader(connection)
        if has_table:
            problems += _told(changed(connection, loader))
        if fault := branches_fault(loader.disk_migrations):
            problems.append(str(fault))
        if options["json"]:
            rows = [asdict(entry) for entry in entries]
            self.stdout.write(json.dumps(rows, cls=DjangoJSONEncoder, indent=2))
        elif entries:
            encoding = getattr(self.stdout, "encoding", None) or "utf-8"
            self.stdout.write("\n".join(_table(entries, _blocks(encoding))))
        else:
            self.stdout.write(
                "There is no history yet. migrate begins it with the next migration"
                f"{'' if has_table else f', in the table {TABLE}'}."
            )
        for problem in problems:
            # Beside the list where programs read that.
            (self.stderr if options["json"] else self.stdout).write(f"\n{problem}")
        if options["check"] and problems:
            sys.exit(1)


def _cut_off(entries: list[HistoryEntry]) -> Iterator[str]:
    if entries and entries[0].outcome in ("failed", "killed"):
        last = entries[0]
        happened = "failed" if last.outcome == "failed" else "was killed"
        yield (
            f"The last action {happened}: {last.action} {last.app}.{last.name}. "
            "Remove the cause and run migrate again: it goes on where this one stopped."
        )


def _told(changes: list[MigrationKey]) -> Iterator[str]:
    if changes:
        yield "\n".join(
            [
                "Changed since they were applied:",
                *(f"  {app}.{name}" for app, name in changes),
                "The database has what they did then; a new one gets what they do now. "
                "Bring the old files",
                "back and put the change into a new migration (makemigrations), or, "
                "where that loses nothing,",
                "reverse them with the old files and apply them with the new ones.",
            ]
        )


def _table(entries: list[HistoryEntry], blocks: str) -> Iterator[str]:
    """Yield lines: a heading for each run, and below it what it did."""
    longest = max(entry.seconds or 0 for entry in entries)
    width = max(len(_migration(entry)) for entry in entries)
    for run, actions in groupby(entries, key=lambda entry: entry.run):
        first = None
        for entry in actions:
            if first != run:
                first = run
                yield (
                    f"{entry.at:%Y-%m-%d} (UTC)  {entry.os_user}@{entry.host}, "
                    f"{f'pid {entry.pid}, ' if entry.pid else ''}"
                    f"TradeBot {entry.version}"
                )
            name = _migration(entry)
            took = "" if entry.seconds is None else format_seconds(entry.seconds)
            bar = _bar(entry.seconds, longest, blocks)
            yield (
                f"  {entry.at:%H:%M:%S}  {entry.action:7}  {name:{width}}  "
                f"{entry.outcome:7}  {bar:{_BAR_WIDTH}} {took:>9}"
            ).rstrip()
            if entry.error:
                yield textwrap.fill(
                    entry.error,
                    _ERROR_WIDTH,
                    initial_indent=" " * 12,
                    subsequent_indent=" " * 12,
                )


def _migration(entry: HistoryEntry) -> str:
    return f"{entry.app}.{entry.name}".strip(".")


def _blocks(encoding: str) -> str:
    """Return the characters of a bar, from an eighth to a whole one if there are."""
    blocks = "▏▎▍▌▋▊▉█"
    try:
        blocks.encode(encoding)
    except UnicodeEncodeError:
        return "#"
    return blocks


def _bar(seconds: float | None, longest: float, blocks: str) -> str:
    if seconds is None or not longest:
        return ""
    parts = max(1, round(seconds / longest * _BAR_WIDTH * len(blocks)))
    whole, rest = divmod(parts, len(blocks))
    return blocks[-1] * whole + (blocks[rest - 1] if rest else "")
