"""The chain makes the documented catalogue at each of its states, to the letter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations.catalogue import read_catalogue, read_definitions
from tests.migrations.chain import Walker
from tradebot.schema.revisions import load_revisions, migrations_at

pytestmark = pytest.mark.postgresql

DOCUMENTED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "documented_schema.json").read_text()
)
MADE_BY_THE_SYSTEM = ("django_migrations", "tradebot_schema_events")


def _our_tables(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    return {
        name: table
        for name, table in read_catalogue(connection).items()
        if name not in MADE_BY_THE_SYSTEM
    }


def _sorted_constraints(tables: dict[str, Any]) -> dict[str, Any]:
    """The order of constraints says nothing; that of columns does."""
    return {
        name: {**table, "constraints": sorted(table["constraints"], key=str)}
        for name, table in tables.items()
    }


def test_documented_schema_holds_15_states() -> None:
    assert len(DOCUMENTED["states"]) == 15


def test_revisions_of_the_migrations_are_the_documented_ones() -> None:
    documented = [
        (revision["id"], tuple(revision["parents"]))
        for revision in DOCUMENTED["revisions"]
    ]

    assert [(each.id, each.revises) for each in load_revisions()] == documented


def test_migrations_live_in_the_documented_apps() -> None:
    documented = {each["id"]: each["app"] for each in DOCUMENTED["revisions"]}
    documented["b7e3f2c1a9d8"] = "backtests"

    assert {each.id: each.migration[0] for each in load_revisions()} == documented


@pytest.mark.parametrize("state", DOCUMENTED["states"])
def test_catalogue_at_a_state_equals_the_documented_one(
    state: str, empty_database: BaseDatabaseWrapper
) -> None:
    walker = Walker(empty_database, squashed=False)

    walker.forwards(*migrations_at(*state.split("+")))

    assert _sorted_constraints(_our_tables(empty_database)) == _sorted_constraints(
        DOCUMENTED["states"][state]
    )


@pytest.mark.long
def test_squashed_path_makes_the_catalogue_of_the_chain(
    empty_database: BaseDatabaseWrapper,
) -> None:
    squashed = Walker(empty_database, squashed=True)
    chain = Walker(empty_database, squashed=False)
    # Back to empty between the two: one database, so that nothing else differs.
    catalogues = []
    for walker in (chain, squashed):
        plan = walker.plan()
        walker.forwards(*plan)
        catalogues.append(
            (_our_tables(empty_database), read_definitions(empty_database))
        )
        walker.backwards(*reversed(plan))

    assert len(chain.plan()) > len(squashed.plan())
    assert catalogues[0] == catalogues[1]


def test_serial_sequences_belong_to_their_columns(
    empty_database: BaseDatabaseWrapper,
) -> None:
    Walker(empty_database, squashed=False).forwards(*migrations_at("b7e3f2c1a9d8"))

    sequences = [row for row in read_definitions(empty_database) if len(row) == 4]

    assert [row for row in sequences if row[1] not in MADE_BY_THE_SYSTEM] == [
        (f"{table}_id_seq", table, "id", "integer")
        for table in ("api_keys", "backtests", "bot_configs", "trades", "users")
    ]
