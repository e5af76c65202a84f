"""What is applied of all migrations, by names that an operator can write.

A state is ``base``, a documented revision, a migration, or several of them joined by
commas. No database is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.migrations import Migration
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.loader import MigrationLoader

from tradebot.errors import TradeBotError
from tradebot.schema.executor import chain_loader
from tradebot.schema.revisions import MigrationKey, load_revisions, migrations_at

BASE = "base"


class StateError(TradeBotError):
    """A state has no such name, or one state does not lead to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A set of migrations, each with all that it needs.

    What a squashed migration replaces is in it, the squashed one is not.
    """

    name: str
    applied: frozenset[MigrationKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The migrations that lead from one state to another, as migrate chooses them."""

    loader: MigrationLoader
    before: tuple[Migration, ...]
    """What is applied in the first state, in its order."""
    migrations: tuple[Migration, ...]


def everything() -> State:
    """Return the state that migrate leads to."""
    migrations = MigrationLoader(None).disk_migrations.values()
    return State(
        name="the newest migrations",
        applied=frozenset().union(*map(covered, migrations)),
    )


def covered(migration: Migration) -> frozenset[MigrationKey]:
    """Return what is applied with a migration: itself, or all that it replaces."""
    key = (migration.app_label, migration.name)
    return frozenset(map(tuple, migration.replaces)) or frozenset({key})  # type: ignore[arg-type]  # pairs


def parse_state(text: str) -> State:
    """Return the state of this name. Raises StateError, which lists what there is."""
    names = [name.strip() for name in text.split(",")]
    applied = frozenset().union(*map(_named, names))
    return State(name=", ".join(names), applied=applied)


def _named(name: str) -> frozenset[MigrationKey]:
    revisions = {each.id: each for each in load_revisions()}
    if name == BASE:
        return frozenset()
    if name in revisions:
        return frozenset(migrations_at(name))
    app, dot, prefix = name.partition(".")
    loader = MigrationLoader(None)
    if not dot or app not in loader.migrated_apps:
        raise StateError(
            f"There is no state {name!r}. There are: {BASE}; the documented revisions "
            f"{', '.join(revisions)}; and each migration as APP.NAME, of the apps "
            f"{', '.join(sorted(loader.migrated_apps))}. Several are joined by commas."
        )
    key = _find(loader, app, prefix)
    # On an empty database migrate goes the squashed way where that has the target.
    graph = (loader if key in loader.graph.nodes else chain_loader(None)).graph
    needed = graph.forwards_plan(key)
    return frozenset().union(*(covered(graph.nodes[each]) for each in needed))


def _find(loader: MigrationLoader, app: str, prefix: str) -> MigrationKey:
    if (app, prefix) in loader.disk_migrations:
        return app, prefix
    names = sorted(name for label, name in loader.disk_migrations if label == app)
    try:
        if not prefix:
            raise KeyError
        return app, loader.get_migration_by_prefix(app, prefix).name
    except (AmbiguityError, KeyError) as error:
        found = [name for name in names if prefix and name.startswith(prefix)]
        problem = "is more than one migration" if found else "is no migration"
        raise StateError(
            f"{app}.{prefix} {problem}. There are: {', '.join(found or names)}."
        ) from error


def find_route(start: State, end: State) -> Route:
    """Return the migrations between two states, in the order in which migrate goes.

    It goes by squashed migrations where none of what they replace is applied yet, and
    by the others if it is to end within a squashed one. Raises StateError where the end
    does not contain the start.
    """
    if undone := start.applied - end.applied:
        raise StateError(
            f"{start.name} does not come before {end.name}: it has "
            f"{_listed(undone)}, which {end.name} has not. A script only goes forward; "
            "manage.py migrate goes back."
        )
    if start.applied == end.applied:
        raise StateError(
            f"{start.name} and {end.name} are the same state: there is nothing to do."
        )
    route = route_on(_GivenLoader(start.applied), start, end)
    reached = start.applied.union(*map(covered, route.migrations))
    return route if reached == end.applied else route_on(chain_loader(None), start, end)


def route_on(loader: MigrationLoader, start: State, end: State) -> Route:
    """Return the migrations of a graph that lead from one state to another."""
    graph = loader.graph
    order = dict.fromkeys(
        key for leaf in graph.leaf_nodes() for key in graph.forwards_plan(leaf)
    )
    migrations = [graph.nodes[key] for key in order]
    return Route(
        loader=loader,
        before=tuple(each for each in migrations if covered(each) <= start.applied),
        migrations=tuple(
            each
            for each in migrations
            if covered(each) <= end.applied and not covered(each) <= start.applied
        ),
    )


class _GivenLoader(MigrationLoader):
    """The graph as on a database where these migrations are applied."""

    def __init__(self, applied: Iterable[MigrationKey]) -> None:
        self._given: dict[MigrationKey, Any] = dict.fromkeys(applied)
        super().__init__(None)

    @property
    def applied_migrations(self) -> dict[MigrationKey, Any]:
        return self._given

    @applied_migrations.setter
    def applied_migrations(self, value: object) -> None:
        pass  # without a connection Django's takes none for applied


def _listed(keys: Iterable[MigrationKey]) -> str:
    names = [".".join(key) for key in sorted(keys)]
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
