"""The database backend: ``"ENGINE": "tradebot.postgresql"``."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's own, with a look at the socket for a health check.

    Django's asks the server in each request anew, which takes as long as reading the
    caller. A connection that waits for nothing has something to read only where the
    server has ended it or says so. One that a network has lost without a word is found
    by neither, but by the TCP keepalive.
    """

    def is_usable(self) -> bool:
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()  # takes file descriptors that select() does not
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)
