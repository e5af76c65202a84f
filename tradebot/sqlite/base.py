"""The database backend: ``"ENGINE": "tradebot.sqlite"``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.db.backends.sqlite3 import base, operations
from django.db.models import Expression

from tradebot.sqlite import decimals


class DatabaseOperations(operations.DatabaseOperations):
    compiler_module = "tradebot.sqlite.compiler"

    def adapt_decimalfield_value(
        self,
        value: Decimal | None,
        max_digits: int | None = None,
        decimal_places: int | None = None,
    ) -> str | None:
        return None if value is None else decimals.spell(value)

    def get_decimalfield_converter(
        self, expression: Expression
    ) -> Callable[[Any, Any, Any], Decimal | None]:
        def convert(value: Any, expression: Any, connection: Any) -> Decimal | None:
            return None if value is None else decimals.parse(value)

        return convert


class DatabaseWrapper(base.DatabaseWrapper):
    # "text" has the affinity that keeps every digit; the collation comes with
    # the field (ExactDecimalField).
    data_types = {**base.DatabaseWrapper.data_types, "DecimalField": "text"}
    ops_class = DatabaseOperations

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        decimals.register(connection)
        # SQLite's own knows ASCII alone: ä@example.com would be no Ä@example.com.
        connection.create_function("lower", 1, _lower, deterministic=True)
        return connection


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
