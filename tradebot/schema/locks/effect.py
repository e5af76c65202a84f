"""Lock modes, and what a statement does to the tables that exist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum


class LockMode(IntEnum):
    """The modes of table-level locks, the weakest first."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    @property
    def sql(self) -> str:
        """The name in LOCK TABLE and in the manual: ``ACCESS EXCLUSIVE``."""
        return self.name.replace("_", " ")

    @property
    def pg_locks(self) -> str:
        """The name in the view ``pg_locks``: ``AccessExclusiveLock``."""
        return self.name.title().replace("_", "") + "Lock"


class Work(StrEnum):
    """What is done to tables that exist while they are locked, the least first."""

    NONE = "none"
    """Changes the catalogue only: the same time however many rows there are."""
    SCAN = "scan"
    """Reads the table."""
    ROWS = "rows"
    """Inserts, updates or deletes rows."""
    BUILD = "build"
    """Builds an index."""
    REWRITE = "rewrite"
    """Writes the whole table anew, and its indexes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a statement, or several one after the other, does to tables that exist."""

    locks: Mapping[str, LockMode] = field(default_factory=dict)
    """Table -> its strongest lock. A name from another schema has that in front."""
    work: Work = Work.NONE
    transactional: bool = True
    """False where it cannot run in a transaction (CONCURRENTLY)."""
    known: bool = True
    """False where part of it could not be told: assume the worst of what is missing."""

    @property
    def blocks_reads(self) -> bool:
        """Whether a SELECT has to wait for it."""
        return not self.known or LockMode.ACCESS_EXCLUSIVE in self.locks.values()

    @property
    def blocks_writes(self) -> bool:
        """Whether INSERT, UPDATE or DELETE has to wait for it."""
        return not self.known or any(
            mode >= LockMode.SHARE for mode in self.locks.values()
        )

    def __or__(self, other: Effect) -> Effect:
        """Return the effect of both in one transaction."""
        locks = dict(self.locks)
        for table, mode in other.locks.items():
            locks[table] = max(mode, locks.get(table, mode))
        return Effect(
            locks=locks,
            work=max(self.work, other.work, key=list(Work).index),
            transactional=self.transactional and other.transactional,
            known=self.known and other.known,
        )


NOTHING = Effect()
UNKNOWN = Effect(work=Work.REWRITE, known=False)
"""What could be anything: the worst is assumed."""
