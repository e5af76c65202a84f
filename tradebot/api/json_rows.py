"""Lists by a statement that is composed once, as JSON that PostgreSQL writes.

For a list of some length that is several times as fast as to make values of Python from
the rows and JSON from the values. The answer is the same, digit by digit.
"""

from __future__ import annotations

from typing import Any, cast

from django.db import connections, models

from tradebot.api import fields
from tradebot.api.json import encode
from tradebot.api.serializers import Columns, answer_rows
from tradebot.postgresql.base import DatabaseWrapper

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
    """A statement that answers with the rows of an owner, for ``columns``.

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
        # What is left to do when PostgreSQL has written what it can.
        self._left: Columns = {
            field: (path, None if _is_time(convert) else convert)
            for field, (path, convert) in columns.items()
        }
        left = [path for path, convert in self._left.values() if convert]
        self._whole = not left
        self.is_exact = not any(
            targets[path].target.get_db_converters(connections[self._using])
            for path in left
        )
        """Whether what is read is what models would have."""
        self._sql = f"SELECT {answered} FROM ({inner}) AS stored ({', '.join(stored)})"  # noqa: S608  # names of columns
        if self._whole:
            self._sql = (
                "SELECT count(*), "  # noqa: S608  # the same
                "coalesce(array_to_json(array_agg(answered)), '[]')::text "
                f"FROM ({self._sql}) AS answered"
            )

    def read(self, owner_id: int) -> tuple[int, bytes]:
        """Return how many rows the owner has, and all of them as JSON."""
        parameters = [
            owner_id if value == _UNKNOWN_ID else value for value in self._parameters
        ]
        connection = cast(DatabaseWrapper, connections[self._using])
        with connection.prepared_cursor() as cursor:
            cursor.execute(self._sql, parameters)
            rows = cursor.fetchall()
        if self._whole:
            [(count, content)] = rows
            return count, content.encode()
        return len(rows), encode(answer_rows(self._left, rows))


def owned_rows(
    columns: Columns, rows: models.QuerySet[Any], owner: str, most: int | None
) -> OwnedRows | None:
    """Return the statement for the first ``most`` rows of an owner, for None of all.

    ``owner`` is the path to their id. Returns None where the database is not PostgreSQL
    or models read more from a column than it holds, as of JSON.
    """
    if connections[rows.db].vendor != "postgresql":
        return None
    statement = OwnedRows(columns, rows.filter(**{owner: _UNKNOWN_ID})[:most])
    return statement if statement.is_exact else None


def _is_time(convert: Any) -> bool:
    times = fields.UTCDateTimeField.to_representation
    return getattr(convert, "__func__", None) is times


def _expression(column: Any, name: str) -> str:
    match getattr(column, "target", None):
        case models.DateTimeField():
            return _TIME.format(name)
        case models.DecimalField():
            return _NUMBER.format(name)
    return name
