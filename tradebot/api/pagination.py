"""Pages of lists that stay bare arrays: what is left goes into headers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from tradebot.api.fields import IntegerField


class _Window(serializers.Serializer[Any]):
    limit = IntegerField(min_value=1, required=False)
    offset = IntegerField(min_value=0, default=0)


class HeaderPagination(BasePagination):
    """``limit`` and ``offset``; without them the whole list.

    ``X-Total-Count`` has the number of objects in all pages, ``Link`` (RFC 8288) the
    pages beside this one. Raises ValidationError for numbers that are none.
    """

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        window = _Window(data=request.query_params.dict())
        window.is_valid(raise_exception=True)
        self.url = request.build_absolute_uri()
        self.limit: int | None = window.validated_data.get("limit")
        self.offset: int = window.validated_data["offset"]
        if self.limit is None and not self.offset:
            rows = list(queryset)
            self.count = len(rows)
            return rows
        self.count = queryset.count()
        end = None if self.limit is None else self.offset + self.limit
        return list(queryset[self.offset : end])

    def get_paginated_response(self, data: Any) -> Response:
        headers = {"X-Total-Count": str(self.count)}
        if links := self._links():
            headers["Link"] = ", ".join(
                f'<{replace_query_param(self.url, "offset", str(offset))}>; rel="{rel}"'
                for rel, offset in links.items()
            )
        return Response(data, headers=headers)

    def _links(self) -> dict[str, int]:
        """Return the offsets of the pages that a client may go on to."""
        if self.limit is None:
            return {}
        links = {"first": 0}
        if self.offset:
            links["prev"] = max(self.offset - self.limit, 0)
        if self.offset + self.limit < self.count:
            links["next"] = self.offset + self.limit
        return links

    def get_schema_operation_parameters(self, view: APIView) -> list[Any]:
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": {"type": "integer", "minimum": minimum},
            }
            for name, minimum, description in (
                ("limit", 1, "How many objects to return at most; all if omitted."),
                ("offset", 0, "How many objects to skip."),
            )
        ]

    def get_paginated_response_schema(self, schema: Any) -> Any:
        return schema
