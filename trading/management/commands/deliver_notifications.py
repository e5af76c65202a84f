"""Deliver the notifications that are due."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection
from django.utils import timezone

from tradebot.management.base import DataCommand
from trading.notifications.delivery import deliver_due

LOOK_EVERY_S = 1.0
RETRY_AFTER_S = 5.0


class Command(DataCommand):
    help = (
        "Sends mails and webhooks as they become due. Several can run beside each "
        "other. At SIGTERM it finishes what it is at, and ends."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="End when nothing is due."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stopping = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            while not stopping.is_set():
                pause_s = self._deliver(stopping)
                if options["once"]:
                    return
                stopping.wait(pause_s)
        finally:
            connection.close()

    def _deliver(self, stopping: threading.Event) -> float:
        """Deliver what is due; return after how many seconds to look again."""
        try:
            sent = deliver_due(timezone.now(), go_on=lambda: not stopping.is_set())
        except DatabaseError as error:
            connection.close()
            reason = str(error).partition("\n")[0]
            self.stderr.write(
                f"The database cannot be used: {reason}. Trying again in "
                f"{RETRY_AFTER_S:.0f} s."
            )
            return RETRY_AFTER_S
        if sent:
            self.stdout.write(f"Sent: {sent}.")
        return LOOK_EVERY_S
