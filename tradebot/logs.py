"""What goes into the log, a line of JSON for each record, and of which request it is.

Nothing here looks into bodies, queries or headers but one: they may hold secrets.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import msgspec
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.encoding import escape_uri_path

from tradebot import metrics

access = logging.getLogger("tradebot.access")

_GIVEN_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)
_encode = msgspec.json.Encoder().encode


class RequestLogMiddleware:
    """Number each request, log and count how it ended; records in between name it.

    The number is that of the header ``X-Request-ID``, or a new one; the answer has it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.perf_counter()
        given = request.META.get("HTTP_X_REQUEST_ID", "")
        id_ = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        request.META["tradebot.request_id"] = id_
        token = _request.set(request)
        try:
            response = self.get_response(request)
            response.headers["X-Request-ID"] = id_
            seconds = time.perf_counter() - began
            if settings.METRICS_TOKEN is not None:
                metrics.observe(request, response.status_code, seconds)
            _log_end(request, response.status_code, seconds)
            return response
        finally:
            _request.reset(token)


def _log_end(request: HttpRequest, status: int, seconds: float) -> None:
    level = logging.WARNING if 400 <= status < 500 else logging.INFO
    if not access.isEnabledFor(level):
        return
    # Escaped: a line break in it would forge a line of the log.
    path = escape_uri_path(request.path)
    fields = {
        "client": request.META.get("REMOTE_ADDR", ""),
        "method": request.method,
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    access.log(
        level,
        "%s %s %s in %s ms",
        *(fields[name] for name in ("method", "path", "status", "ms")),
        extra={"fields": fields},
    )


def _of_request(record: logging.LogRecord) -> dict[str, Any]:
    """Return what tells the request of a record, and its user where that is known."""
    # Django tells of failures when the middleware is through, and names the request.
    request = record.__dict__.get("request", _request.get())
    if not isinstance(request, HttpRequest):
        return {}
    # Not request.user: it may ask the database who that is.
    user = request.__dict__.get("user")
    user = getattr(request, "_cached_user", None if hasattr(user, "_wrapped") else user)
    return {
        "request_id": request.META.get("tradebot.request_id"),
        "user_id": getattr(user, "pk", None),
    }


class JSONFormatter(logging.Formatter):
    """A record as one line of JSON: ``time``, ``level``, ``logger``, ``message``, of a
    request ``request_id`` and ``user_id``, and the ``fields`` that it was given.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_of_request(record),
            **record.__dict__.get("fields", {}),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return _encode(entry).decode()


class PlainFormatter(logging.Formatter):
    """A record as a line to read, with the number of its request."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        found = _of_request(record)
        return f"{line} [{found['request_id']}]" if found else line
