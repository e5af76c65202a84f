"""The schema's history in the admin: to be read, by who may, and nothing else."""

from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.admin_data import admin_url, cells_of, client_of, make_staff, make_superuser
from tradebot.models import Action, Event, SchemaEvent
from tradebot.schema.history import TABLE, Entry, History

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

LIST = admin_url("changelist", SchemaEvent)
BAR = r'<svg width="120" height="10" aria-hidden="true"><rect width="([\d.]+)"'


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


@pytest.fixture
def history() -> History:
    """A history with one action of each outcome; the transaction undoes it."""
    without_history()
    history = History(connection)
    for number, (seconds, error) in enumerate([(1.0, ""), (4.0, "no room")]):
        entry = start(history, Action.APPLY, "bots", f"000{number}_x")
        entry = replace(entry, began=entry.began - seconds)
        event = Event.FAILED if error else Event.SUCCEEDED
        history._end(connection, entry, event, error=error)
    history.record(Action.ADOPT, details={"revision": "b7e3f2c1a9d8"})
    start(history, Action.REVERSE, "trading", "0002_killed")
    return history


def without_history() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")


def start(history: History, action: Action, app: str, name: str) -> Entry:
    """Begin inside the transaction of the test, which begin() refuses."""
    history.ensure_table()
    id_ = history._insert(
        connection, action=action, event=Event.STARTED, app=app, name=name, pid=1
    )
    return Entry(id=id_, action=action, app=app, name=name, checksum="")


def text_of(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return html.unescape(response.content.decode())


def outcomes(text: str) -> list[str]:
    return cells_of(text, "outcome")


def test_list_shows_outcomes_and_bars(superuser: Client, history: History) -> None:
    text = text_of(superuser, LIST)

    assert "Schema history" in text
    assert outcomes(text) == ["killed", "ok", "failed", "ok"]
    assert "bots.0001_x" in text
    (failed, ok) = map(float, re.findall(BAR, text))
    assert failed == 120
    assert ok == pytest.approx(30, abs=1)
    table = text[text.index("<table") : text.index("</table")]
    assert "<script" not in table
    assert "style=" not in table


def test_list_follows_every_filter_order_and_date(
    superuser: Client, history: History
) -> None:
    queries = set(re.findall(r'href="(\?[^"]*)"', text_of(superuser, LIST)))

    assert {"?outcome=killed", "?action__exact=adopt", "?app=bots"} <= queries
    for query in [*queries, "?_facets=True"]:
        text_of(superuser, LIST + query)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?outcome=failed", ["failed"]),
        ("?outcome=killed", ["killed"]),
        ("?outcome=ok", ["ok", "ok"]),
        ("?outcome=running", []),
        ("?action__exact=adopt", ["ok"]),
        ("?app=trading", ["killed"]),
        ("?q=no+room", ["failed"]),
        ("?q=0002_killed", ["killed"]),
        ("?q=nothing", []),
    ],
)
def test_list_is_filtered_and_searched(
    query: str, found: list[str], superuser: Client, history: History
) -> None:
    assert outcomes(text_of(superuser, LIST + query)) == found


def test_list_asks_the_same_number_of_queries_for_more_rows(
    superuser: Client, history: History
) -> None:
    superuser.get(LIST)
    with CaptureQueriesContext(connection) as few:
        superuser.get(LIST)
    for number in range(5):
        history.succeed(start(history, Action.APPLY, "bots", f"1{number}"))
    with CaptureQueriesContext(connection) as many:
        superuser.get(LIST)

    assert len(many) == len(few)


def test_page_of_an_action_shows_its_error_and_details(
    superuser: Client, history: History
) -> None:
    _, adopted, failed, _ = history.entries()

    assert "no room" in text_of(superuser, admin_url("change", SchemaEvent, failed.id))
    assert "b7e3f2c1a9d8" in text_of(
        superuser, admin_url("change", SchemaEvent, adopted.id)
    )


def test_nobody_adds_changes_or_deletes(superuser: Client, history: History) -> None:
    before = history.entries()
    id_ = before[0].id
    page = text_of(superuser, admin_url("change", SchemaEvent, id_))

    assert 'name="_save"' not in page
    assert admin_url("delete", SchemaEvent, id_) not in page
    assert 'name="action"' not in text_of(superuser, LIST)
    for path in (
        admin_url("add", SchemaEvent),
        admin_url("change", SchemaEvent, id_),
        admin_url("delete", SchemaEvent, id_),
    ):
        assert superuser.post(path, {"post": "yes"}).status_code == 403
    assert history.entries() == before


def test_staff_read_with_the_permission_only(history: History) -> None:
    reader = make_staff("view_schemaevent", email="reader@example.com")

    assert outcomes(text_of(client_of(reader), LIST)) != []
    assert client_of(make_staff()).get(LIST).status_code == 403
    assert list(
        Permission.objects.filter(content_type__model="schemaevent").values_list(
            "codename", flat=True
        )
    ) == ["view_schemaevent"]


@pytest.mark.parametrize(
    "query", ["", "?outcome=failed", "?o=1", "?o=3.-4", "?q=x", "?_facets=True"]
)
def test_list_without_the_table_says_so(query: str, superuser: Client) -> None:
    without_history()

    text = text_of(superuser, LIST + query)

    assert "This database has no history yet" in text
    assert outcomes(text) == []


def test_page_of_an_action_without_the_table_leads_back(superuser: Client) -> None:
    without_history()

    response = superuser.get(admin_url("change", SchemaEvent, 1))

    assert response.status_code == 302


def test_models_need_no_migration() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
