"""What is done to every request of the admin, and to no other."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from django.core.exceptions import BadRequest
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.urls import get_script_prefix, reverse


class UnreadableInputMiddleware:
    """Answer 400 where an admin page was sent what it never offers.

    Django's admin does not expect an id that is no number or has twenty digits, or a
    NUL in a filter: it fails while it asks the database or while it writes the page. A
    view sees the former only, a middleware both.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        unreadable = isinstance(exception, ValueError | OverflowError | DataError)
        if unreadable and is_admin(request):
            # Django logs it with its cause: it may be a fault of ours all the same.
            raise BadRequest("The admin cannot read this input.") from exception


_POLICY = "; ".join(
    (
        "default-src 'none'",
        # Alpine, which the pages are made with, compiles what stands in attributes.
        "script-src 'self' 'unsafe-eval'",
        # The pages have colours and widths of their own in <style> and style="".
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityPolicyMiddleware:
    """Let pages of the admin load from this server alone, and run no inline script."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if is_admin(request):
            response.headers["Content-Security-Policy"] = _POLICY
        return response


def is_admin(request: HttpRequest) -> bool:
    """Say whether this is a request for a page of the admin."""
    return request.path.startswith(_index(get_script_prefix()))


@cache
def _index(script_prefix: str) -> str:
    return reverse("admin:index")
