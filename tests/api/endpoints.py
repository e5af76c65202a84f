"""Every operation of the API, read from the document that the server gives out."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator


@cache
def document() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
    return schema


@cache
def _declared() -> dict[tuple[str, str], Any]:
    return {
        (
            method.upper(),
            re.sub(r"\{.*?\}", "1", path.replace("{market_type}", "spot")).removeprefix(
                "/api/v1"
            ),
        ): operation
        for path, methods in document()["paths"].items()
        if path.startswith("/api/v1/")
        for method, operation in methods.items()
    }


def operations() -> list[tuple[str, str]]:
    """Return the method and the path of every operation.

    Ids in paths are ``1``, a market is ``spot``.
    """
    return list(_declared())


def writes() -> list[tuple[str, str]]:
    """Return the operations that read a body."""
    return [one for one, content in _declared().items() if "requestBody" in content]


def protected() -> list[tuple[str, str]]:
    """Return the operations that ask who is there."""
    public = {
        "/auth/login",
        "/auth/register",
        "/auth/forgot-password",
        "/auth/reset-password",
        "/symbols/spot",
        "/symbols/futures",
    }
    return [one for one in operations() if one[1] not in public]


def written_fields(method: str, path: str) -> list[str]:
    """Return the names of the fields in the body of an operation."""
    content = _declared()[method, path]["requestBody"]["content"]
    name = content["application/json"]["schema"]["$ref"].split("/")[-1]
    return list(document()["components"]["schemas"][name]["properties"])


def with_ids(path: str, ids: dict[str, int]) -> str:
    """Return a path with an id in place of its ``1``; ``ids`` by what is before."""
    if "/1" not in path:
        return path
    before = path.partition("/1")[0].removeprefix("/")
    id_ = ids.get(before) or ids[before.partition("/")[0]]
    return path.replace("/1", f"/{id_}")
