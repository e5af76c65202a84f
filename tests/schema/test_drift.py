"""Drift between a database, its migrations and the models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.schema.seeded_differences import OTHER_KINDS, OTHER_SEEDS, SEEDS, Seed
from tradebot.schema.catalogue import (
    Catalogue,
    Difference,
    compare,
    expected_catalogue,
    read_catalogue,
)
from tradebot.schema.executor import MigrationExecutor


def newest(connection: BaseDatabaseWrapper) -> Catalogue:
    """Return what all migrations make."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    return expected_catalogue(connection, [migration for migration, _ in plan])


@contextmanager
def sown(sql: str) -> Iterator[None]:
    """Run SQL in the test database; take it back at the end."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
        yield
        transaction.set_rollback(True)


def problem_of(seed: Seed, expected: Catalogue) -> str | None:
    """Say what is wrong with how a difference is named and repaired."""
    with sown(seed.sql):
        differences = compare(expected, read_catalogue(connection))
        told = [
            f"{each} | {each.repair}" for each in differences if each.key == seed.key
        ]
        if not any(seed.words in each for each in told):
            return f"{seed.words} is not in {told or list(map(str, differences))}"
        if seed.repaired and (left := repair(differences, expected)):
            return f"repaired by {told}, and left are {left}"
    return None


def repair(differences: list[Difference], expected: Catalogue) -> list[str]:
    """Run the repairs in a transaction and return what is left."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            for each in differences:
                cursor.execute(each.repair.replace(" CONCURRENTLY", ""))
    except DatabaseError as error:
        return [str(error)]
    return list(map(str, compare(expected, read_catalogue(connection))))


@pytest.mark.postgresql
@pytest.mark.django_db
def test_every_seeded_difference_is_named_and_repaired() -> None:
    expected = newest(connection)

    problems = {
        seed.sql: problem for seed in SEEDS if (problem := problem_of(seed, expected))
    }

    assert problems == {}
    assert len({seed.sql for seed in SEEDS}) >= 60


@pytest.mark.postgresql
@pytest.mark.django_db
def test_differences_of_kinds_no_migration_makes_are_named() -> None:
    with sown(OTHER_KINDS):
        expected = read_catalogue(connection)

        problems = {
            seed.sql: problem
            for seed in OTHER_SEEDS
            if (problem := problem_of(seed, expected))
        }

        assert compare(expected, read_catalogue(connection)) == []
    assert problems == {}
