"""In which language the API answers: that of ``Accept-Language``, or English."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix, reverse
from django.utils.translation import get_language, get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header


def language_of(request: HttpRequest) -> str:
    """Return the language that a client likes best of those that there are.

    Pages, as those of the admin and of the documents, are in English.
    """
    accepted = request.META.get("HTTP_ACCEPT_LANGUAGE")
    if not accepted or request.path.startswith(_pages(get_script_prefix())):
        return settings.LANGUAGE_CODE
    # Not get_language_from_request(), which prefers a cookie and knows no q=0.
    for language, quality in parse_accept_lang_header(accepted):
        if language == "*":
            break
        if not quality:  # not acceptable
            continue
        try:
            return get_supported_language_variant(language)
        except LookupError:
            continue
    return settings.LANGUAGE_CODE


def language_headers() -> dict[str, str]:
    """Return the headers of an answer that has text in the language of the request."""
    return {
        "Content-Language": get_language() or settings.LANGUAGE_CODE,
        "Vary": "Accept-Language",
    }


@cache
def _pages(script_prefix: str) -> tuple[str, ...]:
    return tuple(map(reverse, ("admin:index", "schema", "swagger", "redoc")))
