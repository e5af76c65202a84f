"""Whether the migrations in the code are one history, before any database is asked.

Two branches of the code may each add a migration to an app, or each declare the next
documented revision; brought together they leave it open which comes first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from django.db.migrations import Migration

from tradebot.schema.faults import BranchesError, PreflightError, RevisionsError
from tradebot.schema.revisions import MigrationKey, RevisionError, declared, ordered

Migrations = Mapping[MigrationKey, Migration]
"""All that are in the code, squashed ones and what these replace included."""


def refuse_branches(migrations: Migrations) -> None:
    """Raise the fault for which these migrations are not one history."""
    if fault := branches_fault(migrations):
        raise fault


def branches_fault(migrations: Migrations) -> PreflightError | None:
    """Return the fault for which these migrations are not one history, if any."""
    if open_ := open_branches(migrations):
        listed = "; ".join(
            " and ".join(f"{app}.{name}" for name in names)
            for app, names in open_.items()
        )
        return BranchesError(branches=listed)
    if revisions := declared(migrations.values()):
        try:
            ordered(revisions)
        except RevisionError as error:
            return RevisionsError(reason=error)
    return None


def open_branches(migrations: Migrations) -> dict[str, list[str]]:
    """Return the newest migrations of each app that has more than one.

    They are those that ``makemigrations --merge`` merges, found without the graph,
    which takes longer than all the rest where there is nothing to do. A squashed
    migration stands for what it replaces, whatever a database has applied.
    """
    stands_for = {
        replaced: key
        for key, migration in migrations.items()
        for replaced in migration.replaces
    }
    newest = {stands_for.get(key, key) for key in migrations}
    for key, migration in migrations.items():
        child = stands_for.get(key, key)
        links = [(parent, child) for parent in migration.dependencies]
        links += [(child, later) for later in migration.run_before]
        for before, after in links:
            before = stands_for.get(before, before)
            after = stands_for.get(after, after)
            if before[0] == after[0] and before != after:
                newest.discard(before)
    by_app = defaultdict(list)
    for app, name in sorted(newest):
        by_app[app].append(name)
    return {app: names for app, names in by_app.items() if len(names) > 1}
