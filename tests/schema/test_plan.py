"""``migrate --plan`` says what it would do and touches nothing."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper


def plan(connection: BaseDatabaseWrapper, *arguments: str) -> str:
    output = StringIO()
    call_command(
        "migrate", *arguments, "--plan", database=connection.alias, stdout=output
    )
    return output.getvalue()


def migrations(connection: BaseDatabaseWrapper, *arguments: str) -> Any:
    return json.loads(plan(connection, *arguments, "--json"))["migrations"]


def test_plan_of_an_empty_database_has_all_and_writes_nothing(
    empty_database: BaseDatabaseWrapper,
) -> None:
    found = migrations(empty_database)

    assert found[0]["name"] == "0001_squashed_0002_add_user_reset_token"
    with empty_database.cursor() as cursor:
        assert empty_database.introspection.table_names(cursor) == []


def test_plan_where_nothing_is_pending_says_so(
    migrated_database: BaseDatabaseWrapper,
) -> None:

    assert plan(migrated_database) == "No migrations to apply.\n"
    assert migrations(migrated_database) == []


@pytest.mark.postgresql
def test_plan_has_statements_locks_and_sizes(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    alias = migrated_database.alias
    call_command("migrate", "trading", "0005", database=alias, verbosity=0)

    (indexes, keys) = migrations(migrated_database)

    assert (indexes["atomic"], indexes["reversible"]) == (False, True)
    create = indexes["statements"][1]
    assert create["sql"].startswith("CREATE INDEX CONCURRENTLY")
    assert create["locks"] == {"trades": "SHARE UPDATE EXCLUSIVE"}
    assert (create["work"], create["in_transaction"]) == ("build", False)
    assert (create["blocks_reads"], create["blocks_writes"]) == (False, False)
    drop = keys["statements"][2]
    assert drop["locks"] == {
        "bot_configs": "ACCESS EXCLUSIVE",
        "trades": "ACCESS EXCLUSIVE",
    }
    text = plan(migrated_database)
    assert "ACCESS EXCLUSIVE on trades; about 0 rows, " in text
    assert "; holds up readers and writers" in text


def test_plan_backwards_to_a_revision_says_so(
    migrated_database: BaseDatabaseWrapper,
) -> None:

    found = migrations(migrated_database, "trading", "0002")

    numbers = ["0007", "0006", "0005", "0004", "0003"]
    assert [each["name"][:4] for each in found] == numbers
    assert all(each["backwards"] for each in found)
    assert "trading.0007_convert_trade_foreign_keys  (backwards, " in plan(
        migrated_database, "trading", "0002"
    )


def test_list_shows_revisions_and_how_they_came(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    alias = migrated_database.alias
    call_command("migrate", "apikeys", "0004", database=alias, verbosity=0)
    call_command("migrate", "apikeys", "--fake", database=alias, verbosity=0)
    call_command("migrate", "backtests", "0008", database=alias, verbosity=0)
    output = StringIO()
    call_command("showmigrations", database=alias, stdout=output, no_color=True)
    lines = output.getvalue().splitlines()

    assert " [X] 0001_create_api_key_table  (revision 4b2e65b4c85b)" in lines
    assert (
        " [X] 0001_squashed_0002_add_user_reset_token  "
        "(2 squashed, revisions 30d6391a9fcf, d24f9f7e7532)"
    ) in lines
    assert " [X] 0005_convert_api_key_foreign_keys  (faked)" in lines
    assert " [ ] 0009_add_backtest_checks" in lines
