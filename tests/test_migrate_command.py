"""What ``migrate`` does beside migrating, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import checks
from django.core.checks.registry import registry
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db.backends.base.base import BaseDatabaseWrapper


def migrate(database: BaseDatabaseWrapper, *target: str, **options: Any) -> str:
    output = StringIO()
    call_command("migrate", *target, database=database.alias, stdout=output, **options)
    return output.getvalue()


@pytest.fixture
def failing_check() -> Iterator[None]:
    """A system check that finds an error, for as long as the test runs."""

    def find(**kwargs: Any) -> list[checks.CheckMessage]:
        return [checks.Error("something is wrong", id="tests.E001")]

    checks.register(find)
    try:
        yield
    finally:
        registry.registered_checks.remove(find)  # type: ignore[arg-type]  # it is there


def test_migrate_with_something_to_apply_runs_the_system_checks_first(
    empty_database: BaseDatabaseWrapper, failing_check: None
) -> None:
    with pytest.raises(SystemCheckError, match=r"tests\.E001"):
        migrate(empty_database, skip_checks=False)

    with empty_database.cursor() as cursor:
        assert empty_database.introspection.table_names(cursor) == []


def test_migrate_told_to_skip_the_system_checks_does(
    empty_database: BaseDatabaseWrapper, failing_check: None
) -> None:
    assert "Applying" in migrate(empty_database, "contenttypes", skip_checks=True)


@pytest.fixture
def statements(empty_database: BaseDatabaseWrapper) -> Iterator[list[str]]:
    """What is asked of the database from now on."""
    asked: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        asked.append(sql)
        return execute(sql, *args)

    with empty_database.execute_wrapper(note):
        yield asked


def test_migrate_with_nothing_to_apply_says_so_and_only_reads(
    empty_database: BaseDatabaseWrapper, failing_check: None, statements: list[str]
) -> None:
    migrate(empty_database)
    statements.clear()

    assert migrate(empty_database, skip_checks=False) == "No migrations to apply.\n"

    assert len(statements) < 10
    reading = ("SELECT", "WITH", "PRAGMA")
    assert not [each for each in statements if not each.split()[0].startswith(reading)]


def test_migrate_makes_what_a_run_cut_off_at_its_end_left_out(
    migrated_database: BaseDatabaseWrapper,
) -> None:
    migrate(migrated_database)
    permissions = Permission.objects.using(migrated_database.alias)
    permissions.get(codename="view_user").delete()

    migrate(migrated_database)

    assert permissions.filter(codename="view_user").exists()


@pytest.mark.parametrize(
    "target", [("bots", "no_such"), ("no_such",), ("bots", "0001")]
)
def test_migrate_to_what_is_not_there_says_what_django_says(
    target: tuple[str, ...], empty_database: BaseDatabaseWrapper
) -> None:
    with pytest.raises(
        Exception, match=r"Cannot find a migration|No installed app|More than one"
    ):
        migrate(empty_database, *target)


def test_migrate_prunes_what_is_no_longer_in_the_code(
    empty_database: BaseDatabaseWrapper,
) -> None:
    migrate(empty_database, "bots", "0005")
    with empty_database.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) "
            "VALUES ('bots', '9999_of_a_branch', '2024-01-01 00:00:00+00')"
        )

    assert "Pruning bots.9999_of_a_branch OK" in migrate(
        empty_database, "bots", prune=True
    )
