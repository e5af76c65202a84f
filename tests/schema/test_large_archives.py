"""Large archives are given back without a look at all rows again and again."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from tradebot.schema import give_back
from tradebot.schema.batches import run_batches

pytestmark = pytest.mark.postgresql
ROWS = 20_000


def fill(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO users (email, hashed_password) VALUES ('a', 'x')")
        cursor.execute(
            "INSERT INTO bot_configs (user_id, name, symbol, timeframe, strategy, "
            "stop_loss_perc, take_profit_perc, ema_fast, ema_slow, rsi_period, "
            "rsi_oversold, rsi_overbought) "
            "VALUES (1, 'a', 'BTCUSDT', '1h', 'ema', 1, 1, 9, 21, 14, 30, 70)"
        )
        cursor.execute(
            "INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, "
            "price, quantity_filled, quote_quantity_filled, realized_pnl) "
            "SELECT 1, 1, 'BTCUSDT', 'BUY', 'MARKET', 1, 1, 1, n "
            "FROM generate_series(1, %s) n",
            [ROWS],
        )


def migrate(connection: BaseDatabaseWrapper, target: str) -> None:
    call_command("migrate", target, database=connection.alias, verbosity=0)


def trades(connection: BaseDatabaseWrapper) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(realized_pnl) FROM trades")
        found: tuple[int, int] = cursor.fetchone()
    return found


def test_rows_come_back_neither_by_reading_all_for_a_batch_nor_deleting_each(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(empty_database, "92c67f02186c")
    fill(empty_database)
    before, plans = trades(empty_database), []
    # The column is dropped, and then the table.
    migrate(empty_database, "e2cbe40c4a2c")

    def explained(connection: BaseDatabaseWrapper, step: Any, *arguments: Any) -> None:
        statement = step.statement.format(rows='"id" <= 1000')
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE trades")
            cursor.execute(f"EXPLAIN {statement}")
            plans.append("\n".join(line for (line,) in cursor.fetchall()))
        run_batches(connection, step, *arguments)

    monkeypatch.setattr(give_back, "run_batches", explained)
    with CaptureQueriesContext(empty_database) as queries:
        migrate(empty_database, "92c67f02186c")

    assert trades(empty_database) == before
    (plan,) = (each for each in plans if " trades" in each)
    assert "Seq Scan on trades" not in plan
    deleted = [
        query["sql"]
        for query in queries
        if query["sql"].startswith("DELETE FROM tradebot_archive_")
    ]
    assert deleted == []
