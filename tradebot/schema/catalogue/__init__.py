"""The catalogue of a PostgreSQL schema, and how two of them differ.

Both sides are spelled by the server itself: what migrations say is read from a scratch
schema in which they were replayed. What the schema itself is called does not matter,
nor does the order of columns, nor storage parameters, which are there to be tuned.
"""

from tradebot.schema.catalogue.differences import Difference, compare
from tradebot.schema.catalogue.reading import (
    Catalogue,
    Object,
    expected_catalogue,
    read_catalogue,
)

__all__ = [
    "Catalogue",
    "Difference",
    "Object",
    "compare",
    "expected_catalogue",
    "read_catalogue",
]
