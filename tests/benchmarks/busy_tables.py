"""How long readers and writers of a large table wait while it is migrated.

    python -m tests.with_postgres python -m tests.benchmarks.busy_tables [ROWS [S]]

``trades`` gets 5,000,000 rows at the documented head. 50 reads and 50 writes a second
go on, and a stranger's transaction that has read the table stays open for 30 seconds,
while the migrations of ``trading`` run: once by our executor, once by Django's own.
Prints for each migration the longest wait of a query while it ran, beside the longest
one without migrations; for how long ACCESS EXCLUSIVE was held at a stretch; and how
long after the stranger left the run ended.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402

from tests.benchmarks.load import Load, stranger, watching  # noqa: E402
from tests.databases import scratch_database  # noqa: E402
from tests.migrations.chain import DOCUMENTED_HEAD  # noqa: E402
from tests.processes import ROOT, database_url, environment  # noqa: E402
from tests.schema.starts import DJANGOS, OURS  # noqa: E402

FILL = """
    INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, price,
                        quantity_filled, quote_quantity_filled, timestamp)
    SELECT 1, 1, 'BTCUSDT', 'BUY', 'MARKET', 50000.5, 0.001, 50.0005,
           timestamp '2025-01-01' + n * interval '1 second'
    FROM generate_series(1, %s) n
"""
READ = "SELECT price FROM trades WHERE id = %s"
WRITE = """
    INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, price,
                        quantity_filled, quote_quantity_filled)
    VALUES (1, 1, 'BTCUSDT', 'SELL', 'MARKET', 1, 1, 1)
"""


def migrate(url: str, command: list[str]) -> list[tuple[str, float, float]]:
    """Run the migrations of trading; return each with its start and end."""
    process = subprocess.Popen(
        [sys.executable, "-u", *command, "trading"],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="tests.settings", DATABASE_URL=url),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdout is not None
    text, stretches, began, name = b"", [], 0.0, ""
    while byte := process.stdout.read(1):
        text += byte
        if text.endswith(b"..."):
            name, began = text.split()[-1].decode().strip("."), time.monotonic()
        elif text.endswith(b"OK\n") and name:
            stretches.append((name, began, time.monotonic()))
            name = ""
    if process.wait() != 0:
        sys.exit(text.decode())
    return stretches


def measure(url: str, name: str, command: list[str], rows: int, seconds: float) -> None:
    with (
        Load(url, read=READ, write=WRITE, rows=rows) as load,
        watching(url, "trades") as held,
    ):
        began = time.monotonic()
        time.sleep(min(20, seconds))
        control = load.longest_ms(began, time.monotonic())
        thread = stranger(url, "trades", seconds)
        left = time.monotonic() + seconds
        stretches = migrate(url, command)
        after = time.monotonic() - left
        thread.join()
        time.sleep(1)
    sys.stdout.write(
        f"{name}: longest wait without migrations {control:.0f} ms; ACCESS EXCLUSIVE "
        f"held for {held[0]:.0f} ms at most; ended {after:.1f} s after the stranger\n"
    )
    for migration, start, end in stretches:
        sys.stdout.write(
            f"    {migration:45} {end - start:7.1f} s, longest wait "
            f"{load.longest_ms(start, end):8.0f} ms\n"
        )
    sys.stdout.flush()


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    with scratch_database() as connection:
        for target in DOCUMENTED_HEAD:
            call_command("migrate", *target, database=connection.alias, verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO users (email, hashed_password) VALUES ('a', '')"
            )
            cursor.execute(
                "INSERT INTO bot_configs (user_id, name, symbol, timeframe, "
                "stop_loss_perc, take_profit_perc, ema_fast, ema_slow, rsi_period, "
                "rsi_oversold, rsi_overbought, strategy) VALUES "
                "(1, 'a', 'BTCUSDT', '1h', 1, 1, 9, 21, 14, 30, 70, 'ema')"
            )
            cursor.execute(FILL, [rows])
            cursor.execute("VACUUM ANALYZE trades")
        sys.stdout.write(f"trades has {rows:,} rows\n")
        template = str(connection.settings_dict["NAME"])
        connection.close()
        for name, command in (("ours", OURS), ("Django's executor", DJANGOS)):
            with scratch_database(template=template) as copy:
                measure(database_url(copy), name, command, rows, seconds)


if __name__ == "__main__":
    main()
