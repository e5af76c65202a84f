"""Which keys of FERNET_KEYS the stored credentials have, and giving all the first one.

Rotation goes along the table in batches, each in a transaction of its own: it can be
stopped at any moment and begun again, and it finds what is left. Who changes a row
meanwhile waits for its batch, or is waited for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apikeys import crypto
from apikeys.models import APIKey

BATCH = 200
_COLUMNS = ("encrypted_api_key", "encrypted_secret_key")


class State(Enum):
    """How the two secrets of a row are encrypted."""

    CURRENT = "current"
    """Both with the first of FERNET_KEYS."""
    OUTDATED = "to rotate"
    """Both can be read, not both with the first key."""
    UNREADABLE = "unreadable"
    """One of them at least has none of FERNET_KEYS."""


@dataclass(slots=True, kw_only=True)
class Progress:
    """What has been seen so far."""

    counts: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
    """As the rows were found."""
    unreadable: list[int] = field(default_factory=list)
    """Their ids."""
    rotated: int = 0

    def add(self, key: APIKey) -> State:
        state = state_of(key)
        self.counts[state] += 1
        if state is State.UNREADABLE:
            self.unreadable.append(key.pk)
        return state


def state_of(key: APIKey) -> State:
    tokens = [getattr(key, column) for column in _COLUMNS]
    if all(map(crypto.is_current, tokens)):
        return State.CURRENT
    if all(map(crypto.is_readable, tokens)):
        return State.OUTDATED
    return State.UNREADABLE


def look(*, batch: int = BATCH) -> Iterator[Progress]:
    """Look at every row and change none; yield the progress after each batch."""
    progress, last = Progress(), 0
    while rows := list(_after(last)[:batch]):
        for key in rows:
            progress.add(key)
        last = rows[-1].pk
        yield progress


def rotate(*, batch: int = BATCH) -> Iterator[Progress]:
    """Encrypt with the first key what has another; yield the progress after each batch.

    What cannot be read stays as it is. Nothing else of a row changes, ``updated_at``
    neither: it is the same secret.
    """
    progress, last = Progress(), 0
    while True:
        with transaction.atomic():
            rows = list(_after(last).select_for_update(no_key=True)[:batch])
            changed = [key for key in rows if progress.add(key) is State.OUTDATED]
            for key in changed:
                for column in _COLUMNS:
                    setattr(key, column, crypto.rotate(getattr(key, column)))
            APIKey.objects.bulk_update(changed, _COLUMNS)
        if not rows:
            return
        progress.rotated += len(changed)
        last = rows[-1].pk
        yield progress


def delete_unreadable(*, pk: int) -> bool:
    """Delete a row that cannot be read; its bots stay, stopped and without a key.

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
    """What the newest rows are like, for a look that has to be quick."""

    rows: int
    unreadable: list[int]
    """Ids of those among them that have none of FERNET_KEYS."""
    any_readable: bool
    """Whether one can be read, of all rows there are."""


def take_sample(*, rows: int = 1000) -> Sample:
    """Look at the newest rows; at more only where not one of them can be read."""
    newest = list(_by_age()[:rows])
    unreadable = [key.pk for key in newest if state_of(key) is State.UNREADABLE]
    any_readable = len(unreadable) < len(newest) or any(
        state_of(key) is not State.UNREADABLE
        for key in _by_age().filter(pk__lt=min(unreadable, default=0)).iterator()
    )
    return Sample(
        rows=len(newest), unreadable=unreadable, any_readable=any_readable or not newest
    )


def _after(last: int) -> QuerySet[APIKey]:
    return APIKey.objects.only("pk", *_COLUMNS).filter(pk__gt=last).order_by("pk")


def _by_age() -> QuerySet[APIKey]:
    return APIKey.objects.only("pk", *_COLUMNS).order_by("-pk")
