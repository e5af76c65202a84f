"""How many of many concurrent starts succeed, beside Django's own ``migrate``.

    python -m tests.with_postgres python -m tests.benchmarks.concurrent_starts [ROUNDS]

Each round starts 8 runners at once on a new database, once from empty and once from the
middle of the chain. Prints how many ended well, how often each migration was recorded
and how often the counting data migration ran (both have to be once), and the time.
"""

from __future__ import annotations

import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.schema.counting_settings")
django.setup()

from tests.databases import scratch_database  # noqa: E402
from tests.processes import database_url  # noqa: E402
from tests.schema.starts import DJANGOS, OURS, start_together  # noqa: E402

RUNNERS = 8


def play_round(command: list[str], *, mid_chain: bool) -> tuple[int, bool, float]:
    """Return how many runners succeeded, whether all ran once, and the seconds."""
    with scratch_database() as connection:
        url = database_url(connection)
        if mid_chain:
            start_together(1, url, OURS, "bots", "0003")
        began = time.monotonic()
        runs = start_together(RUNNERS, url, command)
        seconds = time.monotonic() - began
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) = count(DISTINCT (app, name)) FROM django_migrations"
            )
            (recorded_once,) = cursor.fetchone()
            cursor.execute("SELECT to_regclass('counted') IS NOT NULL")
            if cursor.fetchone()[0]:
                cursor.execute("SELECT count(*) = 1 FROM counted")
                recorded_once &= cursor.fetchone()[0]
        succeeded = sum(run.exit_code == 0 for run in runs)
        return succeeded, recorded_once, seconds


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    for name, command, count in (
        ("ours", OURS, rounds),
        ("Django's", DJANGOS, max(rounds // 5, 1)),
    ):
        for mid_chain in (False, True):
            played = [play_round(command, mid_chain=mid_chain) for _ in range(count)]
            succeeded = sum(each[0] for each in played)
            once = sum(each[1] for each in played)
            longest = max(each[2] for each in played)
            sys.stdout.write(
                f"{name:9} from {'mid-chain' if mid_chain else 'empty':9}: "
                f"{succeeded} of {count * RUNNERS} ended well, everything once in "
                f"{once} of {count} rounds, longest round {longest:.1f} s\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
