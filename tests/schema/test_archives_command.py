"""``archives`` lists what migrations and repairs replaced, and deletes it when told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as default
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.databases import scratch_database
from tests.migrations import rows
from tests.migrations.chain import Walker
from tradebot.schema.revisions import migrations_at

NULLS = "tradebot_archive_nulls"
REPAIRS = "tradebot_archive_repairs"
JSON = "tradebot_archive_backtests_json"
TEXTS = [JSON] if default.vendor == "postgresql" else []
AS_WRITTEN = '{"b": 1, "a": 1.10, "b": 2}'


@pytest.fixture(scope="module")
def template(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The name of a database of the newest migrations, which replaced three values."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        alias = connection.alias
        walker = Walker(connection, squashed=False)
        walker.forwards(*migrations_at("b7e3f2c1a9d8"))
        rows.fill(connection, walker.apps())
        with connection.cursor() as cursor:
            cursor.execute("UPDATE bot_configs SET leverage = 500")
            cursor.execute("UPDATE users SET updated_at = NULL")
            cursor.execute("UPDATE backtests SET parameters = %s", [AS_WRITTEN])
        with pytest.raises(SystemExit):
            call_command(
                "check_data", repair=["bot_configs_leverage"], database=alias,
                stdout=StringIO(),
            )  # fmt: skip
        call_command("migrate", database=alias, verbosity=0)
        connection.close()
        yield str(connection.settings_dict["NAME"])


@pytest.fixture(scope="module")
def untouched(template: str, django_db_blocker: Any) -> Iterator[BaseDatabaseWrapper]:
    """A copy that no test changes."""
    with django_db_blocker.unblock(), scratch_database(template=template) as connection:
        yield connection


@pytest.fixture
def database(template: str, django_db_blocker: Any) -> Iterator[BaseDatabaseWrapper]:
    with django_db_blocker.unblock(), scratch_database(template=template) as connection:
        yield connection


def archives(
    connection: BaseDatabaseWrapper, *arguments: str, **options: Any
) -> tuple[str, str]:
    """Return what the command prints, and what it says beside that."""
    out, err = StringIO(), StringIO()
    call_command(
        "archives", *arguments, database=connection.alias, stdout=out, stderr=err,
        **options,
    )  # fmt: skip
    return out.getvalue(), err.getvalue()


def listed(connection: BaseDatabaseWrapper) -> dict[Any, dict[str, Any]]:
    output, _ = archives(connection, "--json")
    return {each["id"]: each for each in json.loads(output)}


def parameters(connection: BaseDatabaseWrapper) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT CAST(parameters AS text) FROM backtests")
        (text,) = cursor.fetchone()
    return str(text)


def test_list_has_what_was_replaced_and_when_it_goes(
    untouched: BaseDatabaseWrapper,
) -> None:
    found = listed(untouched)

    assert found.keys() == {NULLS, REPAIRS, *TEXTS}
    assert all(each["rows"] == 1 for each in found.values())
    if default.vendor == "postgresql":
        assert all(each["bytes"] > 0 for each in found.values())
    output, _ = archives(untouched)
    assert "Nothing is kept of dropped tables and columns." in output
    for name, each in found.items():
        assert f"{name}: {each['holds']}, 1 rows" in output
        assert f"    stays until {each['until']}\n" in output


def test_purge_by_name_warns_and_the_way_back_works_without(
    database: BaseDatabaseWrapper,
) -> None:
    names = [NULLS, *TEXTS]

    _, said = archives(database, "--purge", *names, "--no-input")

    assert f"Attention: Without {NULLS}: which rows had NULL" in said
    assert "going back leaves the values that were filled in" in said
    assert [f"Deleted {name}" in said for name in names] == [True for _ in names]
    assert listed(database).keys() == {REPAIRS}
    for target in (("accounts", "0004"), ("backtests", "0004")):
        call_command("migrate", *target, database=database.alias, verbosity=0)
    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM users WHERE updated_at IS NULL")
        assert cursor.fetchone() == (0,)
    if TEXTS:
        assert "going back leaves the JSON of backtests as jsonb has it" in said
        assert parameters(database) == '{"a": 1.10, "b": 2}'


@pytest.mark.postgresql
def test_texts_that_stay_come_back_as_written(database: BaseDatabaseWrapper) -> None:
    archives(database, "--purge", NULLS, REPAIRS, "--no-input")

    call_command("migrate", "backtests", "0004", database=database.alias, verbosity=0)

    assert parameters(database) == AS_WRITTEN
    # Those with numbers are of what the way back has dropped.
    assert [id_ for id_ in listed(database) if not isinstance(id_, int)] == []


def test_purge_by_name_without_a_terminal_is_refused(
    untouched: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO("yes\n"))

    with pytest.raises(CommandError, match="say --no-input"):
        archives(untouched, "--purge", NULLS)

    assert NULLS in listed(untouched)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_purge_by_name_is_done_after_a_yes_and_nothing_else(
    database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    with pytest.raises(CommandError, match="Nothing was deleted"):
        archives(database, "--purge", NULLS)
    assert NULLS in listed(database)

    monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
    archives(database, "--purge", NULLS)
    assert NULLS not in listed(database)


def test_purge_of_all_leaves_those_with_names(database: BaseDatabaseWrapper) -> None:
    with database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_session VALUES ('key', 'data', '2026-01-01 00:00:00Z')"
        )
    call_command("migrate", "sessions", "zero", database=database.alias, verbosity=0)
    before = listed(database)
    numbers = [id_ for id_ in before if isinstance(id_, int)]

    archives(database, "--purge", "all")

    assert numbers
    assert listed(database).keys() == before.keys() - set(numbers)


def test_purge_of_a_table_that_is_no_archive_names_those_there_are(
    untouched: BaseDatabaseWrapper,
) -> None:
    with pytest.raises(CommandError, match=f"users is no archive.*{NULLS}"):
        archives(untouched, "--purge", NULLS, "users", "--no-input")

    assert NULLS in listed(untouched)
