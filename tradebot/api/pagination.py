"""Pages of lists that stay bare arrays: what is left goes into headers."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from rest_framework import serializers
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from tradebot.api.fields import MAX_INTEGER, IntegerField


class HeaderPagination(BasePagination):
    """``limit`` and ``offset``; without them the whole list, or its first page.

    ``X-Total-Count`` has the number of objects in all pages, ``Link`` (RFC 8288) the
    pages beside this one. Raises ValidationError for numbers that are none.
    """

    default_limit: int | None = None
    max_limit = MAX_INTEGER

    def paginate_queryset(
        self, queryset: Any, request: Request, view: APIView | None = None
    ) -> list[Any]:
        """Return a page of a queryset or of a list."""
        self.url = request.build_absolute_uri()
        self.limit, self.offset = self._window(request)
        if self.limit is None and not self.offset:
            rows = list(queryset)
            self.count = len(rows)
            return rows
        end = None if self.limit is None else self.offset + self.limit
        rows = list(queryset[self.offset : end])
        self.count = self.offset + len(rows)
        if not rows or len(rows) == self.limit:  # there may be others
            whole = isinstance(queryset, list)
            self.count = len(queryset) if whole else queryset.count()
        return rows

    def errors(self, query: QueryDict) -> dict[str, Any]:
        """Return what is wrong with the numbers, by their names."""
        window = self._asked(query)
        window.is_valid()
        return dict(window.errors)

    def _window(self, request: Request) -> tuple[int | None, int]:
        query = request.query_params
        if "limit" not in query and "offset" not in query:
            return self.default_limit, 0
        window = self._asked(query)
        window.is_valid(raise_exception=True)
        return window.validated_data["limit"], window.validated_data["offset"]

    def _asked(self, query: QueryDict) -> serializers.Serializer[Any]:
        window: serializers.Serializer[Any] = serializers.Serializer(data=query.dict())
        window.fields["limit"] = IntegerField(
            min_value=1, max_value=self.max_limit, default=self.default_limit
        )
        window.fields["offset"] = IntegerField(min_value=0, default=0)
        return window

    def get_paginated_response(self, data: Any) -> Response:
        return Response(data, headers=self._headers())

    def first_headers(self, request: Request, count: int) -> dict[str, str]:
        """Return the headers of a list of ``count`` objects of which no page was asked
        for.
        """
        self.url, self.count = request.build_absolute_uri(), count
        self.limit, self.offset = self.default_limit, 0
        return self._headers()

    def _headers(self) -> dict[str, str]:
        headers = {"X-Total-Count": str(self.count)}
        if links := self._links():
            headers["Link"] = ", ".join(
                f'<{replace_query_param(self.url, "offset", str(offset))}>; rel="{rel}"'
                for rel, offset in links.items()
            )
        return headers

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
        limit: dict[str, Any] = {"type": "integer", "minimum": 1}
        if self.max_limit != MAX_INTEGER:
            limit["maximum"] = self.max_limit
        without = "all"
        if self.default_limit is not None:
            limit["default"] = self.default_limit
            without = str(self.default_limit)
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": description,
                "schema": schema,
            }
            for name, schema, description in (
                (
                    "limit",
                    limit,
                    f"How many objects to return at most; {without} if omitted.",
                ),
                (
                    "offset",
                    {"type": "integer", "minimum": 0, "default": 0},
                    "How many objects to skip.",
                ),
            )
        ]

    def get_paginated_response_schema(self, schema: Any) -> Any:
        return schema
