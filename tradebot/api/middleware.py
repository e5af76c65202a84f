"""What is done to every request before it is known which view answers it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import is_valid_path
from django.utils import translation

from tradebot.api.languages import language_of


class LanguageMiddleware:
    """Make the language of the request that of all texts on its way."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        language = language_of(request)
        if language == settings.LANGUAGE_CODE:
            return self.get_response(request)
        with translation.override(language, deactivate=True):
            return self.get_response(request)


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
