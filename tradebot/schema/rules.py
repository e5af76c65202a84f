"""What rows have to be like before a migration can tighten their table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DataRule:
    """A demand of a pending migration on the rows that are there.

    ``where`` selects the rows that break it. ``repair`` is what an UPDATE of them would
    set, or None where rows have to be deleted; ``repaired`` says it in words.
    """

    name: str
    table: str
    key: str
    problem: str
    where: str
    repair: str | None
    repaired: str
    show: tuple[str, ...] = ()
    setup: str | None = None
    only: str | None = None
    """The database that has the rule, where not all have it."""
