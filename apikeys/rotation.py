"""Which keys of FERNET_KEYS the stored secrets have, and giving all the first one.

Secrets are in the columns whose names begin with ``encrypted_``, of whatever table:
those of exchange keys, and of what other apps keep. Rotation goes along each table in
batches, each in a transaction of its own: it can be stopped at any moment and begun
again, and it finds what is left. Who changes a row meanwhile waits for its batch, or is
waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from django.apps import apps
from django.db import transaction
from django.db.models import Model, QuerySet
from django.utils import timezone

from apikeys import crypto
from apikeys.models import APIKey

BATCH = 200


class State(Enum):
    """How the secrets of a row are encrypted."""

    CURRENT = "current"
    """All with the first of FERNET_KEYS."""
    OUTDATED = "to rotate"
    """All can be read, not all with the first key."""
    UNREADABLE = "unreadable"
    """One of them at least has none of FERNET_KEYS."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """What has been seen so far."""

    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    """As the rows were found."""
    unreadable: dict[str, list[int]] = field(default_factory=dict)
    """Their keys, by the name of the table."""
    rotated: int = 0

    def add(self, row: Model) -> State:
        state = state_of(row)
        self.counts[state] += 1
        if state is State.UNREADABLE:
            self.unreadable.setdefault(row._meta.db_table, []).append(row.pk)
        return state


def state_of(row: Model) -> State:
    tokens = [getattr(row, column) for column in _columns(type(row))]
    if all(map(crypto.is_current, tokens)):
        return State.CURRENT
    if all(map(crypto.is_readable, tokens)):
        return State.OUTDATED
    return State.UNREADABLE


def look(*, batch: int = BATCH) -> Iterator[Progress]:
    """Look at every row and change none; yield the progress after each batch."""
    progress = Progress()
    for model in _models():
        last = 0
        while rows := list(_after(model, last)[:batch]):
            for row in rows:
                progress.add(row)
            last = rows[-1].pk
            yield progress


def rotate(*, batch: int = BATCH) -> Iterator[Progress]:
    """Encrypt with the first key what has another; yield the progress after each batch.

    What cannot be read stays as it is. Nothing else of a row changes, ``updated_at``
    neither: it is the same secret.
    """
    progress = Progress()
    for model in _models():
        last: int | None = 0
        while last is not None:
            last = _rotate_batch(model, last, batch, progress)
            if last is not None:
                yield progress


@transaction.atomic
def _rotate_batch(
    model: type[Model], last: int, batch: int, progress: Progress
) -> int | None:
    """Rotate the rows after ``last``; return the last of them, None without any."""
    columns = _columns(model)
    rows = list(_after(model, last).select_for_update(no_key=True)[:batch])
    changed = [row for row in rows if progress.add(row) is State.OUTDATED]
    for row in changed:
        for column in columns:
            setattr(row, column, crypto.rotate(getattr(row, column)))
    model._default_manager.bulk_update(changed, columns)
    progress.rotated += len(changed)
    return rows[-1].pk if rows else None


def delete_unreadable(*, pk: int) -> bool:
    """Delete an exchange key that cannot be read; its bots stay, stopped, without it.

    Returns whether it did: not where the row can be read or is not there.
    """
    with transaction.atomic():
        key = APIKey.objects.select_for_update().filter(pk=pk).first()
        if key is None or state_of(key) is not State.UNREADABLE:
            return False
        key.bot_configs.update(api_key=None, is_active=False, updated_at=timezone.now())
        key.delete()
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the newest secrets are like, for a look that has to be quick."""

    unreadable: dict[str, list[int]]
    """Keys of those among them that have none of FERNET_KEYS, by their table."""
    any_key_readable: bool
    """Whether one exchange key can be read, of all there are; also where none is."""


def take_sample(*, rows: int = 1000) -> Sample:
    """Look at the newest rows of each table; at more exchange keys only where not one
    of them can be read.
    """
    newest = {model: list(_by_age(model)[:rows]) for model in _models()}
    unreadable = {
        model._meta.db_table: lost
        for model, found in newest.items()
        if (lost := [row.pk for row in found if state_of(row) is State.UNREADABLE])
    }
    lost_keys = unreadable.get(APIKey._meta.db_table, [])
    return Sample(
        unreadable=unreadable,
        any_key_readable=not lost_keys
        or len(lost_keys) < len(newest[APIKey])
        or any(
            state_of(key) is not State.UNREADABLE
            for key in _by_age(APIKey).filter(pk__lt=min(lost_keys)).iterator()
        ),
    )


def _models() -> list[type[Model]]:
    return [model for model in apps.get_models() if _columns(model)]


def _columns(model: type[Model]) -> list[str]:
    names = [field.name for field in model._meta.concrete_fields]
    return [name for name in names if name.startswith("encrypted_")]


def _after(model: type[Model], last: int) -> QuerySet[Any]:
    rows = model._default_manager.only("pk", *_columns(model))
    return rows.filter(pk__gt=last).order_by("pk")


def _by_age(model: type[Model]) -> QuerySet[Any]:
    rows = model._default_manager.only("pk", *_columns(model))
    return rows.order_by("-pk")
