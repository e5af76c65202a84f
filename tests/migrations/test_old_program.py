"""The databases that ``old_program`` makes are those of the old program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import bcrypt
import pytest
from cryptography.fernet import Fernet
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations import old_program
from tests.migrations.catalogue import read_catalogue, read_definitions
from tests.migrations.chain import Walker
from tests.migrations.old_program import BASE, HEAD, STATES, TABLES, TWO_HEADS, State
from tradebot.schema.revisions import MigrationKey, migrations_at

pytestmark = pytest.mark.postgresql

VERSION_TABLE = {
    "columns": [
        {
            "name": "version_num",
            "type": "character varying(32)",
            "null": False,
            "default": None,
        }
    ],
    "indexes": [],
    "constraints": [
        {
            "name": "alembic_version_pkc",
            "kind": "primary key",
            "definition": "PRIMARY KEY (version_num)",
        }
    ],
}


@contextmanager
def built(connection: BaseDatabaseWrapper, state: State, **how: Any) -> Iterator[None]:
    """Have the database of a state for the time of the block."""
    with transaction.atomic(connection.alias):
        old_program.build(connection, state, **{"rows": False, **how})
        yield
        transaction.set_rollback(True, connection.alias)


def read_schema(connection: BaseDatabaseWrapper) -> tuple[Any, Any]:
    """Return catalogue and definitions of the six tables."""
    tables = {
        name: {**table, "constraints": sorted(table["constraints"], key=str)}
        for name, table in read_catalogue(connection).items()
        if name in TABLES
    }
    definitions = [
        row
        for row in read_definitions(connection)
        if (row[0] if len(row) == 2 else row[1]) in TABLES
    ]
    return tables, definitions


def ask(connection: BaseDatabaseWrapper, query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[Any] = cursor.fetchall()
        return rows


def test_states_are_base_the_revisions_and_the_two_heads() -> None:
    assert len(STATES) == 16
    assert BASE.tables == {}
    assert set(HEAD.tables) == set(TABLES)
    assert TWO_HEADS.tables == HEAD.tables


def test_built_state_has_the_documented_catalogue(
    empty_database: BaseDatabaseWrapper,
) -> None:
    for state in STATES:
        with built(empty_database, state, rows=True):
            catalogue = read_catalogue(empty_database)
            heads = ask(empty_database, "SELECT version_num FROM alembic_version")

        assert catalogue == {**state.tables, "alembic_version": VERSION_TABLE}
        assert heads == [(head,) for head in state.heads]

    with built(empty_database, BASE, version_table=False):
        assert read_catalogue(empty_database) == {}


def test_built_state_equals_what_the_chain_makes(
    empty_database: BaseDatabaseWrapper,
) -> None:
    expected = {}
    for state in STATES:
        with built(empty_database, state):
            expected[state.name] = read_schema(empty_database)
    walker = Walker(empty_database, squashed=False)
    made: dict[str, Any] = {}

    there: list[MigrationKey] = []
    for state in STATES:
        wanted = migrations_at(*state.heads)
        # From one branch to the other there is only the way back.
        walker.backwards(*(key for key in reversed(there) if key not in wanted))
        walker.forwards(*(key for key in wanted if key not in there))
        there = wanted
        made[state.name] = read_schema(empty_database)

    assert made == expected


def test_rows_are_in_every_table_and_leave_gaps_behind(
    empty_database: BaseDatabaseWrapper,
) -> None:
    with built(empty_database, HEAD, rows=True):
        for table in TABLES:
            ((count, highest),) = ask(
                empty_database,
                f"SELECT count(*), max(id) FROM {table}",  # noqa: S608
            )
            assert 1 < count < highest, table
            if table in old_program.LAST_IDS:
                ((last,),) = ask(
                    empty_database, f"SELECT nextval('{table}_id_seq') - 1"
                )
                assert highest < last == old_program.LAST_IDS[table]


def test_rows_hold_what_the_users_know(empty_database: BaseDatabaseWrapper) -> None:
    cipher = Fernet(old_program.FERNET_KEY)
    with built(empty_database, HEAD, rows=True):
        hashes = dict(ask(empty_database, "SELECT email, hashed_password FROM users"))
        keys = ask(
            empty_database,
            "SELECT id, encrypted_api_key, encrypted_secret_key FROM api_keys",
        )

    assert hashes.keys() == old_program.PASSWORDS.keys()
    for email, password in old_program.PASSWORDS.items():
        assert hashes[email].startswith("$2b$12$")
        assert bcrypt.checkpw(password.encode()[:72], hashes[email].encode()), email
    assert {
        id_: tuple(cipher.decrypt(token.encode()).decode() for token in tokens)
        for id_, *tokens in keys
    } == old_program.EXCHANGE_KEYS
