"""How long ``migrate`` takes where there is nothing to do, beside Django's and Alembic.

    python -m tests.with_postgres python -m tests.benchmarks.no_op_migrate [RUNS]

Ours and Django's run in turns on one database, Alembic's ``upgrade head`` on one with
the documented history, all as processes of their own; prints the medians, and the ratio
of the first two.
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
from tests.schema.starts import ALEMBIC, DJANGOS, OURS, start_together  # noqa: E402


def run(command: list[str], url: str) -> float:
    """Return the seconds that a command takes."""
    began = time.monotonic()
    (run,) = start_together(1, url, command)
    seconds = time.monotonic() - began
    if run.exit_code != 0:
        sys.exit(run.output)
    return seconds


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {"ours": [], "Django's": [], "Alembic's": []}
    with scratch_database() as django_database, scratch_database() as alembic_database:
        url, alembic_url = map(database_url, (django_database, alembic_database))
        run(OURS, url)
        run(ALEMBIC, alembic_url)
        for _ in range(runs):
            times["ours"].append(run(OURS, url))
            times["Django's"].append(run(DJANGOS, url))
            times["Alembic's"].append(run(ALEMBIC, alembic_url))
    medians = {name: statistics.median(values) for name, values in times.items()}
    djangos, alembics = medians["Django's"], medians["Alembic's"]
    ratio = medians["ours"] / djangos
    sys.stdout.write(
        f"no-op migrate, median of {runs}: ours {medians['ours']:.3f} s, "
        f"Django's {djangos:.3f} s, ratio {ratio:.2f}; "
        f"Alembic's upgrade head {alembics:.3f} s\n"
    )


if __name__ == "__main__":
    main()
