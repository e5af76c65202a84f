"""Run the backtests that were asked for, and the pieces of sweeps."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection

from backtests.models import Sweep
from backtests.runs import RunLost, run_claim, run_execute, run_release
from backtests.sweeps import (
    OPEN,
    PieceLost,
    piece_claim,
    piece_execute,
    piece_release,
)
from tradebot.management.base import DataCommand

if TYPE_CHECKING:
    from backtests.sweep_simulation import SweepWorker

LOOK_EVERY_S = 0.2
RETRY_AFTER_S = 5.0


class Stopping(BaseException):
    """The process was asked to end: no error, and nobody's to handle on the way."""


class Command(DataCommand):
    help = (
        "Runs the backtests that users ask for, one after the other, and the pieces of "
        "sweeps where no backtest waits. As many workers as there are processors can "
        "run beside each other, on several machines too. Ends at SIGTERM; what it was "
        "at, another worker begins anew."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="End when nothing is waiting."
        )
        parser.add_argument(
            "--sweep",
            type=int,
            metavar="ID",
            help="Work on this sweep and on nothing else, until it has ended.",
        )
        parser.add_argument(
            "--with-parent",
            type=int,
            metavar="PID",
            # Not asked for here: it may have ended before this process got so far.
            help="End when the process of this id, that started this one, has ended.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # NumPy comes with it.
        from backtests.sweep_simulation import SweepWorker

        worker = worker_name()
        sweeps = SweepWorker()
        parent = options["with_parent"]
        signal.signal(signal.SIGTERM, stop)
        try:
            while parent is None or os.getppid() == parent:
                if self._work(worker, sweeps, options["sweep"]):
                    continue
                if options["once"] or _has_ended(options["sweep"]):
                    return
                time.sleep(LOOK_EVERY_S)
        except (Stopping, KeyboardInterrupt):
            pass
        finally:
            connection.close()

    def _work(self, worker: str, sweeps: SweepWorker, sweep_id: int | None) -> bool:
        """Work on one run or piece; say whether there was one."""
        try:
            if sweep_id is None and self._run(worker):
                return True
            return self._piece(worker, sweeps, sweep_id)
        except DatabaseError as error:
            connection.close()
            reason = str(error).partition("\n")[0]
            self.stderr.write(
                f"The database cannot be used: {reason}. Trying again in "
                f"{RETRY_AFTER_S:.0f} s."
            )
            time.sleep(RETRY_AFTER_S)
        return True

    def _run(self, worker: str) -> bool:
        from backtests.simulation import simulate

        run = run_claim(worker=worker)
        if run is None:
            return False
        self.stdout.write(f"Run {run.pk} begins.")
        try:
            run_execute(run, simulate)
        except RunLost:
            self.stderr.write(f"Run {run.pk} has been taken over by another worker.")
            return True
        except (Stopping, KeyboardInterrupt):
            run_release(run)
            raise
        run.refresh_from_db()
        self.stdout.write(f"Run {run.pk}: {run.status}.")
        return True

    def _piece(self, worker: str, sweeps: SweepWorker, sweep_id: int | None) -> bool:
        sweep = None if sweep_id is None else Sweep(pk=sweep_id)
        piece = piece_claim(worker=worker, sweep=sweep)
        if piece is None:
            return False
        try:
            piece_execute(piece, sweeps.work)
        except PieceLost:
            self.stderr.write(f"Somebody else has {piece} now.")
        except (Stopping, KeyboardInterrupt):
            piece_release(piece)
            raise
        else:
            self.stdout.write(f"Worked on {piece}.")
        return True


def _has_ended(sweep_id: int | None) -> bool:
    if sweep_id is None:
        return False
    return not Sweep.objects.filter(pk=sweep_id, status__in=OPEN).exists()


def worker_name() -> str:
    """Return what tells this process from other workers."""
    return f"{socket.gethostname()}:{os.getpid()}"


def stop(*args: Any) -> None:
    """End the process in order: a handler of signals."""
    raise Stopping
