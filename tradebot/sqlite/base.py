"""The database backend: ``"ENGINE": "tradebot.sqlite"``."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

from django.db.backends.sqlite3 import base, operations
from django.db.backends.utils import CursorWrapper
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
        _make_private(str(conn_params["database"]))
        connection: sqlite3.Connection = super().get_new_connection(conn_params)
        decimals.register(connection)
        # SQLite's own knows ASCII alone: ä@example.com would be no Ä@example.com.
        connection.create_function("lower", 1, _lower, deterministic=True)
        return connection

    def prepared_cursor(self) -> CursorWrapper:
        """Return a cursor: those of SQLite keep statements that are asked for often."""
        return self.cursor()


def _make_private(name: str) -> None:
    """Make the file of a new database, for its owner alone.

    SQLite would let everybody read it; what it makes beside it, it makes like it. A
    file that is there stays as it is.
    """
    if name == ":memory:" or name.startswith("file:"):
        return
    # What is wrong with the path, SQLite tells.
    with suppress(OSError):
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
