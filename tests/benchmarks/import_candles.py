"""How fast a file of candles is stored, beside executemany.

    python -m tests.with_postgres python -m tests.benchmarks.import_candles [ROWS]

A file of 1,000,000 candles is imported by ``import_candles``, a process of its own,
into an empty database, then once more, where nothing is to be stored. Then as many rows
go in by ``executemany`` alone, without reading or checking a file. At last a year of
minutes is read as columns. Prints seconds and candles a second.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connections  # noqa: E402
from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from tests.databases import scratch_database  # noqa: E402
from tests.processes import ROOT, SECRETS, database_url, environment  # noqa: E402
from trading.candles import Period, candles_read, series_find  # noqa: E402

START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
YEAR = 525_600


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder, scratch_database() as connection:
        file = Path(folder) / "BENCHUSDT-1m-2020-01.csv"
        with file.open("w") as text:
            text.write("open_time,open,high,low,close,volume\n")
            text.writelines(lines(rows))
        manage(connection, "migrate")
        command = ("import_candles", "--market=spot", str(file))
        tell("import_candles", rows, lambda: manage(connection, *command))
        tell("the same again", rows, lambda: manage(connection, *command))
        tell("executemany", rows, lambda: write_rows(connection, rows))
        year = min(rows, YEAR)
        tell("read as columns", year, lambda: read(connection, year))


def lines(rows: int) -> Iterator[str]:
    for number in range(rows):
        price = 40_000 + number % 1000
        time_ms = 1_577_836_800_000 + 60_000 * number
        yield f"{time_ms},{price}.10,{price}.95,{price}.02,{price}.50,12.3456\n"


def manage(connection: BaseDatabaseWrapper, *arguments: str) -> None:
    """Run a command to its end, however long it takes."""
    subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(**SECRETS, DATABASE_URL=database_url(connection)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )


def write_rows(connection: BaseDatabaseWrapper, rows: int) -> None:
    """Store as many rows in another series."""
    numbers = [Decimal(text) for text in ("40000.10", "40000.95", "40000.02", "12.34")]
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO candles VALUES (0, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT DO NOTHING",
            [(START + i * MINUTE, *numbers, numbers[0]) for i in range(rows)],
        )


def read(connection: BaseDatabaseWrapper, rows: int) -> None:
    default = connections["default"]
    connections["default"] = connection
    try:
        series = series_find(market="spot", symbol="BENCHUSDT", interval="1m")
        candles_read(series, Period(START, START + rows * MINUTE))
    finally:
        connections["default"] = default


def tell(what: str, rows: int, work: Callable[[], None]) -> None:
    began = time.monotonic()
    work()
    took = time.monotonic() - began
    sys.stdout.write(f"{what:16} {took:6.1f} s {rows / took:11,.0f} candles/s\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
