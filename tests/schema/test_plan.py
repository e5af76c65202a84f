"""``migrate --plan`` says what it would do and touches nothing."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

import trading.migrations
from tests.migrations import old_program
from tests.processes import database_url
from tradebot.management.commands import adopt
from tradebot.schema.losses import Loss
from tradebot.schema.rules import violations_of

TRADING = Path(trading.migrations.__file__).parent


def plan(connection: BaseDatabaseWrapper, *arguments: str) -> str:
    output = StringIO()
    call_command(
        "migrate", *arguments, "--plan", database=connection.alias, stdout=output
    )
    return output.getvalue()


def migrations(connection: BaseDatabaseWrapper, *arguments: str) -> Any:
    return json.loads(plan(connection, *arguments, "--json"))["migrations"]


@pytest.mark.long
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

    indexes, keys = migrations(migrated_database)[:2]

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


@pytest.mark.long
def test_plan_backwards_to_a_revision_says_so(
    migrated_database: BaseDatabaseWrapper,
) -> None:

    found = migrations(migrated_database, "trading", "0002")

    later = {path.stem for path in TRADING.glob("0*.py") if path.stem >= "0003"}
    assert [each["name"] for each in found] == sorted(later, reverse=True)
    assert all(each["backwards"] for each in found)
    assert "trading.0007_convert_trade_foreign_keys  (backwards, " in plan(
        migrated_database, "trading", "0002"
    )


@pytest.mark.long
def test_plan_backwards_says_what_is_kept_and_what_is_lost(
    empty_database: BaseDatabaseWrapper,
) -> None:
    call_command("migrate", database=empty_database.alias, verbosity=0)
    user, session = {"email": "a", "password": "x"}, {"session_key": "s"}
    apps.get_model("accounts", "User").objects.using(empty_database.alias).create(
        **user, is_staff=True
    )
    apps.get_model("sessions", "Session").objects.using(empty_database.alias).create(
        **session, expire_date="2026-01-01T00:00:00Z"
    )

    text = plan(empty_database, "d24f9f7e7532")
    held = "(1 rows, less than 1 s, holds up writers meanwhile)"
    assert f"    keeps is_staff, is_superuser, last_login of users {held}\n" in text
    assert f"    keeps django_session {held}\n" in text

    ((drop,),) = (
        each["drops"] for each in migrations(empty_database, "sessions", "zero")
    )
    size = drop.pop("bytes")
    assert (size > 0) == (empty_database.vendor == "postgresql")
    assert drop == {
        "table": "django_session",
        "columns": [],
        "rows": 1,
        "kept": True,
        "seconds": 0.0,
        "holds_up_writers": True,
    }
    lost = "    LOSES django_session (1 rows): refused without --accept-data-loss\n"
    assert lost in plan(empty_database, "sessions", "zero", "--no-archive")


@pytest.mark.parametrize(
    ("columns", "megabytes", "time"),
    [
        (("market_type",), 1_800, "about 5 s"),
        ((), 1_800, "about 23 s"),
    ],
)
def test_plan_estimates_a_table_by_its_size_and_columns_by_their_rows(
    columns: tuple[str, ...], megabytes: int, time: str
) -> None:
    loss = Loss(
        table="backtests",
        columns=columns,
        rows=2_000_000,
        bytes=megabytes * 1_000_000,
        key="id",
    )
    assert f"about {loss.keeping_s:.0f} s" == time


@pytest.mark.long
@pytest.mark.postgresql
def test_plan_of_an_adoption_lets_the_old_program_start_meanwhile(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_program.build(empty_database, old_program.HEAD, rows=False)
    read = []

    def in_between(*arguments: Any) -> Any:
        with psycopg.connect(database_url(empty_database)) as other:
            other.execute("SET lock_timeout = '1s'")
            read.append(other.execute("SELECT * FROM alembic_version").fetchall())
        return violations_of(*arguments)

    monkeypatch.setattr(adopt, "violations_of", in_between)
    call_command(
        "adopt", "--plan", database=empty_database.alias,
        stdout=StringIO(), stderr=StringIO(),
    )  # fmt: skip

    assert read == [[(old_program.HEAD.name,)]]


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
