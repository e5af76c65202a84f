"""The catalogue of a schema, and how two of them differ.

Both sides are spelled by the database itself: what migrations say is read from a
scratch schema in which they were replayed. What the schema itself is called does not
matter, nor does the order of columns, nor storage parameters, which are there to be
tuned.
"""

from tradebot.schema.catalogue.differences import Difference, compare
from tradebot.schema.catalogue.objects import Catalogue, Object
from tradebot.schema.catalogue.replay import (
    expected_catalogue,
    read_catalogue,
    replaying,
)

__all__ = [
    "Catalogue",
    "Difference",
    "Object",
    "compare",
    "expected_catalogue",
    "read_catalogue",
    "replaying",
]
