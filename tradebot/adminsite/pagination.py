"""Pages of tables that are too long to be counted."""

from __future__ import annotations

from functools import cached_property

from django.core.paginator import Paginator

LIMIT = 10_000  # rows: 200 pages


class CappedPaginator(Paginator):
    """Pages of the first 10,000 rows; filters and dates lead to the others.

    To count millions of rows takes seconds, and each page of a list would do it.
    """

    template_name = "admin/capped_pagination.html"

    @cached_property
    def count(self) -> int:
        rows = self.object_list.order_by()  # type: ignore[attr-defined]  # a QuerySet
        return int(rows.values("pk")[:LIMIT].count())

    @property
    def is_capped(self) -> bool:
        """Whether there may be more rows than the pages have."""
        return self.count == LIMIT
