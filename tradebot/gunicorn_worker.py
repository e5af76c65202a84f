"""The workers of gunicorn: how requests are read, answered and brought to an end."""

from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from typing import Any

from django.http import StreamingHttpResponse
from granian._futures import _new_cbscheduler
from granian._granian import SocketHolder, WorkerSignal
from granian._granian import WSGIWorker as Granian
from granian.http import HTTP1Settings
from gunicorn.workers import base, gasgi  # type: ignore[import-untyped]

from tradebot.signals import server_closing

# What tells a worker to end. One that does not run yet would lose it, and hold up the
# server's end for as long as requests may take: it was forked with the handlers of the
# server, and uvloop forgets what comes before its loop runs.
_ENDS = {signal.SIGTERM, signal.SIGQUIT, signal.SIGINT}


def hold_signals(server: Any) -> None:
    """Have a worker that was just forked get these signals once it runs."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    while not server.SIG_QUEUE.empty():  # a copy, and what has come since
        received = server.SIG_QUEUE.get()
        if received in _ENDS:
            os.kill(os.getpid(), received)


def _release_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)


class ASGIWorker(gasgi.ASGIWorker):  # type: ignore[misc]
    """gunicorn's own, which would wait for event streams before it ends, and reset
    those who have connected at that moment.
    """

    async def _serve(self) -> None:
        _release_signals()
        await super()._serve()

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


class WSGIWorker(base.Worker):  # type: ignore[misc]
    """Answers in threads, with the HTTP of Granian, which is Rust.

    gunicorn's own threads take as long to read a request, to hand it on and to write
    the answer as Django does to make it. Granian's server has no hooks like those of
    gunicorn_config.py; of it, this uses what its own workers are made of, which is why
    requirements.txt names a version and nothing newer.
    """

    def run(self) -> None:
        _release_signals()
        (listener,) = self.sockets
        listener.sock.setblocking(False)
        stop, ended = WorkerSignal(), threading.Event()
        stop.add_cb(ended.set)
        unix = isinstance(listener.cfg_addr, str)
        # A copy, which it closes at once when it shall stop.
        copy = SocketHolder(os.dup(listener.fileno()), unix, self.cfg.backlog)
        server = Granian(
            self.age,
            (None, copy),
            None,  # no channel to a server of Granian
            1,  # thread for HTTP, without the GIL
            1,  # thread for files, of which it serves none
            self.cfg.threads,
            30,  # seconds after which an idle thread ends
            self.cfg.worker_connections,
            "1",
            HTTP1Settings(),
            None,  # no HTTP/2
            None,  # no files
            *(False, None, None, None, "tls1.3", None, [], False),  # no TLS
            (None, None),  # no metrics
        )
        loop = asyncio.new_event_loop()  # asked for, but not used for WSGI
        answer = _new_cbscheduler(loop, self._answer, impl_asyncio=True)
        (server.serve_str_uds if unix else server.serve_str)(answer, loop, stop)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            if select.select([self.PIPE[0]], [], [], 1)[0]:
                os.read(self.PIPE[0], 4096)  # which signals write to
        _drop_who_comes(listener.sock)
        time.sleep(_LINGER_S)
        listener.close()
        stop.set()
        until = time.monotonic() + self.cfg.graceful_timeout
        while not ended.wait(0.1) and time.monotonic() < until:
            self.notify()

    def _answer(self, request: Any, scope: dict[str, Any]) -> None:
        started: list[Any] = []

        def start_response(status: str, headers: Any, _: Any = None) -> None:
            started[:] = int(status[:3]), headers

        content = self.wsgi(_ENVIRON | scope, start_response)
        if not self.alive:  # who would ask again on a connection that is kept
            started[1].append(("Connection", "close"))
        if content.streaming:
            request.response_iter(*started, _Chunks(content))
            return
        try:
            request.response_bytes(*started, b"".join(content))
        finally:
            content.close()


_SO_ATTACH_FILTER = 26  # asm-generic/socket.h; Python has no name for it

# How long those who have connected may take to ask: Granian hangs up on silent ones.
_LINGER_S = 0.5


def _drop_who_comes(listener: socket.socket) -> None:
    """Have the system lose what asks for a connection; those there are stay.

    The client asks again after a second, and by then is refused or at another server.
    What the socket would still take would be reset when it is closed. Where it is not
    this worker's alone (a Unix socket), or the system knows no such filter, it is left.
    """
    if listener.family == socket.AF_UNIX:
        return
    # Drop what has SYN among its flags, byte 13, pass the rest (Linux's filter.rst).
    program = [
        (0x30, 0, 0, 13),
        (0x45, 0, 1, 2),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
    ]
    code = ctypes.create_string_buffer(
        b"".join(struct.pack("=HBBI", *line) for line in program)
    )
    head = struct.pack("HP", len(program), ctypes.addressof(code))
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, head)


# What does not differ between requests.
_ENVIRON = {
    "SCRIPT_NAME": "",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}


class _Chunks:
    """What Granian iterates over: it looks for ``__next__`` and ``close`` alone."""

    def __init__(self, content: StreamingHttpResponse) -> None:
        self.__next__ = iter(content).__next__
        self.close = content.close
