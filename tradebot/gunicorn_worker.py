"""The worker of gunicorn that serves ASGI."""

from __future__ import annotations

from gunicorn.workers import gasgi  # type: ignore[import-untyped]

from tradebot.signals import server_closing


class ASGIWorker(gasgi.ASGIWorker):  # type: ignore[misc]
    """gunicorn's own, which would wait for event streams before it ends."""

    def handle_exit_signal(self) -> None:
        super().handle_exit_signal()
        server_closing.send(sender=type(self))
