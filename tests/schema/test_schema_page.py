"""The page of the schema in the admin: the graph as shapes, and as a table."""

from __future__ import annotations

import html
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.contrib.staticfiles import finders
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin_data import admin_url, client_of, make_staff, make_superuser
from tests.schema.test_graph import record_archive
from tradebot.models import Action, SchemaEvent
from tradebot.schema.graph import Graph, build_graph
from tradebot.schema.history import TABLE, History

pytestmark = pytest.mark.django_db

PAGE = reverse("admin:tradebot_schema")
NEWEST = ("bots", "0013_add_bot_config_checks")
PENDING = ("trading", "0007_convert_trade_foreign_keys")


@pytest.fixture
def reader() -> Client:
    return client_of(make_staff("view_schemaevent"))


@pytest.fixture
def graph() -> Graph:
    return build_graph(MigrationLoader(connection))


def page(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return response.content.decode()


def svg_of(text: str) -> ElementTree.Element:
    """Return the graph, parsed strictly; the others on the page are the legend's."""
    (source,) = re.findall(r"<svg[^>]* role=.*?</svg>", text, re.DOTALL)
    return ElementTree.fromstring(source)  # noqa: S314 -- it is our own


def table_of(text: str) -> dict[str, list[str]]:
    """Return the cells of each row of the table by the first of them."""
    (body,) = re.findall(r"<tbody>(.*?)</tbody>", text, re.DOTALL)
    rows = [
        [html.unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t", row)]
        for row in body.split("</tr>")[:-1]
    ]
    return {name: cells for name, *cells in rows}


@pytest.mark.alike
def test_page_draws_every_migration_and_every_dependency(
    reader: Client, graph: Graph
) -> None:
    MigrationRecorder(connection).record_unapplied(*NEWEST)

    svg = svg_of(page(reader))

    nodes = svg.findall("g[@class='node']")
    assert [node.findtext("title") for node in nodes] == [
        f"{'.'.join(state.key)}: {'pending' if state.key == NEWEST else 'applied'}"
        for state in graph.states
    ]
    for node, state in zip(nodes, graph.states, strict=True):
        label = node.find("text")
        assert label is not None
        assert "".join(label.itertext()) == "".join(
            [".".join(state.key), *state.notes()]
        )
        (mark,) = node.findall("g")
        assert mark.get("class") == (
            f"mark {'pending' if state.key == NEWEST else 'applied'}"
        )
        assert len(mark) == 1
    edges = svg.findall("path[@class='edge']")
    assert [edge.findtext("title") for edge in edges] == [
        f"{'.'.join(edge.child)} depends on {'.'.join(edge.parent)}"
        for edge in graph.edges
    ]
    assert len({edge.get("d") for edge in edges}) == len(graph.edges)
    lanes = [text.text for text in svg.findall("text[@class='lane']")]
    assert lanes == list(dict.fromkeys(graph.lanes))


@pytest.mark.alike
def test_page_says_the_same_in_a_table(reader: Client, graph: Graph) -> None:
    history = History(connection)
    history.record(Action.APPLY, *NEWEST, seconds=2.5)
    event = max(history.latest(), key=lambda each: each.pk)
    MigrationRecorder(connection).record_unapplied(*PENDING)

    table = table_of(page(reader))

    assert list(table) == [".".join(state.key) for state in graph.states]
    assert table["bots.0013_add_bot_config_checks"] == [
        "-",
        "applied",
        f"{event.at:%Y-%m-%d %H:%M:%S}",
        "2.500 s",
        "bots.0012_convert_bot_foreign_keys",
    ]
    assert table[".".join(PENDING)][1:4] == ["pending", "-", "-"]
    assert table["accounts.0001_squashed_0002_add_user_reset_token"][0] == (
        "30d6391a9fcf, d24f9f7e7532"
    )
    depends_on = {
        (parent, child)
        for child, cells in table.items()
        for parent in cells[-1].split(", ")
        if parent != "-"
    }
    assert depends_on == {
        (".".join(edge.parent), ".".join(edge.child)) for edge in graph.edges
    }


@pytest.mark.alike
def test_page_tells_statuses_apart_by_shape_and_word(reader: Client) -> None:
    history = History(connection)
    history.record(Action.FAKE, *NEWEST)
    history.record(Action.ADOPT, "apikeys", "0001_create_api_key_table")
    record_archive(PENDING)
    MigrationRecorder(connection).record_unapplied(*PENDING)

    text = page(reader)

    titles = {
        node.findtext("title") or "": node.findall("g/*")
        for node in svg_of(text).findall("g[@class='node']")
    }
    faked = titles["bots.0013_add_bot_config_checks: faked"]
    adopted = titles["apikeys.0001_create_api_key_table: adopted"]
    archived = titles["trading.0007_convert_trade_foreign_keys: pending, archived"]
    applied = titles["bots.0012_convert_bot_foreign_keys: applied"]
    assert faked[0].get("d") != adopted[0].get("d")
    assert [each.tag for each in archived] == ["circle", "circle"]
    assert [each.tag for each in applied] == ["circle"]
    assert table_of(text)[".".join(PENDING)][1] == "pending, archived"
    legend = text[text.index('class="legend"') : text.index('class="graph"')]
    for word in ("applied", "adopted", "faked", "pending", "archived"):
        assert word in legend


@pytest.mark.alike
def test_page_brings_no_script_and_nothing_from_outside(reader: Client) -> None:
    text = page(reader)

    content = text[text.index('id="content-main"') : text.index("</table>")]
    for forbidden in ("<script", "style=", "http", "onclick", "src="):
        assert forbidden not in content
    styles = finders.find("tradebot/schema.css")
    assert isinstance(styles, str)
    assert "/static/tradebot/schema.css" in text
    assert "url(" not in Path(styles).read_text()


@pytest.mark.alike
def test_page_is_for_readers_of_the_history_only(client: Client) -> None:
    anonymous = client.get(PAGE)

    assert anonymous.status_code == 302
    assert anonymous["Location"].startswith(reverse("admin:login"))
    assert client_of(make_staff()).get(PAGE).status_code == 403
    assert client_of(make_superuser()).get(PAGE).status_code == 200


@pytest.mark.alike
def test_page_is_linked_from_the_history_and_back(reader: Client) -> None:
    history = admin_url("changelist", SchemaEvent)

    assert f'href="{PAGE}"' in reader.get(history).content.decode()
    assert f'href="{history}"' in page(reader)


@pytest.mark.alike
def test_page_without_a_history_shows_the_times_that_django_recorded(
    reader: Client,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")
    recorded = MigrationRecorder(connection).applied_migrations()[NEWEST]

    cells = table_of(page(reader))[".".join(NEWEST)]

    assert cells[1:4] == ["applied", f"{recorded.applied:%Y-%m-%d %H:%M:%S}", "-"]


@pytest.mark.alike
def test_page_asks_a_handful_of_queries(reader: Client) -> None:
    page(reader)
    with CaptureQueriesContext(connection) as queries:
        page(reader)

    assert len(queries) <= 10
