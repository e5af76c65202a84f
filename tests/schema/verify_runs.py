"""Verify the program many times: there may be no false alarm.

    python -m tests.schema.verify_runs [RUNS]

Needs DATABASE_URL. Prints of each run the seconds, those that this process worked, and
what it found; the exit code is 1 where it found anything.
"""

from __future__ import annotations

import os
import sys
import time

import django


def main(runs: int) -> int:
    from django.db import connection

    from tradebot.schema.verification import format_result, verify

    alarms = 0
    for run in range(1, runs + 1):
        began, cpu_began = time.perf_counter(), time.process_time()
        failed = [each for each in verify(connection) if each.problems]
        alarms += bool(failed)
        sys.stdout.write(
            f"run {run:3}  {time.perf_counter() - began:5.1f} s, "
            f"{time.process_time() - cpu_began:5.1f} s of this process  "
            f"{'failed' if failed else 'ok'}\n"
        )
        sys.stdout.flush()
        for result in failed:
            sys.stdout.writelines(f"{line}\n" for line in format_result(result))
    sys.stdout.write(f"{alarms} of {runs} runs had an alarm.\n")
    return bool(alarms)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
