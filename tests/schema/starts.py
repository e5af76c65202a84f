"""Start several runners of ``migrate`` at once, as containers do."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from tests.processes import ROOT, environment

OURS = ["manage.py", "migrate"]
# Django's own command, for comparison.
DJANGOS = [
    "-c",
    "import sys, django; django.setup()\n"
    "from django.core.management.commands.migrate import Command\n"
    "Command().run_from_argv(['manage.py', 'migrate', *sys.argv[1:]])",
]

# The migrations of the program before this one, by what ran them.
ALEMBIC = [
    "-m",
    "alembic",
    "-c",
    "tests/alembic_history/alembic.ini",
    "upgrade",
    "head",
]


@dataclass(frozen=True, slots=True)
class Run:
    """How one runner ended."""

    exit_code: int
    output: str


def start_together(
    count: int, database_url: str, command: list[str] | None = None, *target: str
) -> list[Run]:
    """Start ``count`` runners at the same time and return how each ended."""
    settings = environment(
        DJANGO_SETTINGS_MODULE="tests.schema.counting_settings",
        DATABASE_URL=database_url,
    )
    processes = [
        subprocess.Popen(
            [sys.executable, *(command or OURS), *target],
            cwd=ROOT,
            env=settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(count)
    ]
    return [
        Run(exit_code=process.wait(), output=output)
        for process in processes
        for output, _ in [process.communicate(timeout=120)]
    ]
