"""Alembic makes the documented catalogue at each state, with our history for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations.catalogue import read_catalogue
from tests.processes import ROOT, database_url

DOCUMENTED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "documented_schema.json").read_text()
)
CONFIG = Config(ROOT / "tests" / "alembic_history" / "alembic.ini")
BRANCHES = "d24f9f7e7532", "a1b2c3d4e5f6"


def test_revisions_are_the_documented_ones() -> None:
    documented = {
        revision["id"]: tuple(revision["parents"])
        for revision in DOCUMENTED["revisions"]
    }

    revisions = ScriptDirectory.from_config(CONFIG).walk_revisions()

    assert {each.revision: each._normalized_down_revisions for each in revisions} == (
        documented
    )


def _state(connection: BaseDatabaseWrapper) -> tuple[set[str], dict[str, Any]]:
    """Return the heads and the tables of a database; constraints in no order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT version_num FROM alembic_version")
        heads = {version for (version,) in cursor.fetchall()}
    tables = read_catalogue(connection)
    del tables["alembic_version"]
    return heads, _in_no_order(tables)


def _in_no_order(tables: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {**table, "constraints": sorted(table["constraints"], key=str)}
        for name, table in tables.items()
    }


@pytest.mark.postgresql
def test_catalogue_at_each_state_is_the_documented_one(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url(empty_database))
    seen = set()

    def check(*heads: str) -> None:
        state = "+".join(heads)
        seen.add(state)
        expected = _in_no_order(DOCUMENTED["states"][state])
        assert _state(empty_database) == ({*heads}, expected), state

    *trunk, merge = [each["id"] for each in DOCUMENTED["revisions"]]
    for revision in trunk:
        if revision in BRANCHES:
            continue
        command.upgrade(CONFIG, revision)
        check(revision)
    fork = trunk[-3]
    # One branch alone, then the other one alone, then both.
    command.upgrade(CONFIG, BRANCHES[0])
    check(BRANCHES[0])
    command.downgrade(CONFIG, fork)
    check(fork)
    command.upgrade(CONFIG, BRANCHES[1])
    check(BRANCHES[1])
    command.upgrade(CONFIG, BRANCHES[0])
    check(*BRANCHES)
    command.upgrade(CONFIG, "head")
    check(merge)

    assert seen == DOCUMENTED["states"].keys()
