"""The workers of gunicorn: its own, but for how they end."""

from __future__ import annotations

import sys
from contextlib import suppress

from gunicorn.workers import gasgi, gthread  # type: ignore[import-untyped]

from tradebot.signals import server_closing


class ASGIWorker(gasgi.ASGIWorker):  # type: ignore[misc]
    """gunicorn's own, which would wait for event streams before it ends, and reset
    those who have connected at that moment.
    """

    def handle_exit_signal(self) -> None:
        super().handle_exit_signal()
        server_closing.send(sender=type(self))

    async def _shutdown(self) -> None:
        for listener in self.sockets:
            with suppress(BlockingIOError):  # nobody is left
                while True:
                    client, _ = listener.sock.accept()
                    await self.loop.connect_accepted_socket(
                        lambda: gasgi.ASGIProtocol(self), client
                    )
        await super()._shutdown()


class ThreadWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's own, which would leave those without an answer who connect at its end.

    It stops to accept at once, but closes its sockets when all is answered: until then
    clients connect, and are reset then.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)
        if enabled or self.alive:
            return
        # Who connects between the last look and the close is reset: the threads that
        # answer are not to hold this one up in between, each for its 5 ms.
        sys.setswitchinterval(1e-6)
        for listener in self.sockets:
            accepted = -1
            while accepted != self.nr_conns:
                accepted = self.nr_conns
                self.accept(listener)
            listener.close()
