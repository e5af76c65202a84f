"""Run migrations so that a crash at any moment leaves nothing half done.

And so that every migration can be the target, those that a squashed one replaces too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations import executor as django_executor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState


class MigrationExecutor(django_executor.MigrationExecutor):
    """Django's executor, whose record of a migration commits with its work.

    Django records after the commit where a migration left statements for its end:
    killed in between, every later run would fail on what exists already. Here these
    statements and the record are in the migration's own transaction, if it has one.
    """

    def migration_plan(
        self, targets: Iterable[tuple[str, str | None]], clean_start: bool = False
    ) -> list[tuple[Migration, bool]]:
        targets = list(targets)
        graph = self.loader.graph
        if any(
            name is not None and (app, name) not in graph.nodes for app, name in targets
        ):
            self.loader = chain_loader(self.connection)
        return super().migration_plan(targets, clean_start)

    def apply_migration(
        self,
        state: ProjectState,
        migration: Migration,
        fake: bool = False,
        fake_initial: bool = False,
    ) -> ProjectState:
        if fake or fake_initial or not migration.atomic:
            return super().apply_migration(state, migration, fake, fake_initial)
        self._tell("apply_start", migration)
        with self.connection.schema_editor(atomic=True) as schema_editor:
            state = migration.apply(state, schema_editor)
            _run_deferred(schema_editor)
            self.record_migration(migration)  # type: ignore[call-arg, arg-type]  # as it is in Django 5.2
        self._tell("apply_success", migration)
        return state

    def unapply_migration(
        self, state: ProjectState, migration: Migration, fake: bool = False
    ) -> ProjectState:
        if fake or not migration.atomic:
            return super().unapply_migration(state, migration, fake)
        self._tell("unapply_start", migration)
        with self.connection.schema_editor(atomic=True) as schema_editor:
            state = migration.unapply(state, schema_editor)
            _run_deferred(schema_editor)
            key = (migration.app_label, migration.name)
            squashed = [
                each
                for each, replacement in self.loader.replacements.items()
                if key in replacement.replaces
            ]
            for app_label, name in [*migration.replaces, key, *squashed]:
                self.recorder.record_unapplied(app_label, name)
        self._tell("unapply_success", migration)
        return state

    def _tell(self, action: str, migration: Migration) -> None:
        if self.progress_callback:
            self.progress_callback(action, migration, False)


def chain_loader(connection: BaseDatabaseWrapper) -> MigrationLoader:
    """Return the graph of all migrations that are no squashed ones.

    Left to itself, Django keeps the squashed nodes in a graph without replacements, as
    if they were migrations like the others: going back, it would undo them as well.
    """
    loader = MigrationLoader(connection, replace_migrations=False)
    for key, squashed in loader.replacements.items():
        loader.graph.remove_replacement_node(key, squashed.replaces)
    return loader


def _run_deferred(schema_editor: Any) -> None:
    for statement in schema_editor.deferred_sql:
        schema_editor.execute(statement)
    schema_editor.deferred_sql.clear()
