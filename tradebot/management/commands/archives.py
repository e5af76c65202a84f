"""List what the system has kept for the way back, and delete it when told to."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.base import SchemaCommand
from tradebot.schema.archive import KeptValues, empty, kept_values
from tradebot.schema.dropped import Archive, archives, purge
from tradebot.schema.lock import migration_lock
from tradebot.schema.preflight import check_lock


class Command(SchemaCommand):
    help = (
        "Lists what was kept when a migration dropped tables and columns, or when a "
        "migration or a repair replaced values. --purge deletes it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--purge",
            nargs="+",
            default=[],
            metavar="ID",
            help="Delete these archives for good; all for every one that has a "
            "number. One with a name is deleted after a question.",
        )
        parser.add_argument(
            "--no-input",
            action="store_false",
            dest="interactive",
            help="With --purge: ask no question.",
        )

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        if options["purge"]:
            self._ask(connection, options["purge"], interactive=options["interactive"])
            check_lock(connection)
            with migration_lock(connection, self.stderr.write):
                self._purge(connection, options["purge"])
        found, values = archives(connection), kept_values(connection)
        if options["json"]:
            rows = [
                *(_as_json(connection, each) for each in found),
                *map(_values_as_json, values),
            ]
            self.stdout.write(json.dumps(rows, cls=DjangoJSONEncoder, indent=2))
            return
        for archive in found:
            size = _size(_bytes(connection, archive))
            self.stdout.write(f"{archive}{size}, kept {archive.at:%Y-%m-%d %H:%M} UTC")
            self.stdout.write(f"    {_fate(archive)}")
        if not found:
            self.stdout.write("Nothing is kept of dropped tables and columns.")
        for each in values:
            self.stdout.write(f"{each}{_size(each.bytes)}")
            self.stdout.write(f"    stays until {each.until}")

    def _ask(
        self,
        connection: BaseDatabaseWrapper,
        names: Sequence[str],
        *,
        interactive: bool,
    ) -> None:
        """Warn of what will not come back, and let people stop it."""
        named = [
            each for each in _chosen(connection, names) if isinstance(each, KeptValues)
        ]
        for each in named:
            self.stderr.write(f"Attention: Without {each}: {each.without}.")
        if not named or not interactive:
            return
        if not sys.stdin.isatty():
            raise CommandError(
                "There is no terminal to ask at: say --no-input as well. Nothing was "
                "deleted."
            )
        if input("Delete it for good? Type yes: ") != "yes":
            raise CommandError("Nothing was deleted.")

    def _purge(self, connection: BaseDatabaseWrapper, names: Sequence[str]) -> None:
        for each in _chosen(connection, names):
            if isinstance(each, KeptValues):
                empty(connection, each.archive)
            else:
                purge(connection, each)
            self.stderr.write(f"Deleted {each}.")


def _chosen(
    connection: BaseDatabaseWrapper, names: Sequence[str]
) -> list[Archive | KeptValues]:
    numbered = archives(connection)
    if names == ["all"]:
        return [*numbered]
    found: dict[str, Archive | KeptValues] = {
        **{str(archive.id): archive for archive in numbered},
        **{each.archive: each for each in kept_values(connection)},
    }
    for name in names:
        if name not in found:
            raise CommandError(
                f"{name} is no archive. There are: {', '.join(found) or 'none'}. "
                "Nothing was deleted."
            )
    return [found[name] for name in dict.fromkeys(names)]


def _fate(archive: Archive) -> str:
    migration = f"{archive.app}.{archive.name}"
    if not archive.waiting:
        return f"left over when {migration} ran: what the rows belong to is gone"
    happens = "is applied again" if archive.backwards else "is reversed"
    return f"comes back when {migration} {happens}"


def _size(bytes_: int | None) -> str:
    return "" if bytes_ is None else f", {bytes_:,} bytes"


def _bytes(connection: BaseDatabaseWrapper, archive: Archive) -> int | None:
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [archive.table])
        (size,) = cursor.fetchone()
    return int(size)


def _as_json(connection: BaseDatabaseWrapper, archive: Archive) -> dict[str, Any]:
    return {
        "id": archive.id,
        "at": archive.at,
        "app": archive.app,
        "name": archive.name,
        "backwards": archive.backwards,
        "waiting": archive.waiting,
        "table": archive.table_name,
        "columns": archive.column_names,
        "rows": archive.rows,
        "bytes": _bytes(connection, archive),
        "archive": archive.table,
    }


def _values_as_json(values: KeptValues) -> dict[str, Any]:
    return {
        "id": values.archive,
        "holds": values.holds,
        "until": values.until,
        "without": values.without,
        "rows": values.rows,
        "bytes": values.bytes,
        "archive": values.archive,
    }
