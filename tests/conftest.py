"""Fixtures for all tests, and which tests belong to which database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django.plugin import DjangoDbBlocker

from accounts.hashers import BcryptPasswordHasher
from tests.databases import scratch_database


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what the database of this run has not: deselected, not skipped."""
    foreign = {"postgresql": "sqlite", "sqlite": "postgresql"}[
        connections["default"].vendor
    ]
    left_out = [item for item in items if item.get_closest_marker(foreign)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _cheap_password_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BcryptPasswordHasher, "rounds", 4)


@pytest.fixture
def empty_database(
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[BaseDatabaseWrapper]:
    """A connection to a database without any table, of the kind of this run."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        yield connection
