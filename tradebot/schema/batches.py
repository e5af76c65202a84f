"""Change many rows in short transactions, so that nobody waits for long."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import Literal

from tradebot.schema.steps import Batches

# A batch grows or shrinks towards this time: rows are locked for as long.
TARGET_S = 0.2
FIRST_SIZE, LARGEST_SIZE = 1_000, 100_000

Show = Callable[[str], None]


def run_batches(
    connection: BaseDatabaseWrapper, step: Batches, begin: str, show: Show
) -> None:
    """Change the rows that are left, batch by batch along the key.

    ``begin`` is executed at the start of each transaction; ``show`` gets the progress.
    Each batch commits by itself: after a crash the next run finds what is left.
    """
    table, key = map(connection.ops.quote_name, (step.table, step.key))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE {step.todo}")
        (total,) = cursor.fetchone()
    done, size, last = 0, FIRST_SIZE, None
    began = time.monotonic()
    while True:
        after = "TRUE" if last is None else f"{key} > {last}"
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT max({key}), count(*) FROM (SELECT {key} FROM {table} "
                f"WHERE {after} AND ({step.todo}) ORDER BY {key} LIMIT {size}) AS batch"
            )
            upto, count = cursor.fetchone()
        if not count:
            return
        started = time.monotonic()
        upto = Literal(upto).as_string(None)
        rows = f"{after} AND {key} <= {upto} AND ({step.todo})"
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute(f"{begin};\n{step.statement.format(rows=rows)}")
        now = time.monotonic()
        done, last = done + count, upto
        show(f"{step.table}: {_progress(done, max(done, total), now - began)}")
        factor = min(4.0, max(0.25, TARGET_S / max(now - started, 0.001)))
        size = min(LARGEST_SIZE, max(1, round(size * factor)))


def _progress(done: int, total: int, seconds: float) -> str:
    rate = done / max(seconds, 0.001)
    left = (total - done) / rate
    return (
        f"{done:,} of {total:,} rows ({done / total:.0%}), "
        f"{rate:,.0f} rows/s, {left:.0f} s left"
    )
