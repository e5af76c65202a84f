"""Django's showmigrations, with the documented revisions and how each came about."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import showmigrations
from django.db.migrations.loader import MigrationLoader

from tradebot.models import Action
from tradebot.schema.history import History
from tradebot.schema.revisions import MigrationKey


class Command(showmigrations.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="Print a JSON list.")

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        super().handle(*args, **options)

    def show_list(self, connection: Any, app_names: list[str] | None = None) -> None:
        """Show the migrations app by app, in the order of their graph."""
        loader = MigrationLoader(connection, ignore_no_migrations=True)
        if app_names:
            self._validate_app_names(loader, app_names)  # type: ignore[attr-defined]  # it is there
        rows = self._rows(loader, sorted(app_names or loader.migrated_apps))
        self._show(rows, by_app=True)

    def show_plan(self, connection: Any, app_names: list[str] | None = None) -> None:
        """Show the migrations in the order in which they would run."""
        loader = MigrationLoader(connection)
        if app_names:
            self._validate_app_names(loader, app_names)  # type: ignore[attr-defined]  # it is there
        order: dict[MigrationKey, None] = {}
        for target in loader.graph.leaf_nodes():
            if not app_names or target[0] in app_names:
                order |= dict.fromkeys(loader.graph.forwards_plan(target))
        apps = list(dict.fromkeys(app for app, _ in order))
        rows = {(row["app"], row["name"]): row for row in self._rows(loader, apps)}
        self._show([rows[key] for key in order], by_app=False)

    def _rows(self, loader: MigrationLoader, apps: list[str]) -> list[dict[str, Any]]:
        graph: Any = loader.graph
        how = _ways(loader)
        rows = []
        for app in apps:
            keys: dict[MigrationKey, None] = {}
            for node in graph.leaf_nodes(app):
                plan = graph.forwards_plan(node)
                keys |= dict.fromkeys(key for key in plan if key[0] == app)
            rows += [_row(loader, key, how) for key in keys]
        return rows

    def _show(self, rows: list[dict[str, Any]], *, by_app: bool) -> None:
        if self.as_json:
            self.stdout.write(json.dumps(rows, indent=2))
            return
        app = None
        for row in rows:
            if by_app and row["app"] != app:
                app = row["app"]
                self.stdout.write(app, self.style.MIGRATE_LABEL)
            mark = "X" if row["status"] != "pending" else " "
            name = row["name"] if by_app else f"{row['app']}.{row['name']}"
            ids = row["revisions"]
            word = "revision" if len(ids) == 1 else "revisions"
            notes = [f"{word} {', '.join(ids)}"] if ids else []
            if row["squashed"]:
                notes.insert(0, f"{row['squashed']} squashed")
            if row["status"] not in ("pending", "applied"):
                notes.append(row["status"])
            text = f" [{mark}] {name}"
            self.stdout.write(f"{text}  ({', '.join(notes)})" if notes else text)


def _ways(loader: MigrationLoader) -> dict[MigrationKey, str]:
    """Return how the migrations that are applied came to be recorded so."""
    names = {Action.ADOPT.value: "adopted", Action.FAKE.value: "faked"}
    connection: Any = loader.connection
    return {
        key: names.get(action, "applied")
        for key, action in History(connection).latest_actions().items()
    }


def _row(
    loader: MigrationLoader, key: MigrationKey, how: dict[MigrationKey, str]
) -> dict[str, Any]:
    migration: Any = loader.graph.nodes[key]
    replaced = [loader.disk_migrations[each] for each in migration.replaces]
    applied = key in loader.applied_migrations
    ways = {how.get((each.app_label, each.name)) for each in (migration, *replaced)}
    return {
        "app": key[0],
        "name": key[1],
        "status": (
            "pending"
            if not applied
            else next((way for way in ("adopted", "faked") if way in ways), "applied")
        ),
        "squashed": len(replaced),
        "revisions": [
            each.revision
            for each in (migration, *replaced)
            if hasattr(each, "revision")
        ],
    }
