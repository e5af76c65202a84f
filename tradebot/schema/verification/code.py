"""What is verified: migrations and models, and the ways along the migrations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
from django.apps import apps
from django.conf import settings
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from tradebot.errors import TradeBotError
from tradebot.schema.catalogue import Catalogue, replaying
from tradebot.schema.catalogue.replay import Replay
from tradebot.schema.lean_state import LeanState
from tradebot.schema.revisions import MigrationKey, Revision, declared, ordered
from tradebot.schema.scratch import replay_all
from tradebot.schema.steps import AnyStep, compile_migration

_CORRECT = "correct the migration, or take its last change back"


class BrokenError(TradeBotError):
    """Something cannot be tried at all. ``repair`` says what to do about it."""

    def __init__(self, message: str, repair: str = _CORRECT) -> None:
        super().__init__(message)
        self.repair = repair


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """All migrations of a program, squashed ones too, and its models."""

    migrations: Mapping[MigrationKey, Migration]
    models: ProjectState
    unmigrated: frozenset[str] = frozenset()
    """Labels of the apps that have no migrations."""
    own: frozenset[str]
    """Labels of the apps that are the program's own: Django's are as they are."""

    def loader(self, *, squashed: bool) -> MigrationLoader:
        """Return the graph of the squashed migrations, or of what they replace."""
        loader = _Loader(self, squashed)
        if not squashed:
            for key, migration in loader.replacements.items():
                loader.graph.remove_replacement_node(key, migration.replaces)
        return loader

    def revisions(self) -> list[Revision]:
        """Return the documented revisions, oldest first. Raises RevisionError."""
        return ordered(declared(self.migrations.values()))

    def own_migrations(self) -> dict[MigrationKey, Migration]:
        return {
            key: self.migrations[key]
            for key in sorted(self.migrations)
            if key[0] in self.own
        }


class _Loader(MigrationLoader):
    """Django's, of migrations that are there already."""

    def __init__(self, code: Code, squashed: bool) -> None:
        self._code = code
        super().__init__(None, replace_migrations=squashed)

    def load_disk(self) -> None:
        self.disk_migrations = dict(self._code.migrations)
        self.unmigrated_apps = set(self._code.unmigrated)
        self.migrated_apps = {app for app, _ in self._code.migrations}


def installed_code() -> Code:
    """Return the migrations and models of the installed apps."""
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    return Code(
        migrations=loader.disk_migrations,
        models=ProjectState.from_apps(apps),
        unmigrated=frozenset(loader.unmigrated_apps),
        own=frozenset(
            config.label
            for config in apps.get_app_configs()
            if Path(config.path).parent == settings.BASE_DIR
        ),
    )


def label(migration: Migration) -> str:
    return f"{migration.app_label}.{migration.name}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Move:
    """A migration on its way, with the states before and after it."""

    migration: Migration
    before: ProjectState
    after: ProjectState
    steps: tuple[AnyStep, ...] = ()
    """What it does on PostgreSQL; on SQLite Django does it."""
    _undo: list[AnyStep] = field(default_factory=list)

    def undo_steps(self, connection: BaseDatabaseWrapper) -> list[AnyStep]:
        """Return the steps of the reverse on PostgreSQL. Raises BrokenError."""
        if not self._undo:
            with self._undoing():
                steps, _ = compile_migration(
                    connection, self.migration, self.before, backwards=True
                )
            self._undo.extend(steps)
        return self._undo

    def apply(self, connection: BaseDatabaseWrapper) -> None:
        """Apply it in a scratch database. Raises BrokenError."""
        with told(f"{label(self.migration)} cannot be applied"):
            if connection.vendor == "postgresql":
                replay_all(connection, self.steps)
                return
            with connection.schema_editor(atomic=True) as schema_editor:
                self.migration.apply(self.before.clone(), schema_editor)

    def _undoing(self) -> AbstractContextManager[None]:
        return told(
            f"{label(self.migration)} cannot be undone",
            "give its operations a reverse, such as reverse_sql or reverse_code",
        )

    def undo(self, connection: BaseDatabaseWrapper) -> None:
        """Undo it in a scratch database. Raises BrokenError."""
        with self._undoing():
            if connection.vendor == "postgresql":
                replay_all(connection, self.undo_steps(connection))
                return
            with connection.schema_editor(atomic=True) as schema_editor:
                self.migration.unapply(self.before.clone(), schema_editor)


class Subject:
    """A code, and the database server that it is verified on."""

    def __init__(self, connection: BaseDatabaseWrapper, code: Code) -> None:
        self.connection = connection
        self.code = code

    @property
    def vendor(self) -> str:
        return self.connection.vendor

    @cached_property
    def chain(self) -> list[Move]:
        """All migrations but the squashed ones, in their order."""
        return self._moves(squashed=False)

    @cached_property
    def short_way(self) -> list[Move]:
        """What a new database takes: squashed migrations in place of the others."""
        return self._moves(squashed=True)

    def newest_state(self) -> ProjectState:
        """Return the models as all migrations leave them."""
        newest = self.chain[-1].after
        models = {key: model.clone() for key, model in newest.models.items()}
        return ProjectState(models, newest.real_apps)

    @cached_property
    def catalogues(self) -> list[Catalogue]:
        """What is there before the chain, and after each of its migrations."""
        with self.scratch() as replay:
            catalogues = [replay.read()]
            for move in self.chain:
                move.apply(replay.connection)
                catalogues.append(replay.read())
        return catalogues

    @cached_property
    def later(self) -> list[int]:
        """The places in the chain of our migrations after the documented head."""
        documented = {each.migration for each in self.code.revisions()}
        return [
            place
            for place, move in enumerate(self.chain)
            if move.migration.app_label in self.code.own
            and (move.migration.app_label, move.migration.name) not in documented
        ]

    @contextmanager
    def scratch(self) -> Iterator[Replay]:
        """Make an empty place to replay migrations in, and savepoints."""
        with replaying(self.connection) as replay:
            connection = replay.connection
            if connection.vendor == "sqlite":
                # It cannot be done within a transaction, in which savepoints are.
                connection.disable_constraint_checking()
            with transaction.atomic(using=connection.alias):
                yield replay

    def _moves(self, *, squashed: bool) -> list[Move]:
        loader: Any = self.code.loader(squashed=squashed)
        order = dict.fromkeys(
            key
            for leaf in loader.graph.leaf_nodes()
            for key in loader.graph.forwards_plan(leaf)
        )
        state: ProjectState = LeanState(real_apps=loader.unmigrated_apps)
        moves = []
        for key in order:
            moves.append(self._move(loader.graph.nodes[key], state))
            state = moves[-1].after
        return moves

    def _move(self, migration: Migration, before: ProjectState) -> Move:
        with told(f"{label(migration)} cannot be compiled"):
            steps: tuple[AnyStep, ...] = ()
            if self.vendor == "postgresql":
                compiled, after = compile_migration(self.connection, migration, before)
                steps = tuple(compiled)
            else:
                after = migration.mutate_state(before)
            return Move(migration=migration, before=before, after=after, steps=steps)


@contextmanager
def taken_back(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Undo what is done here, also what a failed statement has left."""
    with transaction.atomic(using=connection.alias):
        try:
            yield
        finally:
            transaction.set_rollback(True, using=connection.alias)


@contextmanager
def told(what: str, repair: str = _CORRECT) -> Iterator[None]:
    """Turn any failure but that of the server into a BrokenError that says what."""
    try:
        yield
    except BrokenError:
        raise
    except Exception as error:
        if isinstance(error.__cause__, psycopg.OperationalError):
            raise
        reason = " ".join(str(error).split())
        raise BrokenError(
            f"{what}: {type(error).__name__}: {reason}", repair
        ) from error
