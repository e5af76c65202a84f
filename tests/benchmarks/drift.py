"""How long ``drift`` takes on top of the start-up of a command.

    python -m tests.with_postgres python -m tests.benchmarks.drift [RUNS]

``help``, which starts as every command does and has nothing to do then, and ``drift``
run in turns on one database of the newest migrations, as processes of their own; prints
the medians and their difference.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from tests.databases import scratch_database  # noqa: E402
from tests.processes import SECRETS, database_url, manage  # noqa: E402

COMMANDS = {"start-up": ("help", "migrate"), "drift": ("drift",)}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with scratch_database() as connection:
        settings = {**SECRETS, "DATABASE_URL": database_url(connection)}
        manage("migrate", **settings).check_returncode()
        for _ in range(runs):
            for name, command in COMMANDS.items():
                began = time.monotonic()
                manage(*command, **settings).check_returncode()
                times[name].append(time.monotonic() - began)
    start_up, drift = (statistics.median(times[name]) for name in COMMANDS)
    sys.stdout.write(
        f"drift, median of {runs}: start-up {start_up:.3f} s, drift {drift:.3f} s, "
        f"difference {drift - start_up:.3f} s\n"
    )


if __name__ == "__main__":
    main()
