"""The ASGI application: for event streams, which would each hold a thread of WSGI."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradebot.settings")

# A thread ends with its request here, and its connection with it: they are kept in a
# pool instead. More requests at once than this wait for a connection.
CONNECTIONS = 10
WAIT_S = 5.0
for database in settings.DATABASES.values():
    database["CONN_MAX_AGE"] = 0
    if database["ENGINE"] == "tradebot.postgresql":
        database["OPTIONS"]["pool"] = {
            "min_size": 1,
            "max_size": CONNECTIONS,
            "timeout": WAIT_S,
        }

_django = get_asgi_application()


async def application(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer a request, also one whose body comes in chunks without a length.

    Django would write a body of any size to the disk, and then take as many bytes of it
    as Content-Length says: none without one. It is read here, up to what Django
    accepts; what is more Django refuses without a look at it, and the server closes the
    connection, since the rest is not read.
    """
    if scope["type"] != "http":
        await _django(scope, receive, send)
        return
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    length = _declared_length(scope)
    body = b"" if length > limit else await _read_body(receive, limit)
    if body is None:
        return  # the client has left
    if body and not length:
        length = len(body)
        header = (b"content-length", str(length).encode())
        scope = {**scope, "headers": [*scope["headers"], header]}
    given = False

    async def receive_read() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        if length > limit:
            await asyncio.Future()  # what is left of the body is no end of the client
        return await receive()

    await _django(scope, receive_read, send)


def _declared_length(scope: dict[str, Any]) -> int:
    """Return Content-Length, which the server has checked; 0 without one."""
    return int(dict(scope["headers"]).get(b"content-length", 0))


async def _read_body(receive: Receive, limit: int) -> bytes | None:
    """Return the body, or the first of it that exceed ``limit`` bytes.

    None where the client leaves before its end.
    """
    body = bytearray()
    while len(body) <= limit:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(body)
