"""What the conversions after the documented head do to rows, there and back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.migrations.chain import Walker
from tradebot.schema.revisions import MigrationKey


@pytest.fixture
def walker(documented_database: BaseDatabaseWrapper) -> Walker:
    """A database at the documented head, with a row in every table."""
    return Walker(documented_database, squashed=False)


def ask(walker: Walker, statement: str) -> Any:
    with walker.connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else None


def later(walker: Walker, app: str, upto: str) -> list[MigrationKey]:
    """Return the migrations after the documented head up to one of an app."""
    plan = walker.plan()
    return [
        key
        for key in plan[: plan.index((app, upto)) + 1]
        if key not in walker.applied()
    ]


# Column and what it is filled with.
FILLED = {
    "users.is_active": False,
    "users.created_at": "2025-03-04",
    "api_keys.is_valid": False,
    "bot_configs.created_at": "2025-03-04",
    "backtests.created_at": "2025-03-04",
    "trades.timestamp": "2025-05-23",
}
# The last of the migrations that fill.
LAST_FILL = ("trading", "0005_fill_trade_timestamp")


def test_nulls_are_filled_and_given_back(walker: Walker) -> None:
    columns = (
        "bot_config_id, user_id, symbol, side, order_type, price, "
        "quantity_filled, quote_quantity_filled"
    )
    ask(walker, f"INSERT INTO trades ({columns}) SELECT {columns} FROM trades")  # noqa: S608
    ask(walker, "UPDATE trades SET timestamp = NULL WHERE id = 2")
    for each in FILLED.keys() - {"trades.timestamp"}:
        table, name = each.split(".")
        ask(walker, f"UPDATE {table} SET {name} = NULL, updated_at = '2025-03-04'")  # noqa: S608
    plan = later(walker, *LAST_FILL)

    walker.forwards(*plan)

    for each, filled in FILLED.items():
        value = _last(walker, each)
        found = str(value)[:10] if isinstance(filled, str) else bool(value)
        assert found == filled, each
    walker.backwards(*reversed(plan))
    assert [_last(walker, each) for each in FILLED] == [None] * len(FILLED)


def _last(walker: Walker, column: str) -> Any:
    """Return the value of a column in the newest row."""
    table, name = column.split(".")
    ((value,),) = ask(walker, f"SELECT {name} FROM {table} ORDER BY id DESC LIMIT 1")  # noqa: S608
    return value


def test_filled_value_that_was_overwritten_stays(walker: Walker) -> None:
    ask(walker, "UPDATE users SET is_active = NULL")
    plan = later(walker, "accounts", "0005_fill_user_columns")

    walker.forwards(*plan)
    ask(walker, "UPDATE users SET is_active = true")
    walker.backwards(*reversed(plan))

    assert [bool(value) for (value,) in ask(walker, "SELECT is_active FROM users")] == [
        True
    ]


@pytest.mark.postgresql
def test_json_as_it_was_written_is_given_back(walker: Walker) -> None:
    written = '{"b":1,  "a": 1.10, "b": 2}'
    ask(walker, f"UPDATE backtests SET parameters = '{written}'")  # noqa: S608
    plan = later(walker, "backtests", "0005_convert_backtest_json")
    text = "SELECT parameters::text FROM backtests"

    walker.forwards(*plan)
    assert ask(walker, text) == [('{"a": 1.10, "b": 2}',)]
    found = ask(
        walker, "SELECT count(*) FROM backtests WHERE parameters @> '{\"b\": 2}'"
    )
    assert found == [(1,)]
    walker.backwards(*reversed(plan))
    assert ask(walker, text) == [(written,)]

    walker.forwards(*plan)
    ask(walker, "UPDATE backtests SET parameters = '{\"new\": 1}'")
    walker.backwards(*reversed(plan))
    assert json.loads(ask(walker, text)[0][0]) == {"new": 1}


@pytest.mark.postgresql
def test_row_written_during_the_conversion_of_json_is_converted(
    walker: Walker,
) -> None:
    """A writer of the old program comes between the trigger and the swap."""
    plan = later(walker, "backtests", "0005_convert_backtest_json")
    columns = [
        name
        for (name,) in ask(
            walker,
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_name = 'backtests' AND column_name <> 'id'",
        )
    ]
    copy = f"INSERT INTO backtests ({', '.join(columns)}) SELECT {', '.join(columns)} "
    written = False

    def write(execute: Any, sql: str, *args: Any) -> Any:
        nonlocal written
        result = execute(sql, *args)
        if "CREATE OR REPLACE TRIGGER" in sql and not written:
            written = True
            execute(f"{copy} FROM backtests WHERE id = 1", None, *args[1:])
        return result

    with walker.connection.execute_wrapper(write):
        walker.forwards(*plan)

    assert written
    assert ask(walker, "SELECT count(DISTINCT parameters) FROM backtests") == [(1,)]
    assert ask(walker, "SELECT count(*) FROM backtests") == [(2,)]


@pytest.mark.postgresql
@pytest.mark.parametrize("there_and_back", [False, True])
def test_next_key_follows_the_highest(there_and_back: bool, walker: Walker) -> None:
    ask(walker, "UPDATE users SET id = id")  # the table is there
    ask(walker, "INSERT INTO users (id, email, hashed_password) VALUES (70, 'b', '')")
    plan = later(walker, "accounts", "0004_convert_user_key_to_identity")

    walker.forwards(*plan)
    if there_and_back:
        walker.backwards(*reversed(plan))

    new = "INSERT INTO users (email, hashed_password) VALUES ('c', '') RETURNING id"
    assert ask(walker, new) == [(71,)]
    (default,) = ask(
        walker,
        "SELECT column_default, is_identity FROM information_schema.columns "
        "WHERE table_name = 'users' AND column_name = 'id'",
    )
    assert default == (
        ("nextval('users_id_seq'::regclass)", "NO") if there_and_back else (None, "YES")
    )


ORDER_ID_UNIQUE = ("trading", "0010_alter_trade_order_id_unique")


def test_order_ids_that_only_the_later_constraint_allows_are_told_apart_on_the_way_back(
    walker: Walker,
) -> None:
    plan = later(walker, *ORDER_ID_UNIQUE)
    walker.forwards(*plan)
    columns = (
        "bot_config_id, user_id, side, order_type, price, quantity_filled, "
        "quote_quantity_filled, timestamp"
    )
    orders = [("o-1", "ETHUSDT"), ("o-2", "ETHUSDT"), (None, "ETHUSDT")]
    orders += [("o-1", "BNBUSDT"), ("o-1@4", "BTCUSDT"), (None, "ETHUSDT")]
    for order_id, symbol in orders:
        id_ = "NULL" if order_id is None else f"'{order_id}'"
        ask(
            walker,
            f"INSERT INTO trades (binance_order_id, symbol, {columns}) "  # noqa: S608
            f"SELECT {id_}, '{symbol}', {columns} FROM trades WHERE id = 1",
        )
    before = _order_ids(walker)
    assert before == {1: "o-1", **dict(enumerate((one for one, _ in orders), 2))}

    walker.backwards(ORDER_ID_UNIQUE)

    assert _order_ids(walker) == before | {2: "o-1@2", 5: "o-1@5"}
    with pytest.raises(IntegrityError), transaction.atomic(walker.connection.alias):
        ask(walker, "UPDATE trades SET binance_order_id = 'o-1' WHERE id = 3")
    # Another takes the place of one of them.
    ask(walker, "UPDATE trades SET binance_order_id = 'gone' WHERE id = 1")
    ask(
        walker,
        "UPDATE trades SET binance_order_id = 'o-1', symbol = 'BNBUSDT' WHERE id = 3",
    )

    walker.forwards(ORDER_ID_UNIQUE)

    assert _order_ids(walker) == before | {1: "gone", 3: "o-1", 5: "o-1@5"}
    with pytest.raises(IntegrityError), transaction.atomic(walker.connection.alias):
        ask(
            walker,
            "UPDATE trades SET binance_order_id = 'o-1', symbol = 'ETHUSDT' "
            "WHERE id = 1",
        )


def _order_ids(walker: Walker) -> dict[int, str | None]:
    return dict(ask(walker, "SELECT id, binance_order_id FROM trades ORDER BY id"))


@pytest.mark.sqlite
def test_addresses_are_found_in_any_case_after_lower_became_that_of_unicode(
    walker: Walker,
) -> None:
    walker.forwards(*later(walker, "accounts", "0009_create_rate_limit_table"))
    set_function = walker.connection.connection.create_function

    def ascii_lower(text: str) -> str:
        return text.encode().lower().decode()

    set_function("lower", 1, ascii_lower, deterministic=True)  # as SQLite's own
    ask(walker, "UPDATE users SET email = 'Ömer@example.com'")
    set_function("lower", 1, str.lower, deterministic=True)
    found = "SELECT id FROM users WHERE lower(email) = 'ömer@example.com'"
    assert ask(walker, found) == []

    walker.forwards(("accounts", "0010_alter_user_email_lower_on_sqlite"))

    assert len(ask(walker, found)) == 1
    assert ask(walker, "PRAGMA integrity_check") == [("ok",)]
