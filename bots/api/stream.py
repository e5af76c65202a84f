"""The status of a bot as server-sent events."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts.api.authentication import caller
from accounts.tokens import token_expiry
from bots import stream
from bots.api.views import own_bot
from bots.stream import BotStatus, read_statuses
from tradebot.api.json import encode
from tradebot.api.views import APIView

HEARTBEAT_S = 15
LONGEST = dt.timedelta(hours=1)
RETRY_MS = 3000


class NotStreamed(APIException):
    status_code = HTTPStatus.SERVICE_UNAVAILABLE
    default_detail = gettext_lazy(
        "This process serves no event streams, since each would hold one of its "
        "threads. Ask the one that runs with WEB_WORKER=asgi."
    )
    default_code = "not_streamed"


class StatusStreamView(APIView):
    """The status of one of the caller's bots, again whenever it has changed.

    An event is JSON and its id stands for what it says: who comes back with
    ``Last-Event-ID`` is told only what is new. Comments in between show that the
    connection is alive. The stream ends after an hour, with the token, or when the bot
    is gone or its owner no longer active: come back, and the answer says which.
    """

    problems = {"GET": (HTTPStatus.SERVICE_UNAVAILABLE,)}

    @extend_schema(
        parameters=[
            OpenApiParameter(
                "Last-Event-ID",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="The id of the last event that was received.",
            )
        ],
        responses={(200, "text/event-stream"): OpenApiTypes.STR},
    )
    def get(self, request: Request, bot_config_id: int) -> StreamingHttpResponse:
        bot = own_bot(caller(request), bot_config_id)
        if not isinstance(request._request, ASGIRequest):
            raise NotStreamed
        if request.method == "HEAD":
            return StreamingHttpResponse([], **_LIKE_EVENTS)
        status = read_statuses([bot.pk])[bot.pk]
        # The thread of the request, and with it its connection, lives as long as it.
        connections.close_all()
        until = min(timezone.now() + LONGEST, token_expiry(token=str(request.auth)))
        return StreamingHttpResponse(
            _events(status, request.headers.get("Last-Event-ID", ""), until),
            **_LIKE_EVENTS,
        )


_LIKE_EVENTS: dict[str, Any] = {
    "content_type": "text/event-stream; charset=utf-8",
    "headers": {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
}


async def _events(
    first: BotStatus, sent: str, until: dt.datetime
) -> AsyncGenerator[str]:
    """Yield the text of the stream; ``sent`` is the id of the last event."""
    now = asyncio.get_running_loop().time
    written = now()
    yield f"retry: {RETRY_MS}\n\n"
    async with aclosing(_statuses(first)) as statuses:
        async for status in statuses:
            void = status.password_changed_at != first.password_changed_at
            if void or not status.owner_is_active or timezone.now() >= until:
                return
            data = encode(status.as_event())
            id_ = hashlib.sha256(data).hexdigest()[:16]
            if id_ != sent:
                yield f"id: {id_}\ndata: {data.decode()}\n\n"
            elif now() - written >= HEARTBEAT_S:
                yield ": nothing new\n\n"
            else:
                continue
            sent, written = id_, now()


async def _statuses(first: BotStatus) -> AsyncGenerator[BotStatus]:
    yield first
    async with aclosing(stream.feed.watch(first.bot_config_id)) as statuses:
        async for status in statuses:
            yield status
