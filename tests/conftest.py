"""Fixtures for all tests, and which tests belong to which database."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django.plugin import DjangoDbBlocker

from accounts import resets
from accounts.hashers import BcryptPasswordHasher
from accounts.models import User
from tests.clients import JSONClient
from tests.databases import scratch_database
from tests.factories import make_user
from tests.migrations import rows
from tests.migrations.chain import Walker
from tests.processes import database_url
from tradebot.schema.revisions import migrations_at


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what the database of this run has not: deselected, not skipped."""
    foreign = {"postgresql": "sqlite", "sqlite": "postgresql"}[
        connections["default"].vendor
    ]
    markers = [foreign]
    if not config.getoption("long"):
        markers += ["long", *(["alike"] if foreign == "sqlite" else [])]
    left_out = [item for item in items if any(map(item.get_closest_marker, markers))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _cheap_password_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BcryptPasswordHasher, "rounds", 4)


@pytest.fixture(autouse=True)
def _no_wait_for_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backtests.api.views.WAIT_S", 0)  # nobody works on them


@pytest.fixture(autouse=True)
def _no_wait_for_the_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for one that is not there, where a test does not let it be there."""
    monkeypatch.setattr("trading.exchanges.binance_client.FIRST_WAIT_S", 0.01)


@pytest.fixture
def empty_database(
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database without any table, of the kind of this run."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        yield connection


@pytest.fixture(scope="session")
def _migrated_template(django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    with django_db_blocker.unblock(), scratch_database() as connection:
        call_command("migrate", database=connection.alias, verbosity=0)
        connection.close()
        yield str(connection.settings_dict["NAME"])


@pytest.fixture
def migrated_database(
    _migrated_template: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database of its own that is up to date, without any row."""
    with (
        django_db_blocker.unblock(),
        scratch_database(template=_migrated_template) as connection,
    ):
        yield connection


@pytest.fixture(scope="session")
def _documented_template(django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    with django_db_blocker.unblock(), scratch_database() as connection:
        walker = Walker(connection, squashed=False)
        walker.forwards(*migrations_at("b7e3f2c1a9d8"))
        rows.fill(connection, walker.apps())
        connection.close()
        yield str(connection.settings_dict["NAME"])


@pytest.fixture
def documented_database(
    _documented_template: str, django_db_blocker: DjangoDbBlocker
) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database at the documented head, with a row in every table."""
    with (
        django_db_blocker.unblock(),
        scratch_database(template=_documented_template) as connection,
    ):
        yield connection


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help="a skipped test is a failure: what it needs has to be there",
    )
    parser.addoption("--long", action="store_true", help="also what takes its time")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report, item.config)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report, collector.config)
    return report


def _fail_if_skipped(
    report: pytest.TestReport | pytest.CollectReport, config: pytest.Config
) -> None:
    # An expected failure is reported as skipped too; it stays one.
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and not expected_failure and config.getoption("fail_on_skip"):
        report.outcome = "failed"
        report.longrepr = f"skipped under --fail-on-skip: {report.longrepr}"


@pytest.fixture
def user(db: None) -> User:
    return make_user()


@pytest.fixture
def client_for() -> Callable[[User], JSONClient]:
    """Make a client of the API with the token of a user."""
    return JSONClient


@pytest.fixture
def api(user: User) -> JSONClient:
    """A client of the API with the token of ``user``."""
    return JSONClient(user)


@pytest.fixture
def anonymous(db: None) -> JSONClient:
    """A client of the API without a token."""
    return JSONClient()


@pytest.fixture
def stranger(db: None) -> JSONClient:
    """A client of the API with the token of another user."""
    return JSONClient(make_user("stranger@example.com"))


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """The test database, open to several threads with a connection each.

    SQLite's is in memory and has no locks that a thread could wait for: a copy of it in
    a file takes its place.
    """
    memory = connections["default"]
    if memory.vendor == "postgresql":
        yield
        return
    settings = connections.databases["default"]
    connections.databases["default"] = {**settings, "NAME": tmp_path / "copy.sqlite3"}
    del connections["default"]
    memory.ensure_connection()
    connections["default"].ensure_connection()
    memory.connection.backup(connections["default"].connection)
    _reconnect_sender()
    try:
        yield
    finally:
        _reconnect_sender()
        connections["default"].close()
        connections.databases["default"] = settings
        connections["default"] = memory


def _reconnect_sender() -> None:
    """Let the thread that mails forget its database: it outlives that of a test."""

    def forget() -> None:
        # Not close(), which leaves a database in memory open.
        BaseDatabaseWrapper.close(connections["default"])
        del connections["default"]

    resets._sender.submit(forget).result(timeout=20)


@pytest.fixture
def postgresql_url() -> str:
    """The URL of the server of this run, for processes of their own."""
    return database_url(connections["default"])


def pytest_xdist_auto_num_workers() -> int:
    """One process for each processor, one more where tests wait for the server."""
    waiting = connections["default"].vendor == "postgresql"
    return (os.cpu_count() or 1) + waiting


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end, some million objects."""
    gc.freeze()
