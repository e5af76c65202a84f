"""Whether the database is what its migrations say, and whether the models are.

Three sides are compared: what the migrations that are applied make when they are
replayed, what the models would make, and what is there. Migrations that are pending are
no drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import Any, Literal

from django.apps import apps
from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ProjectState

from tradebot.schema.catalogue import (
    Catalogue,
    Difference,
    compare,
    read_catalogue,
    replaying,
)
from tradebot.schema.catalogue.differences import as_text
from tradebot.schema.catalogue.replay import Replay
from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.faults import NoSchemaError, OtherVersionError, describe
from tradebot.schema.lean_state import LeanState
from tradebot.schema.preflight import check_history, check_server
from tradebot.schema.revisions import MigrationKey
from tradebot.schema.version import unknown_migrations

Between = Literal["database", "models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something on which the three sides do not agree.

    The three values are those of ``attribute``, or what makes the object; None where a
    side has it not.
    """

    between: Between
    """Which side is not as the migrations say."""
    difference: Difference
    models: object
    migrations: object
    database: object

    def as_json(self) -> dict[str, Any]:
        each = self.difference
        return {
            "between": f"migrations and {self.between}",
            "key": each.key,
            "kind": each.kind,
            "name": each.name,
            "problem": each.problem,
            "attribute": each.attribute,
            "models": self.models,
            "migrations": self.migrations,
            "database": self.database,
            "message": str(each),
            "repair": each.repair,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChange:
    """A change of the models that no migration has."""

    app: str
    description: str

    @property
    def repair(self) -> str:
        return f"manage.py makemigrations {self.app}"

    def as_json(self) -> dict[str, str]:
        return {
            "app": self.app,
            "description": self.description,
            "repair": self.repair,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What was found."""

    findings: tuple[Finding, ...]
    model_changes: tuple[ModelChange, ...]
    applied: tuple[MigrationKey, ...]
    pending: tuple[MigrationKey, ...]

    def __bool__(self) -> bool:
        return bool(self.findings or self.model_changes)

    def as_json(self) -> dict[str, Any]:
        return {
            "drift": bool(self),
            "findings": [each.as_json() for each in self.findings],
            "model_changes": [each.as_json() for each in self.model_changes],
            "applied": [".".join(key) for key in self.applied],
            "pending": [".".join(key) for key in self.pending],
        }


def find_drift(
    connection: BaseDatabaseWrapper, models: ProjectState | None = None
) -> Drift:
    """Compare a database, its migrations and the models; nothing is written.

    ``models`` are those of the installed apps unless others are given. Raises
    PreflightError where that cannot be compared, or where the migrations that made the
    database are not in this code.
    """
    executor: Any = MigrationExecutor(connection)
    loader = executor.loader
    _check_comparable(connection, loader)
    applied: list[Migration] = []
    pending: list[Migration] = []
    for migration, _ in executor.migration_plan(
        loader.graph.leaf_nodes(), clean_start=True
    ):
        is_applied = _key(migration) in loader.applied_migrations
        (applied if is_applied else pending).append(migration)
    changes = _changes(loader, models or ProjectState.from_apps(apps))
    found = read_catalogue(connection)
    with replaying(connection, LeanState(real_apps=loader.unmigrated_apps)) as replay:
        replay.run(applied)
        expected = replay.read()
        in_database = compare(expected, found, connection.vendor)
        newest = models_say = expected
        if in_database or changes:
            replay.run(pending)
            newest = replay.read()
            models_say = _try(replay, changes) or newest
    told = {(each.key, each.attribute) for each in in_database}
    labels = sorted({change.app_label for change in changes})
    return Drift(
        findings=(
            *(_in_database(each, models_say) for each in in_database),
            *(
                _in_models(each, found, f"manage.py makemigrations {' '.join(labels)}")
                for each in compare(newest, models_say, connection.vendor)
                if (each.key, each.attribute) not in told
            ),
        ),
        model_changes=tuple(
            ModelChange(app=change.app_label, description=operation.describe())
            for change in changes
            for operation in change.operations
        ),
        applied=tuple(map(_key, applied)),
        pending=tuple(map(_key, pending)),
    )


def _key(migration: Migration) -> MigrationKey:
    return migration.app_label, migration.name


def _check_comparable(connection: BaseDatabaseWrapper, loader: Any) -> None:
    """Raise the PreflightError for which the sides cannot be compared."""
    if connection.vendor == "postgresql":
        server = check_server(connection)
        if server.schema is None:
            raise NoSchemaError(
                database=describe(connection), search_path=server.search_path
            )
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
    check_history(connection, loader, [], tables)
    if unknown := unknown_migrations(loader, loader.applied_migrations):
        raise OtherVersionError(unknown=", ".join(map(".".join, unknown)))


def _changes(loader: Any, models: ProjectState) -> list[Migration]:
    """Return the migrations that ``makemigrations`` would write, in their order."""
    detector = MigrationAutodetector(loader.project_state(), models)
    changes = {
        _key(migration): migration
        for migrations in detector.changes(graph=loader.graph).values()
        for migration in migrations
    }
    order = TopologicalSorter(
        {
            key: changes.keys() & set(migration.dependencies)
            for key, migration in changes.items()
        }
    )
    return [changes[key] for key in order.static_order()]


def _try(replay: Replay, changes: Iterable[Migration]) -> Catalogue | None:
    """Return what the models make, None where changes of theirs cannot be replayed."""
    try:
        replay.run(changes)
    except DatabaseError:
        return None
    return replay.read()


def _in_database(difference: Difference, models: Catalogue) -> Finding:
    return Finding(
        between="database",
        difference=difference,
        models=_value(models, difference),
        migrations=difference.expected,
        database=difference.found,
    )


def _in_models(difference: Difference, database: Catalogue, repair: str) -> Finding:
    return Finding(
        between="models",
        difference=replace(difference, repair=repair),
        models=difference.found,
        migrations=difference.expected,
        database=_value(database, difference),
    )


def _value(catalogue: Catalogue, difference: Difference) -> object:
    """Return what a side says where another two differ."""
    each = catalogue.get((difference.kind, difference.name))
    if each is None:
        return None
    if difference.attribute is None:
        return each.definition or each.kind
    if difference.attribute == "name":
        return each.own_name
    return each.attributes.get(difference.attribute)


# --- For people -------------------------------------------------------------------


def format_drift(drift: Drift) -> Iterator[str]:
    """Yield the lines of a report."""
    for finding in drift.findings:
        yield str(finding.difference)
        for side, value in (
            ("models say", finding.models),
            ("migrations say", finding.migrations),
            ("database has", finding.database),
        ):
            yield f"    {side:14}  {as_text(value)}"
        yield f"    {'repair':14}  {finding.difference.repair}"
    for change in drift.model_changes:
        yield f"model change without a migration, in {change.app}: {change.description}"
        yield f"    {'repair':14}  {change.repair}"
    if drift.pending:
        yield (
            f"{_count(drift.pending, 'migration')} pending, which is no drift: "
            f"{_listed(drift.pending)}."
        )
    if not drift:
        yield (
            "No drift: the database is what its "
            f"{_count(drift.applied, 'migration')} say, and so are the models."
        )
    else:
        yield (
            f"Drift: {_count(drift.findings, 'difference')} and "
            f"{_count(drift.model_changes, 'model change')} without a migration."
        )


def _listed(keys: Sequence[MigrationKey]) -> str:
    shown = ", ".join(map(".".join, keys[:3]))
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"


def _count(each: Sequence[object], noun: str) -> str:
    return f"{len(each):,} {noun}{'' if len(each) == 1 else 's'}"
