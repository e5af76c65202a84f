"""Serve paths with and without their last slash, and pages of other origins."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from django.http import HttpRequest, HttpResponse
from django.urls import is_valid_path


class OptionalSlashMiddleware:
    """Answer ``/api/v1/trades`` and ``/api/v1/trades/`` alike, without a redirect.

    A redirect would make some clients repeat a POST as a GET. Where only the other form
    of a path is known, the request goes on under that one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not _is_known(_NUMBER.sub("1", path)):
            other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
            if is_valid_path(other):
                request.path_info = other
                request.path = request.path[: -len(path)] + other
        return self.get_response(request)


# Of paths that differ in an id only, one is looked for; and Django looks again.
_NUMBER = re.compile("[0-9]+")
_is_known = lru_cache(maxsize=256)(is_valid_path)
