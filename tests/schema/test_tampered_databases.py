"""The tampered databases can be made, and are tampered."""

from __future__ import annotations

import pytest
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import old_program
from tests.schema.tampered_databases import HARMLESS, TAMPERINGS

pytestmark = pytest.mark.postgresql

_CATALOGUES = [
    "alembic_version",
    "pg_attrdef",
    "pg_attribute",
    "pg_class",
    "pg_constraint",
    "pg_depend",
    "pg_index",
    "pg_sequence",
    "pg_trigger",
]


def _fingerprint(connection: BaseDatabaseWrapper) -> str:
    """Return what changes with any of the rows by which the server knows its tables."""
    parts = " UNION ALL ".join(
        f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t"  # noqa: S608
        for name in _CATALOGUES
    )
    with connection.cursor() as cursor:
        cursor.execute(parts)
        return str(cursor.fetchall())


def _has_effect(connection: BaseDatabaseWrapper, sql: str, before: str) -> bool:
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute(sql)
        after = _fingerprint(connection)
        transaction.set_rollback(True, connection.alias)
    return after != before


def test_every_tampering_changes_what_the_server_or_alembic_says(
    empty_database: BaseDatabaseWrapper,
) -> None:
    without_effect = []
    for state in {tampering.state for tampering in TAMPERINGS}:
        with transaction.atomic(empty_database.alias):
            old_program.build(empty_database, state, rows=True)
            before = _fingerprint(empty_database)
            without_effect += [
                tampering.id
                for tampering in TAMPERINGS
                if tampering.state == state
                and not _has_effect(empty_database, tampering.sql, before)
            ]
            transaction.set_rollback(True, empty_database.alias)

    assert without_effect == []


def test_harmless_changes_can_be_made(empty_database: BaseDatabaseWrapper) -> None:
    old_program.build(empty_database, old_program.HEAD, rows=True)

    with empty_database.cursor() as cursor:
        for _, sql in HARMLESS:
            cursor.execute(sql)


def test_every_tampering_is_named_by_what_is_there_or_should_be() -> None:
    assert len({tampering.id for tampering in TAMPERINGS}) == len(TAMPERINGS) >= 28
    for tampering in TAMPERINGS:
        known = f"{tampering.sql} {tampering.state.heads} {old_program.HEAD.tables}"
        assert tampering.words
        assert [word for word in tampering.words if word not in known] == [], (
            tampering.id
        )
