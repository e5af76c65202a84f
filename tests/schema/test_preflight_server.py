"""A server that cannot be used, or not yet, and what servers say."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import NotSupportedError, OperationalError
from pytest_django.plugin import DjangoDbBlocker

from tests.processes import SECRETS, free_port, manage
from tests.schema.obstacles import SETTINGS
from tests.schema.servers import OwnServer, own_server
from tradebot.schema import faults
from tradebot.schema.faults import PreflightError, connection_fault
from tradebot.schema.waiting import wait_for_database


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server() as server:
        yield server


@pytest.mark.postgresql
def test_wrong_password_is_told_at_once(server: OwnServer) -> None:
    server.start()

    began = time.monotonic()
    result = manage("migrate", **SECRETS, DATABASE_URL=server.url("hunter2"))

    assert time.monotonic() - began < 10
    assert result.returncode == faults.LoginError.exit_code
    assert 'password authentication failed for user "postgres"' in result.stderr
    assert "hunter2" not in result.stderr


@pytest.mark.postgresql
def test_standby_is_refused(server: OwnServer) -> None:
    server.follow()
    server.start("restore_command=false")

    result = manage("migrate", **SETTINGS, DATABASE_URL=server.url())

    assert result.returncode == faults.StandbyError.exit_code
    assert "is a standby, which only follows another server." in result.stderr


@pytest.mark.postgresql
def test_server_that_is_starting_is_waited_for(server: OwnServer) -> None:
    server.follow()
    # As one that recovers: it answers, and lets nobody in.
    server.start("hot_standby=off", "restore_command=false", wait=False)
    settings = {**SECRETS, "DATABASE_WAIT_S": "2"}
    began = time.monotonic()
    result = manage("migrate", **settings, DATABASE_URL=server.url())

    assert time.monotonic() - began > 2
    assert result.returncode == faults.StartingError.exit_code
    assert "Trying again for 2 s." in result.stderr


@pytest.mark.postgresql
def test_server_that_comes_up_later_is_used_within_half_a_second(
    server: OwnServer, django_db_blocker: DjangoDbBlocker
) -> None:
    def start() -> None:
        time.sleep(2)
        server.start()
        times["up"] = time.monotonic()

    times: dict[str, float] = {}
    said: list[str] = []
    instead = {
        "HOST": "127.0.0.1",
        "PORT": server.port,
        "USER": "postgres",
        "PASSWORD": "correct",
        "NAME": "postgres",
    }
    with django_db_blocker.unblock(), other_connection(instead) as connection:
        starting = threading.Thread(target=start)
        starting.start()
        wait_for_database(connection, said.append, 30)
        times["used"] = time.monotonic()
        starting.join()

    assert times["used"] - times["up"] < 0.5
    assert said[0].endswith("Trying again for 30 s.")


@contextmanager
def other_connection(instead: dict[str, object]) -> Iterator[BaseDatabaseWrapper]:
    """Make a connection with other settings than those of this run."""
    connections.databases["other"] = {
        **connections["default"].settings_dict,
        **instead,
    }
    try:
        yield connections["other"]
    finally:
        connections["other"].close()
        del connections["other"]
        del connections.databases["other"]


def test_waiting_ends_and_says_so_in_between(
    django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradebot.schema.waiting._REPEAT_S", 0.3)
    said: list[str] = []
    began = time.monotonic()
    instead = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": "127.0.0.1",
        "PORT": free_port(),
        "NAME": "bots",
        "OPTIONS": {"connect_timeout": 10},
    }
    with django_db_blocker.unblock(), other_connection(instead) as connection:
        with pytest.raises(faults.UnreachableError, match="Connection refused"):
            wait_for_database(connection, said.append, 1)
        assert connection.settings_dict["OPTIONS"] == {"connect_timeout": 10}

    assert 1 <= time.monotonic() - began < 1.5
    assert 2 <= len(said) <= 5  # fewer on a busy machine


# --- The words of servers ---------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("FATAL:  the database system is starting up", faults.StartingError),
        ("FATAL:  the database system is shutting down", faults.StartingError),
        (
            "FATAL:  the database system is not yet accepting connections",
            faults.StartingError,
        ),
        ("FATAL:  sorry, too many clients already", faults.TooManyConnectionsError),
        (
            "FATAL:  remaining connection slots are reserved for roles with the "
            "SUPERUSER attribute",
            faults.TooManyConnectionsError,
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "10.0.0.2", user "bot", database '
            '"bots", no encryption',
            faults.LoginError,
        ),
        ("fe_sendauth: no password supplied", faults.LoginError),
        ('FATAL:  role "bot" does not exist', faults.LoginError),
        ('FATAL:  database "bots" does not exist', faults.NoDatabaseError),
        ("FATAL:  no such database: bots", faults.NoDatabaseError),
        (
            "server does not support SSL, but SSL was required",
            faults.RefusedError,
        ),
        ("FATAL:  das gibt es nicht", faults.RefusedError),
        (
            "server closed the connection unexpectedly",
            faults.UnreachableError,
        ),
        (
            "FATAL:  server login has been failing, cached error: connect failed "
            "(server_login_retry)",
            faults.UnreachableError,
        ),
    ],
)
def test_words_of_a_server_are_understood(
    said: str, fault: type[PreflightError]
) -> None:
    error = OperationalError(
        f'connection failed: connection to server at "db", port 5432 failed: {said}'
    )

    assert type(connection_fault(unconnected(), error)) is fault


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            'connection failed: connection to server at "127.0.0.1", port 1 failed: '
            "Connection refused\n\tIs the server running on that host and accepting "
            "TCP/IP connections?",
            "Connection refused",
        ),
        (
            'connection failed: connection to server at "::1", port 5432 failed: '
            'FATAL:  password authentication failed for user "bot"\n',
            'FATAL: password authentication failed for user "bot"',
        ),
        (
            'connection failed: connection to server at "10.0.0.2", port 5432 failed: '
            "timeout expired\nMultiple connection attempts failed. All failures were:\n"
            "- host: 'db', port: '5432', hostaddr: '10.0.0.1': connection failed",
            "timeout expired",
        ),
        ("connection timeout expired", "connection timeout expired"),
        ("unable to open database file", "unable to open database file"),
    ],
)
def test_reason_is_one_line_without_repetition(message: str, reason: str) -> None:
    assert faults.reason(OperationalError(message)) == reason


def test_server_too_old_for_django_is_too_old_for_us() -> None:
    error = NotSupportedError("PostgreSQL 14 or later is required (found 13.2).")

    fault = connection_fault(unconnected(), error)

    assert type(fault) is faults.ServerTooOldError
    assert "found 13.2, expected PostgreSQL 14 or newer" in str(fault)


def unconnected() -> BaseDatabaseWrapper:
    with other_connection(
        {"ENGINE": "django.db.backends.postgresql", "NAME": "bots", "OPTIONS": {}}
    ) as connection:
        return connection
