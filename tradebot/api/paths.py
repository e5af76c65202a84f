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

_ID = re.compile(r"[0-9]{1,10}")
_NOBODYS = 0  # sequences begin at 1


class IDConverter:
    """``<id:pk>``: any segment; one that cannot be an id is the id of nothing.

    Such a path is answered by the view, after it has asked who is there, like that of
    any other object that does not exist.
    """

    regex = "[^/]+"

    def to_python(self, value: str) -> int:
        number = int(value) if _ID.fullmatch(value) else _NOBODYS
        return number if number <= MAX_INTEGER else _NOBODYS

    def to_url(self, value: int) -> str:
        return str(value)


register_converter(IDConverter, "id")
