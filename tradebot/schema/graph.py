"""The graph of the migrations: how each stands in a database, and where it is drawn.

A row for each migration, below all that it depends on, and a lane for each app, beside
which a branch of the app has a lane of its own. An edge goes down in one column and
turns into the row of the migration that depends on the other: no two can be confused.
How that looks on a terminal or a page is decided in ``drawing.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from tradebot.models import Action
from tradebot.schema.dropped import waiting
from tradebot.schema.history import History
from tradebot.schema.revisions import MigrationKey, RevisionError, declared, ordered

Status = Literal["applied", "adopted", "faked", "pending"]

_WAYS: dict[str, Status] = {
    Action.APPLY: "applied",
    Action.ADOPT: "adopted",
    Action.FAKE: "faked",
}
# Of what a squashed migration replaces, one is enough for it to be told.
_SPECIAL: tuple[Status, ...] = ("adopted", "faked")


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationState:
    """A migration and how it stands in a database."""

    key: MigrationKey
    revisions: tuple[str, ...]
    """The documented revisions that it mirrors, or that what it replaces does."""
    replaces: tuple[MigrationKey, ...]
    status: Status
    archived: bool
    """Whether data that its reverse took away is kept until it is applied again."""
    at: dt.datetime | None
    """When it was recorded as applied."""
    seconds: float | None
    """How long that took, where the history knows it."""

    def notes(self) -> list[str]:
        """Return what is worth saying beside the name, for people."""
        notes = []
        if self.replaces:
            notes.append(f"{len(self.replaces)} squashed")
        if self.revisions:
            word = "revision" if len(self.revisions) == 1 else "revisions"
            notes.append(f"{word} {', '.join(self.revisions)}")
        if self.status not in ("applied", "pending"):
            notes.append(self.status)
        if self.archived:
            notes.append("archived")
        return notes

    def as_json(self) -> dict[str, Any]:
        app, name = self.key
        return {
            "app": app,
            "name": name,
            "status": self.status,
            "squashed": len(self.replaces),
            "revisions": list(self.revisions),
            "archived": self.archived,
        }


def migration_states(loader: MigrationLoader) -> dict[MigrationKey, MigrationState]:
    """Return how each migration of the graph stands in the loader's database."""
    connection: Any = loader.connection
    ways = {
        (event.app, event.name): event
        for event in History(connection).latest()
        if event.action in _WAYS
    }
    archived = _archived(connection)
    states = {}
    for key, migration in loader.graph.nodes.items():
        group = (key, *migration.replaces)
        is_applied = key in loader.applied_migrations
        found = [ways[each] for each in group if each in ways and is_applied]
        times = [each.at for each in found] or [
            row.applied
            for row in map(loader.applied_migrations.get, group)
            # Django has put a squashed migration itself in the place of its row.
            if row and hasattr(row, "applied")
        ]
        seconds = [each.seconds for each in found if each.seconds is not None]
        by_way = {_WAYS[each.action] for each in found}
        way: Status = next((each for each in _SPECIAL if each in by_way), "applied")
        mirrored = map(loader.disk_migrations.get, group)
        states[key] = MigrationState(
            key=key,
            revisions=tuple(
                each.revision for each in mirrored if each and hasattr(each, "revision")
            ),
            replaces=tuple(migration.replaces),
            status=way if is_applied else "pending",
            archived=not archived.isdisjoint(group),
            at=max(times, default=None) if is_applied else None,
            seconds=sum(seconds) if seconds else None,
        )
    return states


def _archived(connection: BaseDatabaseWrapper) -> set[MigrationKey]:
    """Return the migrations for which a database keeps what their reverse took away."""
    return {(each.app, each.name) for each in waiting(connection) if each.backwards}


# --- The layout -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A dependency: ``child`` can be applied when ``parent`` is."""

    parent: MigrationKey
    child: MigrationKey
    column: int
    """Where it goes down, from the row of the parent to that of the child."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Migrations from the oldest to the newest and what they depend on."""

    states: tuple[MigrationState, ...]
    """One a row."""
    columns: Mapping[MigrationKey, int]
    edges: tuple[Edge, ...]
    lanes: tuple[str, ...]
    """The app of each column."""

    def as_json(self) -> dict[str, Any]:
        return {
            "nodes": [
                {"id": ".".join(state.key), **state.as_json()} for state in self.states
            ],
            "edges": [
                {"from": ".".join(edge.parent), "to": ".".join(edge.child)}
                for edge in self.edges
            ],
        }


def build_graph(loader: MigrationLoader, apps: Iterable[str] = ()) -> Graph:
    """Lay out the migrations of these apps; of all where none is named."""
    graph: Any = loader.graph
    wanted = set(apps) or {app for app, _ in graph.nodes}
    parents: dict[MigrationKey, list[MigrationKey]] = {
        key: sorted(
            parent.key
            for parent in graph.node_map[key].parents
            if parent.key[0] in wanted
        )
        for key in graph.nodes
        if key[0] in wanted
    }
    states = migration_states(loader)
    order = _order(parents, _ranks(loader, states, parents))
    layout = _Layout(parents)
    for row, key in enumerate(order):
        layout.place(row, key)
    first = list(dict.fromkeys(app for app, _ in order))
    lanes = sorted(layout.used, key=lambda lane: (first.index(lane[0]), lane[1]))
    return Graph(
        states=tuple(states[key] for key in order),
        columns={key: lanes.index(lane) for key, lane in layout.nodes.items()},
        edges=tuple(
            Edge(parent=parent, child=child, column=lanes.index(lane))
            for (parent, child), lane in layout.edges.items()
        ),
        lanes=tuple(app for app, _ in lanes),
    )


_Rank = tuple[int, int]


def _ranks(
    loader: MigrationLoader,
    states: Mapping[MigrationKey, MigrationState],
    keys: Iterable[MigrationKey],
) -> dict[MigrationKey, _Rank]:
    """Return what comes first of two that may: documented order, then Django's."""
    try:
        revisions = ordered(declared(loader.disk_migrations.values()))
    except RevisionError:  # told elsewhere; it can be drawn all the same
        revisions = []
    documented = {each.id: number for number, each in enumerate(revisions)}
    graph: Any = loader.graph
    planned: dict[MigrationKey, None] = {}
    for target in graph.leaf_nodes():
        planned |= dict.fromkeys(graph.forwards_plan(target))
    position = {key: number for number, key in enumerate(planned)}
    ranks = {}
    for key in keys:
        numbers = [
            documented[each] for each in states[key].revisions if each in documented
        ]
        ranks[key] = (0, min(numbers)) if numbers else (1, position[key])
    return ranks


def _order(
    parents: Mapping[MigrationKey, list[MigrationKey]],
    ranks: Mapping[MigrationKey, _Rank],
) -> list[MigrationKey]:
    """Return the migrations so that each comes after its parents.

    After the documented ones, an app goes on when all that depends on its migration is
    there, if that can be, so that its lane needs no second one; and then to its end.
    """
    children = _children(parents)
    placed: dict[MigrationKey, None] = {}

    def turn(key: MigrationKey) -> tuple[int, bool, bool, int]:
        later, number = ranks[key]
        if not later:
            return 0, False, False, number
        early = any(
            parent[0] == key[0] and children[parent] - placed.keys() - {key}
            for parent in parents[key]
        )
        last_app = next(reversed(placed), key)[0]
        return 1, early, key[0] != last_app, number

    while len(placed) < len(parents):
        ready = (
            key
            for key in parents
            if key not in placed and placed.keys() >= set(parents[key])
        )
        placed[min(ready, key=turn)] = None
    return list(placed)


def _children(
    parents: Mapping[MigrationKey, list[MigrationKey]],
) -> dict[MigrationKey, set[MigrationKey]]:
    children: dict[MigrationKey, set[MigrationKey]] = {key: set() for key in parents}
    for child, found in parents.items():
        for parent in found:
            children[parent].add(child)
    return children


_Lane = tuple[str, int]
"""An app and the number of one of its columns, 0 for the first."""


class _Layout:
    """Gives every migration and every edge a lane, row after row."""

    def __init__(self, parents: Mapping[MigrationKey, list[MigrationKey]]) -> None:
        self.nodes: dict[MigrationKey, _Lane] = {}
        self.edges: dict[tuple[MigrationKey, MigrationKey], _Lane] = {}
        self.used: dict[_Lane, int] = {}
        """Each lane and the last row in which something of it is needed."""
        self._parents = parents
        self._awaited = _children(parents)
        self._lines: dict[MigrationKey, _Lane] = {}
        """Where the edges go down to those who are still to come."""
        self._rows: dict[MigrationKey, int] = {}
        self._end = len(parents)

    def place(self, row: int, key: MigrationKey) -> None:
        app = key[0]
        for parent in self._parents[key]:
            self._awaited[parent].discard(key)
            lane = self._lines[parent]
            self.edges[parent, key] = lane
            if not self._awaited[parent]:
                self.used[lane] = row
        own = [each for each in self._parents[key] if each[0] == app]
        if own:
            above = min(own, key=self._lines.__getitem__)
            lane = self._lines[above]
            if self._awaited[above]:  # they go on beside the lane
                self._lines[above] = self._free(app, self._rows[above])
        else:
            # Not right below a mark, on which it would seem to depend.
            lane = self._free(app, row - 1)
        self.used[lane] = self._end if self._awaited[key] else row
        self.nodes[key] = self._lines[key] = lane
        self._rows[key] = row

    def _free(self, app: str, since: int) -> _Lane:
        """Take a lane of the app in which nothing has been since a row."""
        number = 0
        while (app, number) in self.used and self.used[app, number] >= since:
            number += 1
        self.used[app, number] = self._end
        return app, number
