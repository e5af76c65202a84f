"""Run the backtests that were asked for, and the pieces of sweeps."""

from __future__ import annotations

import logging
import os
import signal
import time
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection

from backtests.models import Sweep
from backtests.sweeps import OPEN
from backtests.work import Stopping, Worker, stop, unheard
from tradebot.management.base import DataCommand

logger = logging.getLogger(__name__)

LOOK_EVERY_S = 0.2
RETRY_AFTER_S = 5.0
# Beside a server: whoever waits for an answer comes first, and so do bots.
_NICE = 10


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
        sweep = None if options["sweep"] is None else Sweep(pk=options["sweep"])
        # Of one sweep, who asked for it tells how far it is.
        tell = unheard if sweep else logger.info
        worker = Worker(tell=tell, complain=logger.warning)
        parent = options["with_parent"]
        if parent is not None and sweep is None:
            os.nice(_NICE)
        signal.signal(signal.SIGTERM, stop)
        try:
            while parent is None or os.getppid() == parent:
                if self._work(worker, sweep):
                    continue
                if options["once"] or (sweep and _has_ended(sweep)):
                    return
                time.sleep(LOOK_EVERY_S)
        except (Stopping, KeyboardInterrupt):
            pass
        finally:
            connection.close()

    def _work(self, worker: Worker, sweep: Sweep | None) -> bool:
        """Work on one run or piece; say whether there was one."""
        try:
            return worker.work(sweep)
        except DatabaseError as error:
            connection.close()
            reason = str(error).partition("\n")[0]
            logger.warning(
                "The database cannot be used: %s. Trying again in %.0f s.",
                reason,
                RETRY_AFTER_S,
            )
            time.sleep(RETRY_AFTER_S)
        return True


def _has_ended(sweep: Sweep) -> bool:
    return not Sweep.objects.filter(pk=sweep.pk, status__in=OPEN).exists()
