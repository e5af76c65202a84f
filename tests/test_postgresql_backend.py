"""What the backend adds: the health check of a connection, prepared statements."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import NotSupportedError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def other() -> Iterator[BaseDatabaseWrapper]:
    other = connections.create_connection("default")
    yield other
    other.close()


def test_connection_in_order_is_usable() -> None:
    connection.ensure_connection()

    assert connection.is_usable()


def test_connection_that_the_server_has_ended_is_replaced(
    other: BaseDatabaseWrapper,
) -> None:
    connection.ensure_connection()
    lost = connection.connection.info.backend_pid
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [lost])
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


def test_prepared_statement_gives_way_to_another_type_of_a_column(
    other: BaseDatabaseWrapper,
) -> None:
    def read() -> Any:
        with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT number FROM numbers WHERE number = %s", [1])
            return cursor.fetchone()

    with other.cursor() as cursor:
        cursor.execute("CREATE TABLE numbers AS SELECT 1 AS number")
        try:
            read()
            cursor.execute("ALTER TABLE numbers ALTER number TYPE bigint")
            with pytest.raises(NotSupportedError), transaction.atomic():
                read()

            assert read() == (1,)
        finally:
            connection.close()
            cursor.execute("DROP TABLE numbers")


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
