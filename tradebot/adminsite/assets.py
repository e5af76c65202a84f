"""Addresses of our own files on every page of the admin, as unfold asks for them.

Functions, because the settings cannot know under which names they are collected.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.templatetags.static import static


def icon(request: HttpRequest) -> str:
    return static("tradebot/favicon.svg")


def styles(request: HttpRequest) -> str:
    return static("tradebot/admin.css")
