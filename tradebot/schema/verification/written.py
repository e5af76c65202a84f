"""The migrations as they are written, without a database: graph and documented map."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from django.db.migrations import Migration
from django.db.migrations.exceptions import CircularDependencyError

from tradebot.schema.branches import open_branches
from tradebot.schema.revisions import MigrationKey, Revision, RevisionError
from tradebot.schema.verification.code import Code, Subject, label
from tradebot.schema.verification.results import Problem

_NAME = re.compile(r"\d{4}_[a-z]+(_[a-z0-9]+)+")
_ID = re.compile(r"[0-9a-f]{12}")
_HISTORY = "52151e7c28d22d55"
"""What the documented history is: the old program's is over and never changes."""
_SQUASH = "squash all documented migrations of the app that change the schema"


def check_graph(subject: Subject) -> Iterator[Problem]:
    """Look at dependencies, newest migrations, names and docstrings."""
    code = subject.code
    missing = list(_missing(code))
    yield from missing
    for app, names in open_branches(code.migrations).items():
        yield Problem(
            message=f"{app} has more than one newest migration: {', '.join(names)}",
            repair="manage.py makemigrations --merge",
        )
    if not missing:
        yield from _circles(code)
    for key, migration in code.own_migrations().items():
        yield from _style(".".join(key), migration)


def _missing(code: Code) -> Iterator[Problem]:
    apps = {app for app, _ in code.migrations} | code.unmigrated
    for migration in code.migrations.values():
        for app, name in (*migration.dependencies, *migration.run_before):
            is_there = (
                app in apps
                if name.startswith("__")
                else ((app, name) in code.migrations)
            )
            if not is_there:
                yield Problem(
                    message=f"{label(migration)} depends on {app}.{name}, which is "
                    "not there",
                    repair="correct its dependencies, or bring the other one back",
                )


def _circles(code: Code) -> Iterator[Problem]:
    for squashed in (False, True):
        try:
            code.loader(squashed=squashed)
        except CircularDependencyError as error:
            yield Problem(
                message=f"migrations depend on each other in a circle: {error}",
                repair="take one of these dependencies away",
            )
            return


def _style(name: str, migration: Migration) -> Iterator[Problem]:
    if not _NAME.fullmatch(migration.name) or "_auto_" in migration.name:
        yield Problem(
            message=f"{name} is not named for what it does",
            repair="manage.py makemigrations --name add_…, such as "
            "0003_add_user_admin_columns",
        )
    module = inspect.getmodule(type(migration))
    if not (module and module.__doc__ and module.__doc__.strip()):
        yield Problem(
            message=f"{name} has no docstring",
            repair="say in one what it does, and what its reverse does",
        )


# --- The documented map -----------------------------------------------------------


def check_documented(subject: Subject) -> Iterator[Problem]:
    """Look at what mirrors the revisions of the old program."""
    code = subject.code
    try:
        revisions = code.revisions()
    except RevisionError as error:
        yield Problem(
            message=str(error),
            repair="correct revision and revises of the migrations that mirror "
            "documented revisions",
        )
        return
    yield from _half_declared(code)
    for each in revisions:
        if not _ID.fullmatch(each.id):
            yield Problem(
                message=f"{'.'.join(each.migration)} mirrors revision {each.id!r}, "
                "which is not 12 hexadecimal digits",
                repair="write the id as Alembic has it",
            )
    if digest(revisions) != _HISTORY:
        yield Problem(
            message=f"the {len(revisions)} documented revisions are not those of the "
            "old program, or do not follow each other as they did there",
            repair="take the change of revision and revises back: that history is over",
        )
    yield from _dependencies(code, revisions)
    yield from _after_the_head(code, revisions)
    yield from _squashes(code, revisions)


def digest(revisions: Collection[Revision]) -> str:
    """Return what tells one documented history from another."""
    text = "\n".join(
        sorted(f"{each.id} {','.join(each.revises)}" for each in revisions)
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _half_declared(code: Code) -> Iterator[Problem]:
    for migration in code.migrations.values():
        if hasattr(migration, "revision") != hasattr(migration, "revises"):
            yield Problem(
                message=f"{label(migration)} has only one of revision and revises",
                repair="declare both, or none",
            )


def _dependencies(code: Code, revisions: Collection[Revision]) -> Iterator[Problem]:
    by_key = {each.migration: each for each in revisions}
    before: dict[str, set[str]] = {}
    for each in revisions:  # oldest first
        before[each.id] = set(each.revises).union(*map(before.get, each.revises))  # type: ignore[arg-type]  # all are there
        for parent in code.migrations[each.migration].dependencies:
            there = by_key.get(parent)
            if there is None or there.id not in before[each.id]:
                yield Problem(
                    message=f"{'.'.join(each.migration)} mirrors {each.id} and "
                    f"depends on {'.'.join(parent)}, which does not come before that "
                    "in the documented history",
                    repair="let the other one depend on it, or correct revises",
                )


def _after_the_head(code: Code, revisions: list[Revision]) -> Iterator[Problem]:
    """Look whether the documented head is a clean cut."""
    head = revisions[-1].migration
    documented = {each.migration for each in revisions}
    after: set[MigrationKey] = {head}
    later = {
        key: migration
        for key, migration in code.own_migrations().items()
        if key not in documented and not migration.replaces
    }
    while found := {
        key
        for key, migration in later.items()
        if key not in after and after & set(migration.dependencies)
    }:
        after |= found
    by_app = defaultdict(list)
    for key in later.keys() - after:
        by_app[key[0]].append(key)
    for keys in by_app.values():
        name = ".".join(min(keys))
        yield Problem(
            message=f"{name} does not come after the documented head, {'.'.join(head)}",
            repair=f"add {head!r} to its dependencies",
        )


def _squashes(code: Code, revisions: Collection[Revision]) -> Iterator[Problem]:
    """Look whether each app's documented migrations have the squashed one they need."""
    chains: defaultdict[str, list[MigrationKey]] = defaultdict(list)
    for each in revisions:
        if code.migrations[each.migration].operations:
            chains[each.migration[0]].append(each.migration)
    squashed: Mapping[str, Migration] = {
        key[0]: migration
        for key, migration in code.own_migrations().items()
        if migration.replaces
    }
    for app, chain in chains.items():
        if app not in squashed and len(chain) > 1:
            yield Problem(
                message=f"{app} has {len(chain)} documented migrations and no "
                "squashed one",
                repair=_SQUASH,
            )
    for app, migration in squashed.items():
        replaced = list(map(tuple, migration.replaces))
        if replaced != chains[app]:
            yield Problem(
                message=f"{label(migration)} replaces "
                f"{', '.join(name for _, name in replaced)}; expected "
                f"{', '.join(name for _, name in chains[app]) or 'none'}",
                repair=_SQUASH,
            )
