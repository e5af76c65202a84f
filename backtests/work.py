"""What a worker does with the runs and pieces that wait, one at a time.

``manage.py runworker`` calls it, ``manage.py sweep``, and the tasks of Celery.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from backtests.models import Sweep
from backtests.runs import RunLost, run_claim, run_execute, run_release
from backtests.sweeps import PieceLost, piece_claim, piece_execute, piece_release


class Stopping(BaseException):
    """The process was asked to end: no error, and nobody's to handle on the way."""


def stop(*args: Any) -> None:
    """End the process in order: a handler of signals."""
    raise Stopping


def unheard(message: str) -> None:
    """Tell nobody."""


class Worker:
    """Works on what waits; what it is at when it is stopped is free for others.

    ``tell`` gets a line about what it works on, ``complain`` one about what others have
    taken over meanwhile.
    """

    def __init__(
        self,
        *,
        tell: Callable[[str], object] = unheard,
        complain: Callable[[str], object] = unheard,
    ) -> None:
        # NumPy comes with them: not for a process that never simulates.
        from backtests.simulation import simulate
        from backtests.sweep_simulation import SweepWorker

        self._simulate = simulate
        self._sweeps = SweepWorker()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._tell = tell
        self._complain = complain

    def work(self, sweep: Sweep | None = None) -> bool:
        """Work on a run or, where none waits, on a piece; say whether there was one.

        Where a sweep is named, on a piece of that one and on nothing else.
        """
        return (sweep is None and self._run()) or self._piece(sweep)

    def _run(self) -> bool:
        run = run_claim(worker=self._name)
        if run is None:
            return False
        self._tell(f"Run {run.pk} begins.")
        try:
            run_execute(run, self._simulate)
        except RunLost:
            self._complain(f"Run {run.pk} has been taken over by another worker.")
            return True
        except (Stopping, KeyboardInterrupt):
            run_release(run)
            raise
        run.refresh_from_db()
        self._tell(f"Run {run.pk}: {run.status}.")
        return True

    def _piece(self, sweep: Sweep | None) -> bool:
        piece = piece_claim(worker=self._name, sweep=sweep)
        if piece is None:
            return False
        try:
            piece_execute(piece, self._sweeps.work)
        except PieceLost:
            self._complain(f"Somebody else has {piece} now.")
        except (Stopping, KeyboardInterrupt):
            piece_release(piece)
            raise
        else:
            self._tell(f"Worked on {piece}.")
        return True
