"""Whole lists as JSON that PostgreSQL writes.

For a list of some length that is several times as fast as to make values of Python from
the rows and JSON from the values. The answer is the same, digit by digit.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, models

from tradebot.api import fields
from tradebot.api.serializers import Columns

# As datetime.isoformat() has it: microseconds only where there are some.
_TIME = """
    to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS'
        || CASE WHEN date_trunc('second', {0}) = {0} THEN '' ELSE '.US' END
        || '"+00:00"')
"""
# Not NaN, which is above infinity; see ExactDecimalField.
_NUMBER = "CASE WHEN {0} > '-Infinity' AND {0} < 'Infinity' THEN {0} END"

_UNKNOWN_ID = -1


class OwnedRows:
    """A statement that answers with all rows of an owner, for ``columns``.

    ``rows`` are those of ``_UNKNOWN_ID``, in order: the id of another takes its place.
    """

    def __init__(self, columns: Columns, rows: models.QuerySet[Any]) -> None:
        self._using = rows.db
        query = rows.values_list(*(path for path, _ in columns.values())).query
        inner, self._parameters = query.get_compiler(self._using).as_sql()
        quote = connections[self._using].ops.quote_name
        stored = [f"c{index}" for index in range(len(columns))]
        # By path; what is computed besides has none and is written as it is.
        targets = dict(zip(query.values_select, query.select, strict=True))
        answered = ", ".join(
            f"{_expression(targets.get(path), name)} AS {quote(field)}"
            for (field, (path, _)), name in zip(columns.items(), stored, strict=True)
        )
        self._sql = (
            "SELECT count(*), "  # noqa: S608  # names of columns
            "coalesce(json_agg(row_to_json(answered)), '[]')::text "
            f"FROM (SELECT {answered} FROM ({inner}) AS stored ({', '.join(stored)})) "
            "AS answered"
        )

    def read(self, owner_id: int) -> tuple[int, str]:
        """Return how many rows the owner has, and all of them as JSON."""
        parameters = [
            owner_id if value == _UNKNOWN_ID else value for value in self._parameters
        ]
        with connections[self._using].cursor() as cursor:
            cursor.execute(self._sql, parameters)
            count, content = cursor.fetchone()
        return count, content


def owned_rows(
    columns: Columns, rows: models.QuerySet[Any], owner: str
) -> OwnedRows | None:
    """Return the statement for the rows of an owner, whose id is at ``owner``.

    None where PostgreSQL cannot write what the API answers.
    """
    if connections[rows.db].vendor != "postgresql":
        return None
    times = fields.UTCDateTimeField.to_representation
    for _, convert in columns.values():
        if convert is not None and getattr(convert, "__func__", None) is not times:
            return None
    return OwnedRows(columns, rows.filter(**{owner: _UNKNOWN_ID}))


def _expression(column: Any, name: str) -> str:
    match getattr(column, "target", None):
        case models.DateTimeField():
            return _TIME.format(name)
        case models.DecimalField():
            return _NUMBER.format(name)
    return name
