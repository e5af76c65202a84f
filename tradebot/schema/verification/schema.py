"""The schema that migrations make, by replaying them: models, squashes, reverses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from graphlib import TopologicalSorter
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.state import ProjectState

from tradebot.schema.catalogue import Difference, compare
from tradebot.schema.losses import columns_of
from tradebot.schema.scratch import replay_all
from tradebot.schema.steps import StepEditor
from tradebot.schema.verification.code import (
    BrokenError,
    Move,
    Subject,
    label,
    taken_back,
    told,
)
from tradebot.schema.verification.results import Problem


def check_models(subject: Subject) -> Iterator[Problem]:
    """Compare the models with the migrations, and both with what these make."""
    newest = subject.newest_state()
    detector = MigrationAutodetector(newest, subject.code.models)
    changes = detector.changes(graph=subject.code.loader(squashed=False).graph)
    for app, migrations in changes.items():
        for migration in migrations:
            for operation in migration.operations:
                yield Problem(
                    message=f"no migration of {app} has this change of the models: "
                    f"{operation.describe()}",
                    repair=f"manage.py makemigrations {app}",
                )
    if subject.vendor != "postgresql":
        return  # SQLite spells the same table in several ways
    with subject.scratch() as replay:
        with told("the tables of the models cannot be made"):
            _make_tables(replay.connection, newest)
        expected = replay.read()
    for each in compare(expected, subject.catalogues[-1]):
        yield Problem(
            message=f"the migrations say one thing and make another: {each}",
            repair=f"let a migration do to the database what it says: {each.repair}",
        )


def _make_tables(connection: BaseDatabaseWrapper, state: ProjectState) -> None:
    """Make the tables of models at once, without the way that led there."""
    models = {
        model: {
            field.related_model
            for field in model._meta.local_fields
            if field.is_relation and field.related_model is not model
        }
        for model in state.apps.get_models()
        if model._meta.managed and not model._meta.proxy
    }
    with StepEditor(connection) as editor:
        order: Any = TopologicalSorter(models).static_order()
        for model in order:
            editor.create_model(model)
    replay_all(connection, editor.steps)


def check_squashed(subject: Subject) -> Iterator[Problem]:
    """Compare what the squashed migrations make with what the chain makes."""
    with subject.scratch() as replay:
        for move in subject.short_way:
            move.apply(replay.connection)
        found = replay.read()
    for each in compare(subject.catalogues[-1], found, subject.vendor):
        yield Problem(
            message=f"the squashed way makes another schema than the chain: {each}",
            repair="let the squashed migration do what those that it replaces do",
        )


def check_reverse(subject: Subject) -> Iterator[Problem]:
    """Undo each migration right after it was applied, and compare."""
    for move in subject.chain:
        yield from _unkept(move)
    catalogues = subject.catalogues
    with subject.scratch() as replay:
        connection = replay.connection
        for place, move in enumerate(subject.chain):
            move.apply(connection)
            try:
                with taken_back(connection):
                    move.undo(connection)
                    found = replay.read()
            except BrokenError as error:
                yield Problem.of(error)
                continue
            differences = compare(catalogues[place], found, subject.vendor)
            yield from _left(move, differences)


def _left(move: Move, differences: Iterable[Difference]) -> Iterator[Problem]:
    for each in differences:
        yield Problem(
            message=f"{label(move.migration)} is undone and leaves another schema "
            f"than was there before it: {each}",
            repair=f"let its reverse do what is missing: {each.repair}",
        )


def _unkept(move: Move) -> Iterator[Problem]:
    """Look whether what a migration or its reverse drops is kept for the way back."""
    if move.migration.atomic:
        return
    before, after = columns_of(move.before), columns_of(move.after)
    for what, lost in (
        ("drops", before - after),
        ("drops when undone", after - before),
    ):
        for table, column in sorted(lost):
            yield Problem(
                message=f"{label(move.migration)} is not atomic and {what} "
                f"{f'{table}.{column}' if column else table}: what that holds is not "
                "kept",
                repair="put it into a migration of its own that is atomic",
            )
