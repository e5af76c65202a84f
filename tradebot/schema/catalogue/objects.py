"""What a catalogue is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """A table, a column, an index …: one thing that has a name in a schema.

    ``attributes`` are what can differ, in words for people; ``definition`` is SQL that
    makes the object, or the part of such SQL that comes after its name.
    """

    kind: str
    own_name: str
    table: str = ""
    """The table or view that it is part of."""
    attributes: Mapping[str, object]
    definition: str = ""

    @property
    def name(self) -> str:
        """The name that is unique among the objects of its kind."""
        if not self.table or self.kind == "sequence":
            return self.own_name
        if self.kind == "column":
            return f"{self.table}.{self.own_name}"
        return f"{self.own_name} on {self.table}"

    @property
    def quoted(self) -> str:
        """Its own name as an identifier of SQL."""
        return quote(self.own_name)

    @property
    def quoted_table(self) -> str:
        """The table that it is part of, as an identifier of SQL."""
        return quote(self.table)


def quote(name: str) -> str:
    """Return a name as an identifier of SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


Catalogue = Mapping[tuple[str, str], Object]
"""Objects by their kind and name."""

RELATIONS = ("table", "view", "materialized view")
"""The kinds of objects that others are part of."""
