"""Run the bots that are switched on."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import CommandParser

from tradebot.management.base import DataCommand

THREADS = 8


class Command(DataCommand):
    help = (
        "Runs the bots that are switched on. Several can run beside each other, on "
        "several machines too. At SIGTERM it finishes what it is at, and ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads",
            type=int,
            default=THREADS,
            help="How many bots on an exchange to look at at once (default: 8).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # NumPy and the engine come with it.
        from trading.running.feed import LiveFeed
        from trading.running.runner import Runner

        runner = Runner(feed=LiveFeed(), threads=options["threads"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *args: runner.stop())
        runner.run()
