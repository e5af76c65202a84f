"""Replay migrations where they touch nothing, and read what they have made."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

from tradebot.schema.catalogue.objects import Catalogue
from tradebot.schema.catalogue.postgresql import read_postgresql
from tradebot.schema.catalogue.sqlite import read_sqlite
from tradebot.schema.history import History
from tradebot.schema.lean_state import LeanState
from tradebot.schema.scratch import replay_all, scratch_schema
from tradebot.schema.steps import compile_migration

_ALIAS = "tradebot_scratch"


class Replay:
    """A place in which migrations are replayed, one list after the other."""

    def __init__(self, connection: BaseDatabaseWrapper, state: ProjectState) -> None:
        self.connection = connection
        self._state = state

    def run(self, migrations: Iterable[Migration]) -> None:
        """Apply migrations in their order."""
        with no_garbage_collection():
            for migration in migrations:
                self._apply(migration)

    def read(self) -> Catalogue:
        """Return what is there now."""
        return read_catalogue(self.connection)

    def _apply(self, migration: Migration) -> None:
        connection = self.connection
        if connection.vendor == "postgresql":
            steps, self._state = compile_migration(connection, migration, self._state)
            replay_all(connection, steps)
        else:
            with connection.schema_editor(atomic=True) as schema_editor:
                self._state = migration.apply(self._state, schema_editor)


@contextmanager
def replaying(
    connection: BaseDatabaseWrapper, state: ProjectState | None = None
) -> Iterator[Replay]:
    """Replay migrations on the same server; undo everything at the end.

    On SQLite it is a database in memory. The system's own tables are there from the
    start; ``state`` is the one before the first migration.
    """
    with _scratch(connection) as scratch:
        MigrationRecorder(scratch).ensure_schema()
        History(scratch).ensure_table()
        yield Replay(scratch, state or LeanState())


def read_catalogue(connection: BaseDatabaseWrapper) -> Catalogue:
    """Return the objects of the schema in which tables are made."""
    if connection.vendor == "postgresql":
        return read_postgresql(connection)
    return read_sqlite(connection)


def expected_catalogue(
    connection: BaseDatabaseWrapper,
    migrations: Iterable[Migration],
    state: ProjectState | None = None,
) -> Catalogue:
    """Return the objects that migrations make, and the system's own tables."""
    with replaying(connection, state) as scratch:
        scratch.run(migrations)
        return scratch.read()


@contextmanager
def _scratch(connection: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    if connection.vendor == "postgresql":
        with scratch_schema(connection):
            yield connection
        return
    connections.databases[_ALIAS] = {**connection.settings_dict, "NAME": ":memory:"}
    scratch = connections[_ALIAS]
    try:
        yield scratch
    finally:
        if scratch.connection is not None:
            # Django's close() keeps a database in memory.
            scratch.connection.close()
        del connections[_ALIAS]
        del connections.databases[_ALIAS]


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect later: models are made by the thousand, and walked each time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
