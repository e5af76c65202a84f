"""Serve paths with and without their last slash, and pages of other origins."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from corsheaders.middleware import CorsMiddleware
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import is_valid_path
from django.utils.cache import patch_vary_headers


class PreparedCorsMiddleware(CorsMiddleware):
    """django-cors-headers in a fraction of its time.

    What it adds to an answer depends on the origin alone: it is asked once for each.
    """

    async_capable = False  # as OptionalSlashMiddleware behind it

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        self._added_for = lru_cache(maxsize=64)(self._added_to_nothing)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.method == "OPTIONS":
            return cast(HttpResponseBase, super().__call__(request))
        response = cast(HttpResponseBase, self.get_response(request))
        if self.is_enabled(request):
            patch_vary_headers(response, ("origin",))
            if origin := request.META.get("HTTP_ORIGIN"):
                for name, value in self._added_for(origin):
                    response.headers[name] = value
        return response

    def _added_to_nothing(self, origin: str) -> list[tuple[str, str]]:
        request = HttpRequest()
        request.META["HTTP_ORIGIN"] = origin
        request._cors_enabled = True  # type: ignore[attr-defined]  # it is, see above
        response = self.add_response_headers(request, HttpResponseBase())
        del response.headers["Vary"], response.headers["Content-Type"]
        return list(response.headers.items())


class OptionalSlashMiddleware:
    """Answer ``/api/v1/trades`` and ``/api/v1/trades/`` alike, without a redirect.

    A redirect would make some clients repeat a POST as a GET. Where only the other form
    of a path is known, the request goes on under that one.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        path = request.path_info
        if not is_valid_path(path):
            other = path.removesuffix("/") if path.endswith("/") else f"{path}/"
            if is_valid_path(other):
                request.path_info = other
                request.path = request.path[: -len(path)] + other
        return self.get_response(request)
