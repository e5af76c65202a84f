"""Run the bots that are switched on, and tell their owners."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection
from django.utils import timezone

from tradebot.management.base import DataCommand
from trading.management.arguments import positive
from trading.notifications.delivery import deliver_due

THREADS = 8
_TELL_EVERY_S = 2.0
_RETRY_AFTER_S = 5.0
_LOOK_AT_PARENT_S = 1.0


class Command(DataCommand):
    help = (
        "Runs the bots that are switched on, and delivers what their owners are to be "
        "told. Several can run beside each other, on several machines too. At SIGTERM "
        "it finishes what it is at, and ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads",
            type=positive,
            default=THREADS,
            metavar="N",
            help=f"Look at N bots on an exchange at once (default: {THREADS}).",
        )
        parser.add_argument(
            "--with-parent",
            type=int,
            metavar="PID",
            # Not asked for here: it may have ended before this process got so far.
            help="End when the process of this id, that started this one, has ended.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # NumPy and the engine come with it.
        from trading.running.feed import LiveFeed
        from trading.running.runner import Runner

        runner = Runner(feed=LiveFeed(), threads=options["threads"])
        stopping = threading.Event()

        def stop(*args: Any) -> None:
            stopping.set()
            runner.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        beside = [threading.Thread(target=self._tell, args=(stopping,))]
        if options["with_parent"] is not None:
            watch = (options["with_parent"], stop, stopping)
            beside.append(threading.Thread(target=_stop_with_parent, args=watch))
        for thread in beside:
            thread.start()
        try:
            while not stopping.is_set():
                try:
                    runner.run()
                except DatabaseError as error:
                    self._complain(error)
                    stopping.wait(_RETRY_AFTER_S)
        finally:  # or those beside would keep a process that does nothing
            stop()
            for thread in beside:
                thread.join()

    def _tell(self, stopping: threading.Event) -> None:
        """Deliver notifications until there is a stop."""
        try:
            while not stopping.wait(_TELL_EVERY_S):
                try:
                    deliver_due(timezone.now(), go_on=lambda: not stopping.is_set())
                except DatabaseError as error:
                    self._complain(error)
        finally:
            connection.close()

    def _complain(self, error: DatabaseError) -> None:
        connection.close()
        reason = str(error).partition("\n")[0]
        self.stderr.write(
            f"The database cannot be used: {reason}. Trying again in "
            f"{_RETRY_AFTER_S:.0f} s."
        )


def _stop_with_parent(pid: int, stop: Any, stopping: threading.Event) -> None:
    while not stopping.is_set():
        if os.getppid() != pid:
            stop()
        time.sleep(_LOOK_AT_PARENT_S)
