"""Migrations that are in no file, for what is about their order only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from tradebot.schema.revisions import MigrationKey


def migration(
    key: MigrationKey, dependencies: Iterable[MigrationKey] = (), **attributes: Any
) -> Migration:
    attributes["dependencies"] = list(dependencies)
    made: type[Migration] = type("Migration", (Migration,), attributes)
    return made(key[1], key[0])


def loader_of(
    migrations: Mapping[MigrationKey, Migration],
    connection: BaseDatabaseWrapper | None = None,
) -> MigrationLoader:
    """Return a loader that has found these and no others."""
    loader = MigrationLoader(connection, load=False)
    loader.disk_migrations = dict(migrations)
    loader.unmigrated_apps, loader.migrated_apps = set(), {app for app, _ in migrations}
    loader.load_disk = lambda: None  # type: ignore[method-assign]  # these are they
    loader.build_graph()
    return loader
