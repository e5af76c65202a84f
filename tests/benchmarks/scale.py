"""How a large database of the old program is taken over, migrated and given back.

    python -m tests.with_postgres python -m tests.benchmarks.scale [TRADES [BACKTESTS]]

The database of the program before this one gets 5,000,000 trades and 1,000,000
backtests of 1,000 users with 25 bots each. It is taken over, migrated and given back,
and taken over and migrated again, by commands that are processes of their own; before
that comes the way back from the documented head: once to where both tables are gone,
once to where a column is. Meanwhile 20 reads and 20 writes a second go on, but where
their tables are gone.

Prints for each step the time, the longest wait of a query, beside the longest one in
another database of the server at that time, for how long ACCESS EXCLUSIVE was held at a
stretch on one of the two tables, and the most memory that the process had, beside that
for a tenth of the rows; and the migrations that took more than a second. Then whether
each row is as it was, as text on the way back, and none that was written meanwhile is
missing.

It takes half an hour and 15 GB on the disk of the server.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import LiteralString

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from tests.benchmarks.load import Load, watching  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.migrations import old_program  # noqa: E402
from tests.migrations.adoptions import FILLED  # noqa: E402
from tests.processes import ROOT, database_url, environment  # noqa: E402

USERS, BOTS_EACH = 1_000, 25
RATE_HZ = 10  # of the reads and of the writes of each of the two tables
BUSY, QUIET = True, False
# The commands, and whether the tables are read and written meanwhile: not where they
# are dropped and come back.
STEPS = (
    (BUSY, ("adopt --plan", "adopt", "migrate", "drift", "unadopt", "adopt")),
    (QUIET, ("migrate e2cbe40c4a2c", "migrate b7e3f2c1a9d8")),
    (BUSY, ("migrate 8dff47bdfa5f", "migrate")),
)
AT_DOCUMENTED_HEAD = ("unadopt", "migrate b7e3f2c1a9d8")

# By the table: the rows of ids 1 to %s. Some NULLs are filled by the migrations.
FILL: dict[str, LiteralString] = {
    "users": """
        INSERT INTO users (email, hashed_password, is_active, created_at)
        SELECT 'user-' || n || '@example.com', '$2b$12$' || repeat('x', 53),
               CASE WHEN n %% 50 > 0 THEN true END,
               timestamptz '2025-01-01Z' + n * interval '1 hour'
        FROM generate_series(1, %s) n
    """,
    "api_keys": """
        INSERT INTO api_keys (user_id, encrypted_api_key, encrypted_secret_key, label)
        SELECT n, repeat(md5(n::text), 4), repeat(md5((-n)::text), 4), 'main'
        FROM generate_series(1, %s) n
    """,
    "bot_configs": """
        INSERT INTO bot_configs (user_id, api_key_id, name, symbol, timeframe, strategy,
            stop_loss_perc, take_profit_perc, ema_fast, ema_slow, rsi_period,
            rsi_oversold, rsi_overbought, leverage, position_type)
        SELECT 1 + (n - 1) / 25, 1 + (n - 1) / 25, 'Bot ' || n, 'BTCUSDT', '1h', 'ema',
               2.0, 3.50, 9, 21, 14, 30, 70, 1 + n %% 125, 'futures'
        FROM generate_series(1, %s) n
    """,
    "bot_states": """
        INSERT INTO bot_states (id, status, daily_pnl, last_run_at)
        SELECT n, 'running', -0.10, timestamp '2025-10-26' + n * interval '1 second'
        FROM generate_series(1, %s) n
    """,
    "trades": """
        INSERT INTO trades (bot_config_id, user_id, binance_order_id, symbol, side,
            order_type, price, quantity_filled, quote_quantity_filled,
            commission_amount, commission_asset, pnl, realized_pnl, timestamp)
        SELECT 1 + n %% 25000, 1 + n %% 25000 / 25, (28000000000 + n)::text,
               'BTCUSDT', CASE WHEN n %% 2 > 0 THEN 'BUY' ELSE 'SELL' END, 'MARKET',
               50000.12345678 + n %% 9973, 0.00100000 * (1 + n %% 7),
               12345678.123456789012345678, 0.00000750, 'BNB', 0,
               CASE WHEN n %% 2 = 0 THEN 0.12 * (n %% 401 - 200) END,
               CASE WHEN n %% 100 > 0
                    THEN timestamp '2025-01-01' + n * interval '3 seconds' END
        FROM generate_series(1, %s) n
    """,
    "backtests": """
        INSERT INTO backtests (user_id, symbol, interval, start_date, end_date,
            parameters, initial_capital, final_capital, total_return, total_trades,
            winning_trades, losing_trades, win_rate, total_fees, avg_profit,
            daily_results, monthly_results, test_mode, market_type, created_at)
        SELECT 1 + n %% 1000, 'BTCUSDT', '1h', '2025-01-01', '2025-02-01',
               format('{"symbol": "BTCUSDT", "strategy": "ema", "ema_fast": %%s, '
                      '"ema_slow": 21, "rsi_period": 14, "rsi_oversold": 30, '
                      '"rsi_overbought": 70, "stop_loss_perc": 2.0, '
                      '"take_profit_perc": 3.50, "leverage": 1, "note": "\\u00fc"}',
                      n %% 20)::json,
               1000, 1000 + n %% 211, 0.1 * (n %% 211), 20, 11, 9, 55, 0.1 + 0.2, 0.75,
               format('[{"date": "2025-01-02", "pnl_pct": %%1$s, "trades": 2, '
                      '"capital": 1.0e3}, {"date": "2025-01-03", "pnl_pct": -%%1$s, '
                      '"trades": 4, "capital": 1001.50}, {"date": "2025-01-04", '
                      '"pnl_pct": 0.0, "trades": 0, "capital": 1001.50}, {"date": '
                      '"2025-01-05", "pnl_pct": %%1$s, "trades": 14, "capital": 1003}]',
                      0.01 * (n %% 89))::json,
               CASE WHEN n %% 3 > 0
                    THEN '{"2025-01": {"trades": 20, "pnl_pct": 0.1}}'::json END,
               'false', CASE WHEN n %% 4 > 0 THEN 'spot' ELSE 'futures' END,
               CASE WHEN n %% 100 > 0
                    THEN timestamptz '2025-01-01Z' + n * interval '10 seconds' END
        FROM generate_series(1, %s) n
    """,
}
READ: dict[str, LiteralString] = {
    "trades": "SELECT price, timestamp FROM trades WHERE id = %s",
    "backtests": "SELECT parameters, win_rate FROM backtests WHERE id = %s",
}
WRITE: dict[str, LiteralString] = {
    "trades": """
        INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, price,
                            quantity_filled, quote_quantity_filled)
        VALUES (7, 1, 'BTCUSDT', 'SELL', 'MARKET', 1, 1, 1)
    """,
    "backtests": """
        INSERT INTO backtests (user_id, symbol, interval, start_date, end_date,
            parameters, initial_capital, final_capital, total_return, total_trades,
            winning_trades, losing_trades, win_rate, total_fees, avg_profit, test_mode)
        VALUES (1, 'ETHUSDT', '1d', '2025-01-01', '2025-02-01', '{"b": 1, "a": 1}',
                1, 1, 0, 0, 0, 0, 0, 0, 0, 'false')
    """,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a step cost: seconds, ms, and MB of its process."""

    step: str
    seconds: float
    wait_ms: float | None
    """None where there were no readers and writers."""
    elsewhere_ms: float
    held_ms: float
    memory_mb: float
    slow: list[tuple[str, float]] = field(default_factory=list)
    """The migrations that took more than a second."""


def build(connection: BaseDatabaseWrapper, rows: dict[str, int]) -> None:
    old_program.build(connection, old_program.HEAD, rows=False)
    with connection.cursor() as cursor:
        for table, statement in FILL.items():
            cursor.execute(statement, [rows[table]])
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("SELECT pg_size_pretty(pg_database_size(current_database()))")
        (size,) = cursor.fetchone()
    _say(f"{rows['trades']:,} trades, {rows['backtests']:,} backtests: {size}")


def checksums(
    connection: BaseDatabaseWrapper, rows: dict[str, int], *, as_written: bool
) -> dict[str, tuple[int, int]]:
    """Return the count and a sum over the first rows of each table.

    As they were written, or as what they mean: json as jsonb, times as instants, and
    without the columns whose NULLs the migrations fill.
    """
    found = {}
    for table, last in rows.items():
        values = []
        for column in old_program.HEAD.tables[table]["columns"]:
            name, type_ = f'"{column["name"]}"', column["type"]
            if not as_written:
                if (table, column["name"]) in FILLED:
                    continue
                if type_ == "json":
                    name += "::jsonb"
                if type_.startswith("timestamp"):
                    name += "::timestamptz"
            values.append(f"{name}::text")
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.execute(
                "SELECT count(*), sum(hashtextextended("  # noqa: S608  # our names
                f"(ROW({', '.join(values)}))::text, 0)::numeric) "
                f"FROM {table} WHERE id <= {last}"
            )
            found[table] = cursor.fetchone()
    return found


def run(url: str, command: str) -> tuple[float, float]:
    """Run a command; return the seconds, and the most MB that it had."""
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "manage.py", *command.split()],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="tests.settings", DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # Not ru_maxrss: a process inherits that of the one which started it.
    status, memory_kb = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        if peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text()):
            memory_kb = int(peak[1])
        time.sleep(0.02)
    seconds = time.monotonic() - began
    output, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{command} ended with {process.returncode}:\n{output}")
    return seconds, memory_kb / 1024


@contextmanager
def readers_and_writers(url: str, rows: dict[str, int]) -> Iterator[list[Load]]:
    with ExitStack() as stack:
        loads = [
            stack.enter_context(
                Load(
                    url,
                    read=READ[table],
                    write=WRITE[table],
                    rows=rows[table],
                    rate_hz=RATE_HZ,
                )
            )
            for table in READ
        ]
        yield loads
    for load, table in zip(loads, READ, strict=True):
        _say(f"{table}: {len(load.errors)} queries failed")
        for error in sorted(set(load.errors)):
            _say(f"    {error}")


@contextmanager
def elsewhere() -> Iterator[Load]:
    """Read and write a table of a database to which nothing else happens."""
    with scratch_database() as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE quiet (id serial PRIMARY KEY, value numeric)")
            cursor.execute(
                "INSERT INTO quiet (value) SELECT n FROM generate_series(1, 1000) n"
            )
        with Load(
            database_url(connection),
            read="SELECT value FROM quiet WHERE id = %s",
            write="INSERT INTO quiet (value) VALUES (1)",
            rows=1000,
            rate_hz=2 * RATE_HZ,
        ) as load:
            yield load


def measure(
    connection: BaseDatabaseWrapper, command: str, loads: Sequence[Load], quiet: Load
) -> Result:
    url = database_url(connection)
    with ExitStack() as stack:
        held = [stack.enter_context(watching(url, table)) for table in READ]
        began = time.monotonic()
        seconds, memory_mb = run(url, command)
        ended = time.monotonic()
        time.sleep(1)
    result = Result(
        step=command,
        seconds=seconds,
        wait_ms=max((load.longest_ms(began, ended) for load in loads), default=None),
        elsewhere_ms=quiet.longest_ms(began, ended),
        held_ms=max(each[0] for each in held),
        memory_mb=memory_mb,
        slow=_slow_migrations(connection, time.monotonic() - began),
    )
    _say(_line(result))
    return result


def play(connection: BaseDatabaseWrapper, rows: dict[str, int]) -> list[Result]:
    """Do all steps on one database."""
    build(connection, rows)
    meant = checksums(connection, rows, as_written=False)
    written = checksums(connection, rows, as_written=True)
    results, inserted = [], dict.fromkeys(READ, 0)
    for busy, commands in STEPS:
        with ExitStack() as stack:
            quiet, loads = stack.enter_context(elsewhere()), []
            if busy:
                url = database_url(connection)
                loads = stack.enter_context(readers_and_writers(url, rows))
            for command in commands:
                results.append(measure(connection, command, loads, quiet))
                if command in AT_DOCUMENTED_HEAD:
                    back = checksums(connection, rows, as_written=True)
                    _tell(f"after {command}, as written", written, back)
        for table, load in zip(READ, loads, strict=False):
            inserted[table] += load.written
    _tell("at the head", meant, checksums(connection, rows, as_written=False))
    for table, count in inserted.items():
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM {table} WHERE id > %s",  # noqa: S608  # ours
                [rows[table]],
            )
            (there,) = cursor.fetchone()
        _say(f"{table}: {count:,} rows written meanwhile, {there:,} are there")
    return results


def main() -> None:
    trades = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    backtests = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    played = []
    for part in (1, 10):
        bots = USERS * BOTS_EACH
        rows = {
            "users": USERS, "api_keys": USERS, "bot_configs": bots, "bot_states": bots,
            "trades": trades // part, "backtests": backtests // part,
        }  # fmt: skip
        with scratch_database() as connection:
            played.append(play(connection, rows))
    _say(
        f"\n{'':24} {'s':>8} {'wait ms':>8} {'elsewhere':>9} {'held ms':>8} {'MB':>6} "
        f"{'of 1/10':>8}"
    )
    for result, tenth in zip(*played, strict=True):
        _say(f"{_line(result)} {tenth.memory_mb:8.0f}")
        for name, seconds in result.slow:
            _say(f"    {name:55} {seconds:8.1f}")


def _line(result: Result) -> str:
    wait = "-" if result.wait_ms is None else f"{result.wait_ms:.0f}"
    return (
        f"{result.step:24} {result.seconds:8.1f} {wait:>8} "
        f"{result.elsewhere_ms:9.0f} {result.held_ms:8.0f} {result.memory_mb:6.0f}"
    )


def _tell(
    when: str, before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]
) -> None:
    changed = [table for table in before if before[table] != after[table]]
    _say(f"rows {when}: {', '.join(changed) + ' DIFFER' if changed else 'as before'}")


def _slow_migrations(
    connection: BaseDatabaseWrapper, age_s: float
) -> list[tuple[str, float]]:
    """Return the migrations of the last seconds that took more than one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('tradebot_schema_events') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return []
        cursor.execute(
            "SELECT action || ' ' || app || '.' || name, seconds "
            "FROM tradebot_schema_events WHERE seconds > 1 "
            "AND at > clock_timestamp() - %s * interval '1 second' ORDER BY id",
            [age_s],
        )
        return list(cursor.fetchall())


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
