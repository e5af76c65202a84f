"""Deliver the notifications that are due."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import CommandError, CommandParser
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
            if options["once"]:
                self._deliver(stopping)
                return
            while not stopping.is_set():
                stopping.wait(self._deliver_or_wait(stopping))
        except DatabaseError as error:
            raise CommandError(_reason(error)) from error
        finally:
            connection.close()

    def _deliver_or_wait(self, stopping: threading.Event) -> float:
        """Deliver what is due; return after how many seconds to look again."""
        try:
            self._deliver(stopping)
        except DatabaseError as error:
            connection.close()
            self.stderr.write(
                f"{_reason(error)} Trying again in {RETRY_AFTER_S:.0f} s."
            )
            return RETRY_AFTER_S
        return LOOK_EVERY_S

    def _deliver(self, stopping: threading.Event) -> None:
        sent = deliver_due(timezone.now(), go_on=lambda: not stopping.is_set())
        if sent:
            self.stdout.write(f"Sent: {sent}.")


def _reason(error: DatabaseError) -> str:
    reason = str(error).partition("\n")[0]
    return f"The database cannot be used: {reason}."
