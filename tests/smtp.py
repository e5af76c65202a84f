"""A mail server for tests: it takes every mail and keeps it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_string
from email.message import Message
from queue import SimpleQueue


class MailServer(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as Django's client does; ``refuses`` is its answer to mails.

    A mail is in ``mails`` before it is acknowledged. Nothing is answered while ``open``
    is not set.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, refuses: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.refuses = refuses
        self.mails: SimpleQueue[Message[str, str]] = SimpleQueue()
        self.open = threading.Event()
        self.open.set()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.open.wait(30)
        self._say("220 ready")
        for line in self.rfile:
            match line[:4].upper():
                case b"DATA":
                    self._say("354 go on")
                    text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                    self.server.mails.put(message_from_string(text))
                    self._say("250 taken")
                case b"RCPT" if self.server.refuses:
                    self._say(self.server.refuses)
                case b"QUIT":
                    self._say("221 bye")
                    return
                case _:
                    self._say("250 well")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def mail_server(refuses: str = "") -> Iterator[MailServer]:
    with MailServer(refuses) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}
        )
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
