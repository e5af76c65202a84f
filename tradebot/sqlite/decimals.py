"""The functions and the collation that SQLite lacks for exact decimal numbers."""

from __future__ import annotations

import decimal
import sqlite3
from collections.abc import Callable
from decimal import Decimal
from typing import Any

COLLATION = "decimal"
ADD, SUBTRACT, MULTIPLY = "DECIMAL_ADD", "DECIMAL_SUB", "DECIMAL_MUL"
SUM = "DECIMAL_SUM"

# Wide enough for any product of stored numbers; a result that still does not fit is an
# error, never a rounded number.
EXACT = decimal.Context(
    prec=10_000,
    traps=[decimal.Inexact, decimal.InvalidOperation, decimal.Overflow],
)


def register(connection: sqlite3.Connection) -> None:
    """Add the decimal functions and the collation to a new connection."""
    connection.create_collation(COLLATION, compare)
    for name, operation in (
        (ADD, EXACT.add),
        (SUBTRACT, EXACT.subtract),
        (MULTIPLY, EXACT.multiply),
    ):
        connection.create_function(name, 2, _binary(operation), deterministic=True)
    # typeshed knows aggregates of integers only.
    connection.create_aggregate(SUM, 1, DecimalSum)  # type: ignore[arg-type]


def compare(left: str, right: str) -> int:
    """Order two texts by the number they spell: -1, 0 or 1.

    A text that spells none comes after every number, by its letters: SQLite swallows
    an error raised here, and would take the two for equal.
    """
    a, b = _key(left), _key(right)
    return (a > b) - (a < b)


def _key(text: str) -> tuple[int, Decimal, str]:
    try:
        number = Decimal(text)
    except decimal.InvalidOperation:
        return 1, Decimal(0), text
    if number.is_nan():
        return 1, Decimal(0), text
    return 0, number, ""


def parse(value: str | int | float) -> Decimal:
    """Return the number that SQLite handed over.

    Raises TypeError for a float, which has lost digits, and ValueError for a text that
    is no number.
    """
    if isinstance(value, float):
        raise TypeError(
            f"SQLite computed the float {value!r} where an exact decimal was expected"
        )
    try:
        return Decimal(value)
    except decimal.InvalidOperation:
        raise ValueError(f"the stored text {value!r} is not a decimal number") from None


def spell(value: Decimal) -> str:
    """Return the text in which a number is stored: plain digits, no -0."""
    return format(value if value else value.copy_abs(), "f")


class DecimalSum:
    """The aggregate DECIMAL_SUM: like SUM, NULL for no rows, but exact."""

    def __init__(self) -> None:
        self.total: Decimal | None = None

    def step(self, value: Any, /) -> None:
        if value is not None:
            number = parse(value)
            self.total = number if self.total is None else EXACT.add(self.total, number)

    def finalize(self) -> str | None:
        return None if self.total is None else spell(self.total)


def _binary(
    operation: Callable[[Decimal, Decimal], Decimal],
) -> Callable[[str | int | None, str | int | None], str | None]:
    def function(left: str | int | None, right: str | int | None) -> str | None:
        if left is None or right is None:
            return None
        return spell(operation(parse(left), parse(right)))

    return function
