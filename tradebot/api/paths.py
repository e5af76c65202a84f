"""The ids in paths, and which method of a path does what."""

from __future__ import annotations

import re
from typing import Any

from django.urls import register_converter

from tradebot.api.fields import MAX_INTEGER

COLLECTION: dict[str, Any] = {"get": "list", "post": "create"}
MEMBER: dict[str, Any] = {
    "get": "retrieve",
    "put": "update",
    "patch": "partial_update",
    "delete": "destroy",
}

_NUMBER = re.compile(r"-?[0-9]+")
_MOST_DIGITS = len(str(MAX_INTEGER))
_NOBODYS = 0  # sequences begin at 1
NO_NUMBER = -1


class IDConverter:
    """``<id:pk>``: any segment.

    A number that cannot be an id is the id of nothing, and what is no number is
    NO_NUMBER. Such a path is answered by the view, after it has asked who is there.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> int:
        if not _NUMBER.fullmatch(value):
            return NO_NUMBER
        number = int(value) if len(value) <= _MOST_DIGITS else _NOBODYS
        return number if 0 < number <= MAX_INTEGER else _NOBODYS

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(IDConverter, "id")
