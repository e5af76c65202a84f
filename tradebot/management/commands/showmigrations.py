"""Django's showmigrations, with the documented revisions and how each came about."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import showmigrations
from django.db.migrations.loader import MigrationLoader

from tradebot.schema.branches import branches_fault
from tradebot.schema.drawing import format_graph
from tradebot.schema.graph import MigrationState, build_graph, migration_states
from tradebot.schema.revisions import MigrationKey


class Command(showmigrations.Command):
    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--graph",
            action="store_true",
            help="Draw what depends on what, with a lane for each app.",
        )
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print a JSON list; with --graph an object with nodes and edges.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json = options["json"]
        self.as_graph = options["graph"]
        if self.as_graph and options["format"] == "plan":
            raise CommandError("Give --plan or --graph, not both.")
        super().handle(*args, **options)

    def show_list(self, connection: Any, app_names: list[str] | None = None) -> None:
        """Show the migrations app by app, in the order of their graph."""
        loader = self._loader(connection, app_names)
        if self.as_graph:
            self._draw(loader, app_names or [])
            return
        graph: Any = loader.graph
        keys: dict[MigrationKey, None] = {}
        for app in sorted(app_names or loader.migrated_apps):
            for node in graph.leaf_nodes(app):
                plan = graph.forwards_plan(node)
                keys |= dict.fromkeys(key for key in plan if key[0] == app)
        states = migration_states(loader)
        self._show([states[key] for key in keys], by_app=True)

    def show_plan(self, connection: Any, app_names: list[str] | None = None) -> None:
        """Show the migrations in the order in which they would run."""
        loader = self._loader(connection, app_names)
        order: dict[MigrationKey, None] = {}
        for target in loader.graph.leaf_nodes():
            if not app_names or target[0] in app_names:
                order |= dict.fromkeys(loader.graph.forwards_plan(target))
        states = migration_states(loader)
        self._show([states[key] for key in order], by_app=False)

    def _loader(self, connection: Any, app_names: list[str] | None) -> MigrationLoader:
        loader = MigrationLoader(connection, ignore_no_migrations=True)
        if app_names:
            self._validate_app_names(loader, app_names)  # type: ignore[attr-defined]  # it is there
        if fault := branches_fault(loader.disk_migrations):
            self.stderr.write(f"Attention: {fault}")
        return loader

    def _draw(self, loader: MigrationLoader, app_names: list[str]) -> None:
        graph = build_graph(loader, app_names)
        if self.as_json:
            self.stdout.write(json.dumps(graph.as_json(), indent=2))
            return
        encoding = getattr(self.stdout, "encoding", None) or "utf-8"
        for line in format_graph(graph, encoding=encoding):
            self.stdout.write(line)

    def _show(self, states: list[MigrationState], *, by_app: bool) -> None:
        if self.as_json:
            rows = [state.as_json() for state in states]
            self.stdout.write(json.dumps(rows, indent=2))
            return
        shown = None
        for state in states:
            app, name = state.key
            if by_app and app != shown:
                shown = app
                self.stdout.write(app, self.style.MIGRATE_LABEL)
            mark = " " if state.status == "pending" else "X"
            text = f" [{mark}] {name if by_app else f'{app}.{name}'}"
            if notes := state.notes():
                text += f"  ({', '.join(notes)})"
            self.stdout.write(text)
