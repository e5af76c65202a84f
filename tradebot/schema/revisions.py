"""The documented revisions, read from the migrations that mirror them.

A migration that mirrors a documented revision says so in two attributes: ``revision``,
its id, and ``revises``, the ids before it. That is the only place where the two are put
side by side. Django's ``dependencies`` carry only what the schema needs: the documented
order across apps, put there, would make every squashed migration circular.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader

from tradebot.errors import TradeBotError

MigrationKey = tuple[str, str]
"""App label and name of a migration, as in Django's own graph."""


class RevisionError(TradeBotError):
    """The migrations do not declare one history from one base to one head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A documented revision and the migration that mirrors it."""

    id: str
    revises: tuple[str, ...]
    migration: MigrationKey


def load_revisions() -> list[Revision]:
    """Return the documented revisions of the installed apps, oldest first.

    Raises RevisionError where the declarations contradict each other.
    """
    loader = MigrationLoader(None)
    return ordered(declared(loader.disk_migrations.values()))


def declared(migrations: Iterable[Migration]) -> list[Revision]:
    """Return what these migrations declare, in no order."""
    return [
        Revision(
            id=migration.revision,
            revises=tuple(migration.revises),
            migration=(migration.app_label, migration.name),
        )
        for migration in migrations
        if hasattr(migration, "revision") and hasattr(migration, "revises")
    ]


def ancestors(id_: str) -> set[str]:
    """Return the ids of all revisions before this one."""
    revisions = {revision.id: revision for revision in load_revisions()}
    found: set[str] = set()
    open_ = list(revisions[id_].revises)
    while open_:
        parent = open_.pop()
        if parent not in found:
            found.add(parent)
            open_.extend(revisions[parent].revises)
    return found


def migrations_at(*heads: str) -> list[MigrationKey]:
    """Return the migrations of these revisions and of all before them, in order."""
    wanted = set(heads).union(*map(ancestors, heads))
    return [
        revision.migration for revision in load_revisions() if revision.id in wanted
    ]


def ordered(revisions: Iterable[Revision]) -> list[Revision]:
    """Return the revisions so that each comes after those it revises.

    Of two branches the one that the merge names first comes first. Raises RevisionError
    for a doubled id, an unknown one, a cycle, or more than one base or head.
    """
    by_id: dict[str, Revision] = {}
    for revision in revisions:
        if other := by_id.get(revision.id):
            raise RevisionError(
                f"revision {revision.id} is declared by {_name(other)} and by "
                f"{_name(revision)}: each has one migration"
            )
        by_id[revision.id] = revision
    revised = {parent for revision in by_id.values() for parent in revision.revises}
    if unknown := sorted(revised - by_id.keys()):
        raise RevisionError(f"no migration declares revision {', '.join(unknown)}")
    heads = sorted(by_id.keys() - revised)
    bases = sorted(id_ for id_, revision in by_id.items() if not revision.revises)
    if len(heads) != 1 or len(bases) != 1:
        raise RevisionError(
            f"one base and one head expected, found bases {bases} and heads {heads}"
        )
    result: list[Revision] = []
    done: set[str] = set()
    open_: set[str] = set()

    def visit(revision: Revision) -> None:
        if revision.id in done:
            return
        if revision.id in open_:
            raise RevisionError(f"revision {revision.id} comes before itself")
        open_.add(revision.id)
        for parent in revision.revises:
            visit(by_id[parent])
        done.add(revision.id)
        result.append(revision)

    visit(by_id[heads[0]])
    if left := sorted(by_id.keys() - done):
        raise RevisionError(f"revision {', '.join(left)} comes before itself")
    return result


def _name(revision: Revision) -> str:
    return ".".join(revision.migration)
