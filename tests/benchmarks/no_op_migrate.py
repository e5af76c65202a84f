"""How long ``migrate`` takes where there is nothing to do, beside Django's own.

    python -m tests.with_postgres python -m tests.benchmarks.no_op_migrate [RUNS]

Both run in turns on one database, as processes of their own; prints the medians and
their ratio.
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


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {"ours": [], "Django's": []}
    with scratch_database() as connection:
        url = database_url(connection)
        start_together(1, url, OURS)
        for _ in range(runs):
            for name, command in (("ours", OURS), ("Django's", DJANGOS)):
                began = time.monotonic()
                (run,) = start_together(1, url, command)
                times[name].append(time.monotonic() - began)
                assert run.exit_code == 0, run.output
    medians = {name: statistics.median(values) for name, values in times.items()}
    djangos = medians["Django's"]
    ratio = medians["ours"] / djangos
    sys.stdout.write(
        f"no-op migrate, median of {runs}: ours {medians['ours']:.3f} s, "
        f"Django's {djangos:.3f} s, ratio {ratio:.2f}\n"
    )


if __name__ == "__main__":
    main()
