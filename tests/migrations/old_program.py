"""Databases as the program before this one leaves them, at each of its revisions.

That program was FastAPI with SQLAlchemy and Alembic, on PostgreSQL only. The tables are
written from ``documented_schema.json``, the catalogue of a live database of it; neither
our migrations nor our models have a part in them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

_CATALOGUES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "documented_schema.json").read_text()
)["states"]
# Each after those that it refers to.
TABLES = ("users", "api_keys", "bot_configs", "bot_states", "trades", "backtests")


@dataclass(frozen=True, slots=True)
class State:
    """A state of an old database; ``heads`` are the rows of its alembic_version."""

    name: str
    heads: tuple[str, ...]

    @property
    def tables(self) -> dict[str, Any]:
        """The documented catalogue, by table; empty at base."""
        tables: dict[str, Any] = _CATALOGUES.get(self.name, {})
        return tables


BASE = State("base", ())
STATES = (BASE, *(State(name, tuple(name.split("+"))) for name in _CATALOGUES))
HEAD = next(state for state in STATES if state.name == "b7e3f2c1a9d8")
TWO_HEADS = next(state for state in STATES if len(state.heads) == 2)

# --- Settings of the program that wrote the rows ----------------------------------

SECRET_KEY = "only in tests: signed the tokens of the old program"
FERNET_KEY = "b25seSBpbiB0ZXN0czogdGhlIG9sZCBwcm9ncmFtJ3M="

# --- What its users know: the rows have it hashed or encrypted ---------------------

ADA, JUERGEN, BOB = (
    "Ada.Lovelace@example.com",
    "jürgen@bücher.example.com",
    "bob@example.com",
)
INACTIVE = "Gone@example.com"
PASSWORDS = {
    ADA: "Correct-Horse-7",
    JUERGEN: "Pölster & Stühle 9 ",  # with the space
    # passlib looked at the first 72 bytes only.
    BOB: f"Long-1{'ü' * 40} and what came after 72 bytes",
    INACTIVE: "Inactive-Horse-7",
}
# By the id of their row: key and secret.
EXCHANGE_KEYS = {
    2: ("key-of-ada-4711", "secret-of-ada"),
    5: ("key-of-jürgen-0815", "secret-of-jürgen"),
}
RESET_TOKEN = "cmVzZXQtdG9rZW4tb2YtYm9iLW9ubHktaW4tdGVzdHM"

# The keys were used up to these: rows that had the last of them were deleted.
LAST_IDS = {
    "users": 57,
    "api_keys": 9,
    "bot_configs": 31,
    "trades": 90_017,
    "backtests": 13,
}


def build(
    connection: BaseDatabaseWrapper,
    state: State,
    *,
    rows: bool,
    version_table: bool = True,
) -> None:
    """Make the database of the old program at ``state`` in an empty database.

    ``rows`` puts some into every table that there is. Without ``version_table`` the
    database is one that Alembic has never seen; the program leaves that at base only.
    """
    with connection.cursor() as cursor:
        if version_table:
            cursor.execute(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
            for head in state.heads:
                cursor.execute("INSERT INTO alembic_version VALUES (%s)", [head])
        for table in TABLES:
            if table in state.tables:
                for statement in _ddl(table, state.tables[table]):
                    cursor.execute(statement)
                if rows:
                    insert(cursor, table, state.tables[table])


def _ddl(table: str, documented: dict[str, Any]) -> list[str]:
    """Return the statements for a table in the words that SQLAlchemy uses."""
    parts = []
    for column in documented["columns"]:
        serial = (column["default"] or "").startswith("nextval(")
        part = f'"{column["name"]}" {"SERIAL" if serial else column["type"]}'
        if column["default"] and not serial:
            part += f" DEFAULT {column['default']}"
        parts.append(part if column["null"] else f"{part} NOT NULL")
    parts += [
        f"CONSTRAINT {each['name']} {each['definition']}"
        for each in documented["constraints"]
    ]
    return [
        f"CREATE TABLE {table} ({', '.join(parts)})",
        *(
            f"CREATE {'UNIQUE ' if index['unique'] else ''}INDEX {index['name']} "
            f"ON {table} ({', '.join(index['columns'])})"
            for index in documented["indexes"]
        ),
    ]


def insert(cursor: Any, table: str, documented: dict[str, Any]) -> None:
    """Put the rows into a table, as far as it has columns for them."""
    columns = {column["name"] for column in documented["columns"]}
    for row in _ROWS[table]:
        there = {name: value for name, value in row.items() if name in columns}
        names = ", ".join(f'"{name}"' for name in there)
        marks = ", ".join(["%s"] * len(there))
        cursor.execute(
            f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
            list(there.values()),
        )
    if table in LAST_IDS:
        cursor.execute("SELECT setval(%s, %s)", [f"{table}_id_seq", LAST_IDS[table]])


# --- The rows ---------------------------------------------------------------------
# Columns that a state does not have yet are left out. Numbers, times and JSON are the
# texts that the program sent.

_EXACT = "12345678.123456789012345678"
_BOT = {
    "timeframe": "1h",
    "initial_capital": "1000",
    "stop_loss_perc": "2.0",
    "take_profit_perc": "3.50",
    "ema_fast": 9,
    "ema_slow": 21,
    "rsi_period": 14,
    "rsi_oversold": 30,
    "rsi_overbought": 70,
    "created_at": "2025-05-23 06:00:00.000001+00",
    "updated_at": "2025-06-01 12:00:00+00",
}
_TRADE = {
    "bot_config_id": 4,
    "user_id": 3,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "order_type": "MARKET",
    "price": _EXACT,
    "quantity_filled": "0.00100000",
    "quote_quantity_filled": "12345.678123456789012345678",
}
_BACKTEST = {
    "symbol": "BTCUSDT",
    "interval": "1h",
    "start_date": "2025-01-01",
    "end_date": "2025-02-01",
    "initial_capital": 1000.0,
    "final_capital": 1001.5000000000001,
    "total_return": 0.15,
    "total_trades": 2,
    "winning_trades": 1,
    "losing_trades": 1,
    "win_rate": 50.0,
    "total_fees": 0.1 + 0.2,
    "avg_profit": 0.75,
    "test_mode": "false",
    "created_at": "2025-08-09 10:11:12.131415+00",
}
_ROWS: dict[str, list[dict[str, Any]]] = {
    "users": [
        {
            "id": 3,
            "email": ADA,
            "hashed_password": (
                "$2b$12$SbECm62yJAItznIFCupu4etX8TSudBuoZ7e9lE00TxKmxzkf8GX5."
            ),
            "is_active": True,
            "created_at": "2025-05-23 01:02:03.456789+00",
            "updated_at": "2025-05-23 01:02:03.456789+00",
        },
        {
            "id": 7,
            "email": JUERGEN,
            "hashed_password": (
                "$2b$12$hO6OVzFmM0AGAWPKXDtiHeMpCUiNshJ4x1ez7haR0qtJoS1JW.GgG"
            ),
            "is_active": True,
            "created_at": "2025-06-01 00:00:00+00",
            "updated_at": "2025-10-26 01:30:00+00",
        },
        {
            "id": 8,
            "email": BOB,
            "hashed_password": (
                "$2b$12$WfPlaJYAMsKwgTKlKgfUS./cX3wkRP1dSfz9d0jrzL6L3BiRDFo7S"
            ),
            "is_active": True,
            "reset_token": hashlib.sha256(RESET_TOKEN.encode()).hexdigest(),
            "reset_token_expires": "2025-10-30 12:00:00.5+00",
        },
        {
            "id": 40,
            "email": INACTIVE,
            "hashed_password": (
                "$2b$12$QCj.2t2vArGq0Mhofnt6.Ow3b6LfLOII06YGSQ088yzsxsyBbKlym"
            ),
            "is_active": None,
        },
    ],
    "api_keys": [
        {
            "id": 2,
            "user_id": 3,
            "encrypted_api_key": (
                "gAAAAABrB6hxGJo2AXtrNxxH2et-BEafZGakxeq2u_7JAQcuQH2rxcMzIoba"
                "lqKEzS-J7eYOlW2NjNf8OSlLT06EcHbklhB08w=="
            ),
            "encrypted_secret_key": (
                "gAAAAABrB6hxmx7C3gbq6WhmJoK4eszOO5Uc4nVyt0QIQCr2ocml2-1nVhXe"
                "Db3tOWndAJCc_5uu3vY5c6MxtYzQYAYiZk_BdQ=="
            ),
            "label": "",
            "is_valid": True,
        },
        {
            "id": 5,
            "user_id": 7,
            "encrypted_api_key": (
                "gAAAAABrB6hxdtyV2VaKC-YG-QxDZWDWepksN_sQSJ-yAbhWpE1fxW9zjLss"
                "z1WYcfTfihCoVFvWtaLVwAcsbR8Vhgn1A80-q4Vi95F8ZB5SwKEmuMMUQBE="
            ),
            "encrypted_secret_key": (
                "gAAAAABrB6hxtkc1myehNHLCYQmv0C330Rj3S8f4uoIxV785Hs4-OpZrHeHw"
                "-e8x20Dzd9-xqSYUsIf9PvunGxg3Jc1a1ryxzrhnLOA90vJVPWe2T3HWAVA="
            ),
            "label": "Börse ₿",
            "is_valid": None,
        },
    ],
    "bot_configs": [
        # Older than the late columns, which therefore are NULL.
        {
            **_BOT,
            "id": 4,
            "user_id": 3,
            "name": "BTC/USDT",
            "symbol": "BTC/USDT",
            "is_active": False,
            "strategy": "simple",
        },
        {
            **_BOT,
            "id": 6,
            "user_id": 7,
            "name": "Bot ₿ of 'Jürgen'",
            "symbol": "ETHUSDT",
            "is_active": True,
            "daily_target_perc": "0.30",
            "max_daily_loss_perc": "1e-8",
            "position_size_perc": "10",
            "position_size_fixed": _EXACT,
            "trailing_stop_perc": "0.5",
            "trailing_stop_active": True,
            "max_daily_trades": 10,
            "check_interval_seconds": 60,
            "api_key_id": 5,
            "strategy": "ema",
            "ema_period": 50,
            "custom_ema_fast": 8,
            "custom_ema_slow": 21,
            "custom_rsi_period": 7,
            "custom_rsi_oversold": 35,
            "custom_rsi_overbought": 65,
            "custom_stop_loss": "0.5",
            "custom_take_profit": "1.50",
            "custom_trailing_stop": "0.3",
            "position_type": "futures",
            "transfer_amount": "10.00000000",
            "auto_transfer_funds": True,
            "leverage": 125,
        },
        # What a PUT with nulls leaves.
        {
            **_BOT,
            "id": 30,
            "user_id": 7,
            "name": "",
            "symbol": "SOLUSDT",
            "is_active": None,
            "initial_capital": None,
            "api_key_id": 5,
            "strategy": "ema",
            "position_type": None,
            "leverage": None,
        },
    ],
    "bot_states": [
        {
            "id": 6,
            "status": "running",
            "in_position": True,
            "entry_price": _EXACT,
            "current_position_size_coins": "0.00100000",
            "daily_pnl": "-0.10",
            "daily_trades_count": 3,
            # The hour that a clock in Berlin had twice that day.
            "last_run_at": "2025-10-26 02:30:00.123456",
            "last_error_message": "line one\nline two: “ü”\t\\",
            "last_updated_at": "2025-10-26 01:30:00.123456+00",
        },
        {"id": 4, "status": None, "in_position": None, "last_updated_at": None},
    ],
    "trades": [
        {
            **_TRADE,
            "id": 11,
            "binance_order_id": "28457",
            "pnl": "0",
            "realized_pnl": f"-{_EXACT}",
            "timestamp": "2025-05-24 10:00:00.123456",
        },
        {**_TRADE, "id": 12, "binance_order_id": None, "timestamp": None},
        {
            **_TRADE,
            "id": 90_001,
            "bot_config_id": 6,
            "user_id": 7,
            "binance_order_id": "28458",
            "side": "SELL",
            "price": "0.000000000000000000000000000001",
            "quantity_filled": "123456789012345678901234567890",
            "commission_amount": "0.00000750",
            "commission_asset": "BNB",
            "timestamp": "2025-10-26 02:30:00",
        },
        # Written by another user into a bot that is not theirs.
        {
            **_TRADE,
            "id": 90_002,
            "bot_config_id": 6,
            "user_id": 3,
            "binance_order_id": "x-ş",
            "timestamp": "1999-12-31 23:59:59.999999",
        },
    ],
    "backtests": [
        {
            **_BACKTEST,
            "id": 1,
            "user_id": 3,
            # As json.dumps writes it, which is what SQLAlchemy sends.
            "parameters": '{"leverage": 1, "ema_fast": 8, "note": "\\u00fc"}',
            "daily_results": (
                '[{"date": "2025-01-02", "pnl_pct": 0.1, "trades": 2, "capital": 1e3}]'
            ),
            "monthly_results": '{"2025-01": {"trades": 2, "pnl_pct": 0.1}}',
        },
        {
            **_BACKTEST,
            "id": 12,
            "user_id": 7,
            # As people write it: doubled keys, white space, long numbers.
            "parameters": (
                '{ "b" : 1,\n\t"a":1.10, "b": 2, "leverage": 10,'
                f' "ü ₿": [true, null, {_EXACT}], "": {{}} }}'
            ),
            # What SQLAlchemy makes of None: a JSON null, not a NULL.
            "daily_results": "null",
            "monthly_results": None,
            "market_type": "futures",
            "updated_at": None,
        },
    ],
}
