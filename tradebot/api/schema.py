"""The OpenAPI document: what every view has in common."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from drf_spectacular.openapi import AutoSchema

from tradebot.api.problems import MEDIA_TYPE, TITLES, ProblemSerializer

_BOUNDS = {"minimum", "maximum", "minLength", "maxLength"}


def answers_without_bounds(result: Any, **kwargs: Any) -> Any:
    """Leave bounds to what is sent: a hook of drf-spectacular.

    Rows that were stored before break some of them, and errors have any length.
    """
    for name, shape in result["components"]["schemas"].items():
        if "properties" in shape and not name.endswith("Request"):
            shape["properties"] = {
                field: _without_bounds(one)
                for field, one in shape["properties"].items()
            }
    return result


def _without_bounds(shape: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in shape.items() if key not in _BOUNDS}
    if "items" in kept:
        kept["items"] = _without_bounds(kept["items"])
    return kept


class ProblemAutoSchema(AutoSchema):
    """Declare the problem details that an operation can answer with.

    Most follow from its authentication, path and body. A view names the others in
    ``problems``: status codes by method.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        reference = self.resolve_serializer(ProblemSerializer, "response").ref
        for status in sorted(set(self._problems(operation))):
            operation["responses"].setdefault(
                str(status),
                {
                    "description": TITLES[status],
                    "content": {MEDIA_TYPE: {"schema": reference}},
                },
            )
        return operation

    def get_override_parameters(self) -> list[Any]:
        filters = getattr(self.view, "filters", None)
        listed = getattr(self.view, "action", None) == "list"
        return [filters] if filters is not None and listed else []

    def _problems(self, operation: dict[str, Any]) -> Iterator[int]:
        yield from getattr(self.view, "problems", {}).get(self.method, ())
        if self.view.get_authenticators():
            yield HTTPStatus.BAD_REQUEST  # an inactive user
            yield HTTPStatus.UNAUTHORIZED
        # The database may be away.
        if getattr(self.view, "asks_the_database", True):
            yield HTTPStatus.SERVICE_UNAVAILABLE
        if "{" in self.path:
            yield HTTPStatus.NOT_FOUND
        if "requestBody" in operation:
            yield HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            yield HTTPStatus.UNSUPPORTED_MEDIA_TYPE
            yield HTTPStatus.UNPROCESSABLE_ENTITY
        elif any(
            one["in"] == "query" or one["schema"].get("type") == "integer"
            for one in operation.get("parameters", ())
        ):
            yield HTTPStatus.UNPROCESSABLE_ENTITY
