"""Run the backtests that were asked for."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection

from backtests.models import BacktestRun
from backtests.runs import RunLost, run_claim, run_execute, run_release
from tradebot.management.base import DataCommand

LOOK_EVERY_S = 0.2
RETRY_AFTER_S = 5.0


class Stopping(BaseException):
    """The process was asked to end: no error, and nobody's to handle on the way."""


class Command(DataCommand):
    help = (
        "Runs the backtests that users ask for, one after the other. As many workers "
        "as there are processors can run beside each other, on several machines too. "
        "Ends at SIGTERM; what it was at, another worker begins anew."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="End when nothing is waiting."
        )
        parser.add_argument(
            "--with-parent",
            action="store_true",
            help="End when the process that started this one has ended.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        worker = f"{socket.gethostname()}:{os.getpid()}"
        parent = os.getppid()
        signal.signal(signal.SIGTERM, _stop)
        try:
            while not options["with_parent"] or os.getppid() == parent:
                if self._work(worker):
                    continue
                if options["once"]:
                    return
                time.sleep(LOOK_EVERY_S)
        except (Stopping, KeyboardInterrupt):
            pass
        finally:
            connection.close()

    def _work(self, worker: str) -> bool:
        """Work on one run; say whether there was one."""
        # NumPy and the candles come with it.
        from backtests.simulation import simulate

        try:
            run = run_claim(worker=worker)
            if run is None:
                return False
            self._execute(run, simulate)
        except DatabaseError as error:
            connection.close()
            reason = str(error).partition("\n")[0]
            self.stderr.write(
                f"The database cannot be used: {reason}. Trying again in "
                f"{RETRY_AFTER_S:.0f} s."
            )
            time.sleep(RETRY_AFTER_S)
        return True

    def _execute(self, run: BacktestRun, simulate: Any) -> None:
        self.stdout.write(f"Run {run.pk} begins.")
        try:
            run_execute(run, simulate)
        except RunLost:
            self.stderr.write(f"Run {run.pk} has been taken over by another worker.")
            return
        except (Stopping, KeyboardInterrupt):
            run_release(run)
            raise
        run.refresh_from_db()
        self.stdout.write(f"Run {run.pk}: {run.status}.")


def _stop(*args: Any) -> None:
    raise Stopping
