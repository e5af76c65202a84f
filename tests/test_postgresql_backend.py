"""What the backend adds: the health check of a connection, prepared statements."""

from __future__ import annotations

import time

import pytest
from django.db import connection, connections

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


def test_connection_in_order_is_usable() -> None:
    connection.ensure_connection()

    assert connection.is_usable()


def test_connection_that_the_server_has_ended_is_replaced() -> None:
    connection.ensure_connection()
    lost = connection.connection.info.backend_pid
    other = connections.create_connection("default")
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [lost])
    finally:
        other.close()
    time.sleep(0.05)  # until the end of the connection is here

    assert not connection.is_usable()
    connection.close_if_unusable_or_obsolete()  # as at the start of a request
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_connection_that_was_closed_is_not_usable() -> None:
    connection.ensure_connection()
    connection.connection.close()

    assert not connection.is_usable()
    connection.close()


def prepared_statements() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return [statement for (statement,) in cursor.fetchall()]


def test_statement_of_a_prepared_cursor_is_planned_once() -> None:
    connection.close()
    for number in (1, 2):
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT %s + 1", [number])
            assert cursor.fetchone() == (number + 1,)

    assert prepared_statements() == ["SELECT $1 + 1"]


def test_prepared_cursor_behind_a_pooler_prepares_nothing() -> None:
    connection.close()
    connection.settings_dict["OPTIONS"].pop("prepare_threshold")
    try:
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT %s + 1", [1])
            assert cursor.fetchone() == (2,)
        assert prepared_statements() == []
    finally:
        connection.close()
        connection.settings_dict["OPTIONS"]["prepare_threshold"] = 1
