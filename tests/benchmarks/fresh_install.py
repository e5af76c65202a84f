"""How long ``migrate`` takes on an empty database, beside Django's own and Alembic.

    python -m tests.with_postgres python -m tests.benchmarks.fresh_install [RUNS]

Ours and Django's run the same migrations, Alembic's ``upgrade head`` the documented
history, in turns, each on a new database and as a process of its own; prints the
medians, and the ratio of the first two.
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
    times: dict[str, list[float]] = {"ours": [], "Django's": [], "Alembic's": []}
    for _ in range(runs):
        times["ours"].append(install(OURS))
        times["Django's"].append(install(DJANGOS))
        times["Alembic's"].append(install(ALEMBIC))
    medians = {name: statistics.median(values) for name, values in times.items()}
    djangos, alembics = medians["Django's"], medians["Alembic's"]
    ratio = medians["ours"] / djangos
    sys.stdout.write(
        f"fresh install, median of {runs}: ours {medians['ours']:.3f} s, "
        f"Django's {djangos:.3f} s, ratio {ratio:.2f}; "
        f"Alembic's upgrade head {alembics:.3f} s\n"
    )


if __name__ == "__main__":
    main()
