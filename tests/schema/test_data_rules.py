"""Rows that a migration would reject: found before the first write, and repaired."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from tests.migrations import rows

# How a database of the old program came to break each rule, in SQL.
BREAKS = {
    "users_email_lower": (
        "INSERT INTO users (email, hashed_password) VALUES ('ä@EXAMPLE.com', 'x')"
    ),
    "bot_configs_leverage": "UPDATE bot_configs SET leverage = 500",
    "bot_configs_position_type": "UPDATE bot_configs SET position_type = 'margin'",
    "backtests_market_type": "UPDATE backtests SET market_type = 'futures '",
    "bot_configs.user_id": "UPDATE bot_configs SET user_id = 77",
    "bot_configs.api_key_id": "UPDATE bot_configs SET api_key_id = 77",
    "bot_states.id": "UPDATE bot_states SET id = 77",
    "trades.bot_config_id": "UPDATE trades SET bot_config_id = 77",
    "backtests.user_id": "UPDATE backtests SET user_id = 77",
    "api_keys.user_id": "UPDATE api_keys SET user_id = 77",
}
if_postgresql = pytest.mark.postgresql
JSON_BREAKS = {
    "backtests.parameters.jsonb": (
        'UPDATE backtests SET parameters = \'{"a": "\\u0000"}\''
    ),
    "backtests.daily_results.jsonb": (
        "UPDATE backtests SET daily_results = '[\"\\ud800\"]'"
    ),
}


@pytest.fixture
def old_database(documented_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    return documented_database


def break_rule(connection: BaseDatabaseWrapper, statement: str) -> None:
    """Execute a statement whatever foreign keys say."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
            cursor.execute(statement)
            cursor.execute("SET session_replication_role = origin")
        else:
            cursor.execute("PRAGMA foreign_keys = OFF")
            cursor.execute(statement)
            cursor.execute("PRAGMA foreign_keys = ON")


def check_data(connection: BaseDatabaseWrapper, *arguments: str) -> tuple[int, str]:
    output = StringIO()
    with pytest.raises(SystemExit) as end:
        call_command("check_data", *arguments, database=connection.alias, stdout=output)
    return int(str(end.value.code)), output.getvalue()


def migrate(connection: BaseDatabaseWrapper) -> None:
    call_command("migrate", database=connection.alias, verbosity=0)


def test_clean_data_has_nothing_to_repair_and_is_read_once_for_a_rule(
    old_database: BaseDatabaseWrapper,
) -> None:
    with CaptureQueriesContext(old_database) as queries:
        assert check_data(old_database) == (
            0,
            "No row is in the way of a pending migration.\n",
        )

    conditions = [
        query["sql"].partition(" WHERE ")[2].partition(" ORDER BY ")[0]
        for query in queries
        if re.search(' FROM "(bot_configs|backtests)" WHERE ', query["sql"])
    ]
    assert conditions
    assert len(conditions) == len(set(conditions))


IN_EACH_RUN = {"bot_configs.user_id", "users_email_lower", "backtests.parameters.jsonb"}


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(
            name,
            marks=[
                *([] if name in IN_EACH_RUN else [pytest.mark.long]),
                *([if_postgresql] if name in JSON_BREAKS else []),
            ],
        )
        for name in [*BREAKS, *JSON_BREAKS]
    ],
)
def test_broken_rule_is_told_and_repaired(
    rule: str, old_database: BaseDatabaseWrapper
) -> None:
    break_rule(old_database, {**BREAKS, **JSON_BREAKS}[rule])

    code, output = check_data(old_database, "--json")
    found = json.loads(output)
    assert code == 1
    assert [(each["rule"], each["count"]) for each in found] == [(rule, 1)]
    code, output = check_data(old_database)
    assert code == 1
    assert f"manage.py check_data --repair {rule}  # {found[0]['repair']}" in output

    code, output = check_data(old_database, "--repair", rule)
    assert code == 0, output
    with old_database.cursor() as cursor:
        cursor.execute("SELECT rule, was FROM tradebot_archive_repairs")
        archived = dict(cursor.fetchall())
    assert archived.keys() == {rule}
    migrate(old_database)


def test_repaired_rows_are_as_the_command_says(
    old_database: BaseDatabaseWrapper,
) -> None:
    for name in ("users_email_lower", "bot_configs_leverage"):
        break_rule(old_database, BREAKS[name])

    check_data(
        old_database,
        *("--repair", "users_email_lower"),
        *("--repair", "bot_configs_leverage"),
    )

    data: Any = rows.read(old_database)
    assert [user["email"] for user in data["users"]] == [
        "ä@example.com",
        "duplicate-2-of-ä@EXAMPLE.com",
    ]
    assert data["bot_configs"][0]["leverage"] == 125


def test_unknown_rule_names_those_there_are(old_database: BaseDatabaseWrapper) -> None:
    from django.core.management import CommandError

    with pytest.raises(CommandError, match="bot_configs_leverage"):
        call_command("check_data", "--repair", "leverage", database=old_database.alias)
