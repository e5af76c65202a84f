"""Walk the migrations one by one, along the chain or along the squashed path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState, StateApps

from tradebot.schema.executor import MigrationExecutor, chain_loader
from tradebot.schema.revisions import MigrationKey

# Back to the documented head app by app, as targets of migrate.
DOCUMENTED_HEAD = (
    ("accounts", "0002"),
    ("bots", "0006"),
    ("apikeys", "0001"),
    ("trading", "0002"),
    ("backtests", "0003"),
)


class Walker:
    """Applies and unapplies single migrations on one database.

    ``squashed`` chooses between the two ways to the same schema: the squashed
    migrations, or all that they replace.
    """

    def __init__(self, connection: BaseDatabaseWrapper, *, squashed: bool) -> None:
        self.connection = connection
        self.squashed = squashed

    def plan(self) -> list[MigrationKey]:
        """Return every migration of the path, from empty to the newest."""
        executor = self._executor()
        targets = executor.loader.graph.leaf_nodes()
        plan = executor.migration_plan(targets, clean_start=True)
        return [(migration.app_label, migration.name) for migration, _ in plan]

    def forwards(self, *keys: MigrationKey) -> None:
        self._run(keys, backwards=False)

    def backwards(self, *keys: MigrationKey) -> None:
        self._run(keys, backwards=True)

    def apps(self) -> StateApps:
        """Return the models as the applied migrations leave them."""
        executor: Any = self._executor()
        state: ProjectState = executor._create_project_state(
            with_applied_migrations=True
        )
        return state.apps

    def applied(self) -> set[MigrationKey]:
        return set(self._executor().recorder.applied_migrations())

    def _run(self, keys: Sequence[MigrationKey], *, backwards: bool) -> None:
        executor = self._executor()
        nodes: dict[MigrationKey, Migration] = executor.loader.graph.nodes
        executor.migrate(list(keys), plan=[(nodes[key], backwards) for key in keys])

    def _executor(self) -> MigrationExecutor:
        executor = MigrationExecutor(self.connection)
        executor.loader = (
            MigrationLoader(self.connection)
            if self.squashed
            else chain_loader(self.connection)
        )
        return executor
