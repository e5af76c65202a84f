"""How long ``migrate`` takes on an empty database, beside Django's own.

    python -m tests.with_postgres python -m tests.benchmarks.fresh_install [RUNS]

Both run the same migrations in turns, each on a new database and as a process of its
own; prints the medians and their ratio.
"""

from __future__ import annotations

import os
import statistics
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.schema.counting_settings")
django.setup()

from tests.databases import scratch_database  # noqa: E402
from tests.processes import database_url  # noqa: E402
from tests.schema.starts import DJANGOS, OURS, start_together  # noqa: E402


def install(command: list[str]) -> float:
    """Return the seconds that a run on a new database takes."""
    with scratch_database() as connection:
        url = database_url(connection)
        began = time.monotonic()
        (run,) = start_together(1, url, command)
        seconds = time.monotonic() - began
    if run.exit_code != 0:
        sys.exit(run.output)
    return seconds


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    times: dict[str, list[float]] = {"ours": [], "Django's": []}
    for _ in range(runs):
        times["ours"].append(install(OURS))
        times["Django's"].append(install(DJANGOS))
    medians = {name: statistics.median(values) for name, values in times.items()}
    djangos = medians["Django's"]
    ratio = medians["ours"] / djangos
    sys.stdout.write(
        f"fresh install, median of {runs}: ours {medians['ours']:.3f} s, "
        f"Django's {djangos:.3f} s, ratio {ratio:.2f}\n"
    )


if __name__ == "__main__":
    main()
