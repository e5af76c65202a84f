"""The graph of the migrations shows each, how it stands, and what it depends on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories import make_user
from tests.schema.made_up import loader_of, migration
from tradebot.models import Action
from tradebot.schema.contention import LockBudget
from tradebot.schema.drawing import draw_graph, format_graph
from tradebot.schema.dropped import keep
from tradebot.schema.executor import chain_loader
from tradebot.schema.graph import Graph, build_graph, migration_states
from tradebot.schema.history import History
from tradebot.schema.losses import Loss
from tradebot.schema.revisions import MigrationKey, load_revisions

pytestmark = pytest.mark.django_db

MARKS = "●◆◇○"
ARCHIVED = ("trading", "0006_alter_trade_indexes")


def drawn(graph: Graph, **options: Any) -> list[str]:
    """Return the lines without the legend."""
    return [*format_graph(graph, **options)][:-2]


def made_up(*names: str) -> Graph:
    """Draw migrations: ``"a1 b1 a2"`` is a2 of app a, which depends on a1 and b1."""
    found: dict[MigrationKey, Any] = {}
    for each in names:
        *parents, key = [(name[0], name) for name in each.split()]
        found[key] = migration(key, parents)
    return build_graph(loader_of(found, connection))


@pytest.mark.alike
def test_lines_show_branches_and_merges_in_lanes_of_the_apps() -> None:
    graph = made_up("a1", "a1 a2", "a1 a3", "a2 a3 a4", "b1", "a1 b1 b2", "a4 b3")

    assert drawn(graph) == [
        "○      a.a1",
        "├─╮",
        "│ │ ○  b.b1",
        "├─│─○  b.b2",
        "○ │    a.a3",
        "│ ○    a.a2",
        "○─╯    a.a4",
        "╰───○  b.b3",
    ]
    assert drawn(graph, encoding="ascii") == [
        "o      a.a1",
        "+-+",
        "| | o  b.b1",
        "+-|-o  b.b2",
        "o |    a.a3",
        "| o    a.a2",
        "o-+    a.a4",
        "+---o  b.b3",
    ]


@st.composite
def graphs(draw: Any) -> Graph:
    """Draw up to 14 migrations of three apps, each with any older ones as parents."""
    names: list[str] = []
    found = []
    for number in range(draw(st.integers(1, 14))):
        parents = draw(st.sets(st.sampled_from(names))) if names else set()
        name = f"{draw(st.sampled_from('abc'))}{number}"
        found.append(" ".join([*sorted(parents), name]))
        names.append(name)
    return made_up(*found)


def edges_in(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Read the edges out of the lines: follow each down to where it turns."""
    names = [line.split()[-1] if set(line) & set(MARKS) else "" for line in lines]
    for row, line in enumerate(lines):
        if not names[row]:
            continue
        columns = {line.index(mark) for mark in MARKS if mark in line}
        for below in range(row + 1, len(lines)):
            text = lines[below].ljust(len(line))
            if below == row + 1 and not names[below] and "─" in text:
                columns = {
                    column
                    for column, sign in enumerate(text)
                    if sign in "├╭╮┬┤┼" or (sign == "│" and column in columns)
                }
                continue
            for column in sorted(columns):
                sign = text[column]
                if names[below] and sign in f"{MARKS}├┤┼╰╯┴":
                    yield names[row], names[below]
                if sign not in "│├┤┼":
                    columns.discard(column)


@settings(
    max_examples=80,
    deadline=None,  # a database is in the loop
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(graph=graphs())
@pytest.mark.alike
def test_edges_can_be_read_out_of_the_lines(graph: Graph) -> None:
    assert sorted(edges_in(drawn(graph))) == sorted(
        (".".join(edge.parent), ".".join(edge.child)) for edge in graph.edges
    )


@pytest.fixture(params=["squashed", "chain"])
def loader(request: pytest.FixtureRequest) -> MigrationLoader:
    """The migrations of the program, with the squashed ones and without."""
    chain = request.param == "chain"
    return chain_loader(connection) if chain else MigrationLoader(connection)


@pytest.mark.alike
def test_graph_has_every_migration_and_every_dependency(
    loader: MigrationLoader,
) -> None:
    django: Any = loader.graph
    graph = build_graph(loader)

    assert {state.key for state in graph.states} == set(django.nodes)
    assert sorted((edge.parent, edge.child) for edge in graph.edges) == sorted(
        (parent.key, key)
        for key, node in django.node_map.items()
        for parent in node.parents
    )
    lines = drawn(graph)
    assert max(map(len, lines)) <= 100
    assert set(edges_in(names_alone(lines))) == {
        (".".join(edge.parent), ".".join(edge.child)) for edge in graph.edges
    }


def names_alone(lines: list[str]) -> list[str]:
    """Return lines without what is said beside and below the names."""
    width = max(lines[0].index("accounts."), 0)
    return [
        line[:width] + (line[width:].split()[0] if "." in line[width:] else "")
        for line in lines
    ]


@pytest.mark.alike
def test_graph_keeps_the_documented_order_and_names_every_revision(
    loader: MigrationLoader,
) -> None:
    graph = build_graph(loader)
    shown = [id_ for state in graph.states for id_ in state.revisions]
    documented = [revision.id for revision in load_revisions()]

    assert sorted(shown) == sorted(documented)
    text = "\n".join(drawn(graph))
    assert all(id_ in text for id_ in documented)
    first = [state.revisions[0] for state in graph.states if state.revisions]
    assert first == [id_ for id_ in documented if id_ in first]


@pytest.mark.alike
def test_lanes_are_one_an_app_beside_the_branches_of_the_chain(
    loader: MigrationLoader,
) -> None:
    graph = build_graph(loader)
    lane_of = {
        state.key[0]: graph.lanes[graph.columns[state.key]] for state in graph.states
    }

    assert all(app == lane for app, lane in lane_of.items())
    assert len({graph.columns[state.key] for state in graph.states}) == len(lane_of)


@pytest.mark.alike
def test_picture_has_a_path_from_mark_to_mark_for_every_edge(
    loader: MigrationLoader,
) -> None:
    graph = build_graph(loader)
    picture = draw_graph(graph)
    places = {shape.state.key: (shape.x, shape.y) for shape in picture.shapes}

    assert len(places) == len({*places.values()}) == len(graph.states)
    assert len(picture.lines) == len(graph.edges)
    for line in picture.lines:
        x, y = places[line.parent]
        assert line.path.startswith(f"M{x} {y}V")
        x, y = places[line.child]
        assert line.path.endswith((f"V{y}", f" {y}H{x}"))
    assert all(0 < x < picture.width for x, _ in places.values())
    assert all(0 < y < picture.height for _, y in places.values())


def record_archive(migration: MigrationKey = ARCHIVED) -> None:
    """Keep rows as if this migration had been undone."""
    make_user()
    loss = Loss(table="users", columns=("email",), rows=1, bytes=0, key="id")
    with transaction.atomic():
        keep(connection, migration, loss, backwards=True, budget=LockBudget())


@pytest.mark.alike
def test_state_tells_how_a_migration_came_to_be_applied() -> None:
    faked, adopted = ("bots", "0008_x"), ("bots", "0007_x")
    applied, pending = ("bots", "0009_x"), ("bots", "0010_x")
    recorder, history = MigrationRecorder(connection), History(connection)
    for key in (faked, adopted, applied):
        recorder.record_applied(*key)
    history.record(Action.FAKE, *faked)
    history.record(Action.ADOPT, *adopted)
    history.record(Action.FAKE, *applied)
    history.record(Action.APPLY, *applied, seconds=2.5)
    history.record(Action.APPLY, *pending, seconds=1)
    history.record(Action.REVERSE, *pending)
    keys = (faked, adopted, applied, pending)
    loader = loader_of({key: migration(key) for key in keys}, connection)

    states = migration_states(loader)

    assert [states[key].status for key in keys] == [
        "faked",
        "adopted",
        "applied",
        "pending",
    ]
    assert [states[key].seconds for key in keys] == [None, None, 2.5, None]
    assert [bool(states[key].at) for key in keys] == [True, True, True, False]


@pytest.mark.alike
def test_state_of_a_squashed_migration_is_that_of_what_it_replaces() -> None:
    key, one, two = ("bots", "0001_squashed"), ("bots", "0001_x"), ("bots", "0002_x")
    found = {
        key: migration(key, replaces=[one, two]),
        one: migration(one, revision="r1", revises=()),
        two: migration(two, [one], revision="r2", revises=("r1",)),
    }
    recorder, history = MigrationRecorder(connection), History(connection)
    for each in (one, two):
        recorder.record_applied(*each)
    history.record(Action.ADOPT, *one)
    history.record(Action.APPLY, *two, seconds=3)

    (state,) = migration_states(loader_of(found, connection)).values()

    assert (state.status, state.revisions, state.seconds) == (
        "adopted",
        ("r1", "r2"),
        3,
    )
    assert state.at is not None
    assert state.notes() == ["2 squashed", "revisions r1, r2", "adopted"]


@pytest.mark.alike
def test_migration_whose_data_is_archived_is_shown_so() -> None:
    assert not any(
        state.archived
        for state in migration_states(MigrationLoader(connection)).values()
    )
    record_archive()
    output = StringIO()

    call_command("showmigrations", "trading", stdout=output, no_color=True)

    assert " [X] 0006_alter_trade_indexes  (archived)" in output.getvalue()


def show(*arguments: str) -> str:
    output = StringIO()
    call_command("showmigrations", "--graph", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.alike
def test_command_draws_the_apps_that_are_named() -> None:
    text = show("bots", "trading")

    assert "accounts." not in text
    assert "├─●  trading.0001_squashed_0002_add_trade_realized_pnl" in text
    assert text.endswith("\n\n● applied   ◆ adopted   ◇ faked   ○ pending\n")


@pytest.mark.alike
def test_command_told_to_draw_and_to_plan_refuses() -> None:
    with pytest.raises(CommandError, match="--plan or --graph, not both"):
        show("--plan")


@pytest.mark.alike
def test_command_on_a_terminal_without_lines_draws_in_ascii() -> None:
    output = TextIOWrapper(BytesIO(), encoding="ascii")

    call_command("showmigrations", "--graph", stdout=output)

    output.seek(0)
    assert "+-*  " in output.read()


@pytest.mark.alike
def test_command_gives_nodes_and_edges_as_json() -> None:
    found = json.loads(show("--json", "apikeys", "backtests"))

    ids = [node["id"] for node in found["nodes"]]
    assert found["nodes"][0] == {
        "id": "apikeys.0001_create_api_key_table",
        "app": "apikeys",
        "name": "0001_create_api_key_table",
        "status": "applied",
        "squashed": 0,
        "revisions": ["4b2e65b4c85b"],
        "archived": False,
    }
    assert {
        "from": "backtests.0003_merge_documented_heads",
        "to": "apikeys.0002_convert_api_key_key_to_identity",
    } in found["edges"]
    assert all({edge["from"], edge["to"]} <= {*ids} for edge in found["edges"])


@pytest.mark.alike
def test_command_on_an_empty_database_shows_all_as_pending(
    empty_database: BaseDatabaseWrapper,
) -> None:
    text = show("--database", empty_database.alias)

    assert "○  " in text
    assert "●  " not in text
    with empty_database.cursor() as cursor:
        assert empty_database.introspection.table_names(cursor) == []
