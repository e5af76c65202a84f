"""A table in use: the migration lets others pass, says whom it waits for, gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import SECRETS, database_url, manage

pytestmark = pytest.mark.postgresql


@pytest.fixture
def url(migrated_database: BaseDatabaseWrapper) -> str:
    """The URL of a database whose trades have been migrated but for the last step."""
    alias = migrated_database.alias
    call_command("migrate", "trading", "0003", database=alias, verbosity=0)
    return database_url(migrated_database)


@contextmanager
def reading(url: str) -> Iterator[psycopg.Connection]:
    """Keep a transaction open that has read the table."""
    with psycopg.connect(url) as connection:
        connection.execute("SELECT count(*) FROM trades")
        yield connection


@pytest.mark.long
def test_run_that_gives_up_names_who_is_in_the_way(url: str) -> None:
    with reading(url) as stranger:
        result = manage(
            "migrate", **SECRETS, DATABASE_URL=url, MIGRATION_LOCK_WAIT_S="1"
        )
        pid = stranger.info.backend_pid

    assert result.returncode == 35
    assert f"trades is held by pid {pid} (user " in result.stderr
    assert "idle in transaction: SELECT count(*) FROM trades)" in result.stderr
    assert "Waiting for trades, held by pid" in result.stdout
    assert manage("migrate", **SECRETS, DATABASE_URL=url).returncode == 0


@pytest.mark.long
@pytest.mark.parametrize("mode", ["ACCESS SHARE", "ACCESS EXCLUSIVE"])
def test_who_holds_a_table_that_is_only_referred_to_is_named(
    mode: str, migrated_database: BaseDatabaseWrapper
) -> None:
    """A table that goes takes a foreign key with it, of which the SQL says nothing."""
    url = database_url(migrated_database)
    back = manage("migrate", "backtests", "0012", **SECRETS, DATABASE_URL=url)
    assert back.returncode == 0
    with psycopg.connect(url) as stranger:
        stranger.execute(f"LOCK TABLE backtests IN {mode} MODE")
        result = manage(
            *("migrate", "backtests", "0010"),
            **SECRETS,
            DATABASE_URL=url,
            MIGRATION_LOCK_WAIT_S="1",
        )
        pid = stranger.info.backend_pid

    assert result.returncode == 35
    # Where it is all theirs, its constraints cannot be read: of users nothing is known.
    tables = "backtest_runs, backtests" + ", users" * (mode == "ACCESS SHARE")
    assert f" {tables} is held by pid {pid}" in result.stderr
    assert f"Waiting for {tables}, held by pid {pid}" in result.stdout


@pytest.mark.long
def test_who_has_a_table_that_is_looked_at_is_named(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    """What a migration drops is counted before: that waits no longer than the rest."""
    url = database_url(migrated_database)
    with psycopg.connect(url) as stranger:
        stranger.execute("LOCK TABLE backtests IN ACCESS EXCLUSIVE MODE")
        result = manage(
            *("migrate", "backtests", "0012"),
            **SECRETS,
            DATABASE_URL=url,
            MIGRATION_LOCK_WAIT_S="2",
        )
        pid = stranger.info.backend_pid

    assert result.returncode == 35
    assert f" backtests is held by pid {pid}" in result.stderr
    assert f"Waiting for backtests, held by pid {pid}" in result.stderr


def test_others_pass_while_a_run_waits_and_it_goes_on_afterwards(url: str) -> None:
    passed = 0
    with reading(url):
        run = threading.Thread(
            target=lambda: results.append(
                manage("migrate", **SECRETS, DATABASE_URL=url)
            )
        )
        results: list[object] = []
        run.start()
        with psycopg.connect(url, autocommit=True) as other:
            other.execute("SET statement_timeout = '2s'")
            until = time.monotonic() + 5
            while time.monotonic() < until:
                # It would wait for as long as the stranger stays, were the lock of
                # the migration waiting before it.
                other.execute("SELECT count(*) FROM trades")
                passed += 1
    run.join()

    assert passed > 100
    assert [result.returncode for result in results] == [0]  # type: ignore[attr-defined]


@contextmanager
def vacuumed(url: str) -> Iterator[int]:
    """Have the server vacuum the table, slower than any test; yield the process id."""
    slow = "autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1"
    often = "autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")  # without a bot
        connection.execute(
            "INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, "
            "price, quantity_filled, quote_quantity_filled) "
            "SELECT 1, 1, 'BTCUSDT', 'BUY', 'MARKET', 1, 1, 1 "
            "FROM generate_series(1, 50000)"
        )
        connection.execute("DELETE FROM trades")
        connection.execute(f"ALTER TABLE trades SET ({slow}, {often})")
        connection.execute("ALTER SYSTEM SET autovacuum_naptime = '1s'")
        connection.execute("SELECT pg_reload_conf()")
        try:
            until = time.monotonic() + 100
            pid = None
            while pid is None and time.monotonic() < until:
                time.sleep(0.1)
                pid = connection.execute(
                    "SELECT pid FROM pg_stat_progress_vacuum "
                    "WHERE relid = 'trades'::regclass"
                ).fetchone()
            assert pid, "the server has not begun"
            yield pid[0]
        finally:
            connection.execute("ALTER SYSTEM RESET autovacuum_naptime")
            connection.execute("SELECT pg_reload_conf()")


@pytest.mark.long
def test_autovacuum_is_stopped_where_the_run_may(url: str) -> None:
    with vacuumed(url) as pid:
        began = time.monotonic()
        result = manage("migrate", **SECRETS, DATABASE_URL=url)
        took = time.monotonic() - began

    assert result.returncode == 0, result.stderr
    assert f"Stopped the autovacuum of pid {pid}, which starts anew" in result.stdout
    assert took < 30
