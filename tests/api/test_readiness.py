"""Whether the process can serve, as it tells anybody who asks."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client, override_settings
from django.utils import timezone

from backtests.models import BacktestRun
from tests.api.endpoints import document
from tests.clients import read
from tests.factories import make_user
from tradebot import readiness
from tradebot.readiness import Probe, Readiness


@pytest.fixture(autouse=True)
def _first_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "probe", Probe())


@pytest.fixture
def database(migrated_database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """A database of its own in the place of the default one."""
    default = connections["default"]
    connections["default"] = migrated_database
    yield migrated_database
    connections["default"] = default


def answer(status: int) -> dict[str, Any]:
    response = Client().get("/health/ready", headers={"Authorization": "Bearer x"})
    assert response.headers["Content-Type"] == "application/json"
    content: dict[str, Any] = read(response, status)  # type: ignore[arg-type]
    return content


def behind(recorder: MigrationRecorder) -> None:
    (newest,) = MigrationLoader(None).graph.leaf_nodes("trading")
    recorder.record_unapplied(*newest)


def ahead(recorder: MigrationRecorder) -> None:
    recorder.record_applied("trading", "9999_of_tomorrow")


def neither(recorder: MigrationRecorder) -> None:
    behind(recorder)
    ahead(recorder)


@pytest.mark.parametrize(
    ("change", "status", "migrations"),
    [
        (lambda recorder: None, 200, "ok"),
        (behind, 503, "behind"),
        (ahead, 200, "ahead"),
        (neither, 503, "other version"),
    ],
)
def test_schema_is_compared_with_the_code(
    database: BaseDatabaseWrapper,
    change: Callable[[MigrationRecorder], None],
    status: int,
    migrations: str,
) -> None:
    change(MigrationRecorder(database))

    assert answer(status) == {
        "status": "ready" if status == 200 else "not ready",
        "database": "ok",
        "migrations": migrations,
        "queue": "ok" if status == 200 else "unknown",
        "workers": "ok" if status == 200 else "unknown",
        "bots": "ok" if status == 200 else "unknown",
    }


@pytest.mark.parametrize(
    ("statuses", "queue", "workers"),
    [
        (["queued now"], "ok", "ok"),
        (["queued long"], "behind", "missing"),
        (["queued long", "running now"], "behind", "ok"),
        (["queued long", "running long"], "behind", "missing"),
        (["done long"], "ok", "ok"),
    ],
)
def test_queue_that_nobody_works_on_is_told_and_served(
    database: BaseDatabaseWrapper, statuses: list[str], queue: str, workers: str
) -> None:
    user = make_user()
    ages = {"now": dt.timedelta(0), "long": dt.timedelta(minutes=2)}
    for each in statuses:
        status, _, age = each.partition(" ")
        then = timezone.now() - ages[age]
        BacktestRun.objects.create(
            user=user, request={}, status=status, created_at=then, beat_at=then
        )

    content = answer(200)

    assert (content["status"], content["queue"], content["workers"]) == (
        "ready",
        queue,
        workers,
    )


def test_database_without_tables_is_behind(empty_database: BaseDatabaseWrapper) -> None:
    found = readiness.look(empty_database)

    assert found == Readiness(database="ok", migrations="behind")


@pytest.fixture(params=["refuses", "is silent"])
def away(
    request: pytest.FixtureRequest, database: BaseDatabaseWrapper
) -> Iterator[None]:
    """A PostgreSQL server that is away, as the default database."""
    silent = socket.create_server(("127.0.0.1", 0))
    port = 1 if request.param == "refuses" else silent.getsockname()[1]
    settings = {
        **database.settings_dict,
        "ENGINE": "tradebot.postgresql",
        "NAME": "away",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "OPTIONS": {"connect_timeout": 10},
    }
    connections.databases["away"] = settings
    connections["default"] = connections["away"]
    yield
    del connections["away"]
    del connections.databases["away"]
    silent.close()


@pytest.mark.alike
@pytest.mark.usefixtures("away")
def test_database_that_is_away_is_told_soon_and_without_details() -> None:
    began = time.monotonic()

    assert answer(503) == {
        "status": "not ready",
        "database": "unreachable",
        "migrations": "unknown",
        "queue": "unknown",
        "workers": "unknown",
        "bots": "unknown",
    }
    assert time.monotonic() - began < 5


@pytest.mark.alike
def test_document_has_both_answers() -> None:
    responses = document()["paths"]["/health/ready"]["get"]["responses"]

    assert {
        status: set(response["content"]) for status, response in responses.items()
    } == {"200": {"application/json"}, "503": {"application/json"}}


@pytest.mark.alike
@override_settings(SECURE_SSL_REDIRECT=True)
@pytest.mark.usefixtures("database")
def test_answer_is_not_a_redirect_to_https() -> None:
    assert answer(200)["status"] == "ready"


@pytest.mark.alike
def test_many_who_ask_are_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    good = Readiness(database="ok", migrations="ok")

    def look(connection: BaseDatabaseWrapper) -> Readiness:
        looks.append(connection)
        return good

    monkeypatch.setattr(readiness, "look", look)
    probe = Probe()

    assert [probe.read() for _ in range(5)] == [good] * 5
    assert len(looks) == 1

    monkeypatch.setattr(readiness, "KEPT_S", 0)
    probe.read()
    assert len(looks) == 2


@pytest.mark.alike
def test_database_that_hangs_is_unreachable_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, done = threading.Event(), threading.Event()

    def hang(connection: BaseDatabaseWrapper) -> Readiness:
        asked.set()
        done.wait(timeout=10)
        return Readiness(database="ok", migrations="ok")

    monkeypatch.setattr(readiness, "look", hang)
    monkeypatch.setattr(readiness, "WAIT_S", 0.05)
    probe = Probe()
    first = threading.Thread(target=probe.read)
    first.start()
    assert asked.wait(timeout=10)

    assert probe.read().database == "unreachable"

    done.set()
    first.join()
    assert probe.read().ready


@pytest.mark.postgresql
def test_locked_table_is_not_waited_for(database: BaseDatabaseWrapper) -> None:
    other = database.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLE django_migrations")
        began = time.monotonic()
        assert answer(503)["database"] == "unreachable"
        assert time.monotonic() - began < 5
    finally:
        other.close()
