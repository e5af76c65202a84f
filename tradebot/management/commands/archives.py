"""List what migrations dropped and the system kept, and delete it when told to."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.dropped import Archive, archives, purge
from tradebot.schema.lock import LockError, migration_lock


class Command(BaseCommand):
    help = (
        "Lists the rows that were kept when a migration dropped their table or their "
        "columns. They come back when it is applied again; --purge deletes them."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--purge",
            nargs="+",
            default=[],
            metavar="ID",
            help="Delete these archives for good; all for every one.",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON list.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if options["purge"]:
            try:
                with migration_lock(connection, self.stderr.write):
                    for archive in _chosen(archives(connection), options["purge"]):
                        purge(connection, archive)
                        self.stderr.write(f"Deleted {archive}.")
            except LockError as error:
                raise CommandError(str(error)) from error
        found = archives(connection)
        if options["json"]:
            rows = [_as_json(connection, each) for each in found]
            self.stdout.write(json.dumps(rows, cls=DjangoJSONEncoder, indent=2))
            return
        for archive in found:
            row = _as_json(connection, archive)
            size = "" if row["bytes"] is None else f", {row['bytes']:,} bytes"
            self.stdout.write(f"{archive}{size}, kept {archive.at:%Y-%m-%d %H:%M} UTC")
            self.stdout.write(f"    {_fate(archive)}")
        if not found:
            self.stdout.write("Nothing is kept: no migration has dropped a row.")


def _chosen(found: list[Archive], names: list[str]) -> list[Archive]:
    if names == ["all"]:
        return found
    by_id = {str(archive.id): archive for archive in found}
    for name in names:
        if name not in by_id:
            raise CommandError(
                f"{name} is no archive. There are: {', '.join(by_id) or 'none'}. "
                "Nothing was deleted."
            )
    return [by_id[name] for name in dict.fromkeys(names)]


def _fate(archive: Archive) -> str:
    migration = f"{archive.app}.{archive.name}"
    if not archive.waiting:
        return f"left over when {migration} ran: what the rows belong to is gone"
    happens = "is applied again" if archive.backwards else "is reversed"
    return f"comes back when {migration} {happens}"


def _as_json(connection: BaseDatabaseWrapper, archive: Archive) -> dict[str, Any]:
    size = None
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_total_relation_size(%s::regclass)", [archive.table]
            )
            (size,) = cursor.fetchone()
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
        "bytes": size,
        "archive": archive.table,
    }
