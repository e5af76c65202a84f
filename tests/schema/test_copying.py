"""Columns of a large table are kept while others go on writing to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema import batches, losses
from tradebot.schema.dropped import archives

pytestmark = pytest.mark.postgresql

BEFORE, AFTER = "0007_add_user_email_lower_unique", "0009_create_rate_limit_table"
OLD, NEW = "2025-01-01", "2026-02-02"


@pytest.fixture(autouse=True)
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 20 rows be many, of which ten are copied at a time."""
    monkeypatch.setattr(losses, "_KEPT_AT_ONCE", 10)
    monkeypatch.setattr(batches, "FIRST_SIZE", 10)
    monkeypatch.setattr(batches, "LARGEST_SIZE", 10)


@pytest.fixture
def database(migrated_database: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    execute(
        migrated_database,
        "INSERT INTO users (email, hashed_password, password_changed_at) "
        "SELECT 'user' || n || '@example.com', '', '2025-01-01' "
        "FROM generate_series(1, 20) n",
    )
    return migrated_database


@pytest.fixture
def other(database: BaseDatabaseWrapper) -> Iterator[BaseDatabaseWrapper]:
    """A session of somebody else."""
    session = database.copy()
    yield session
    session.close()


def execute(connection: BaseDatabaseWrapper, statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def migrate(connection: BaseDatabaseWrapper, name: str, **options: Any) -> None:
    call_command(
        "migrate", "accounts", name, database=connection.alias, verbosity=0, **options
    )


def after_first_batch(
    monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]
) -> None:
    done: list[str] = []

    def observed(connection: Any, step: Any, begin: str, show: Any) -> None:
        def show_and_act(message: str) -> None:
            if not done:
                done.append(message)
                action()

        batches.run_batches(connection, step, begin, show_and_act)

    monkeypatch.setattr("tradebot.schema.copying.run_batches", observed)


def changed(connection: BaseDatabaseWrapper) -> dict[int, str]:
    """Return the day in the column by the id of its user."""
    return dict(
        execute(connection, "SELECT id, password_changed_at::date::text FROM users")
    )


def leftovers(connection: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
    """Return the triggers, functions and lists of what is being copied."""
    return execute(
        connection,
        "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'tradebot_archive%' UNION ALL "
        "SELECT proname FROM pg_proc WHERE proname LIKE 'tradebot_archive%' UNION ALL "
        "SELECT id::text FROM tradebot_archives WHERE NOT complete",
    )


def test_what_is_written_meanwhile_is_kept(
    database: BaseDatabaseWrapper,
    other: BaseDatabaseWrapper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    locks: list[tuple[Any, ...]] = []

    def write() -> None:
        locks.extend(
            execute(
                other,
                "SELECT mode FROM pg_locks WHERE relation = 'users'::regclass AND mode "
                "IN ('ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock')",
            )
        )
        execute(
            other,
            "UPDATE users SET password_changed_at = '2026-02-02' WHERE id IN (1, 20)",
        )
        execute(other, "UPDATE users SET password_changed_at = NULL WHERE id = 2")
        execute(other, "DELETE FROM users WHERE id IN (3, 19)")
        execute(
            other,
            "INSERT INTO users (email, hashed_password, password_changed_at) "
            "VALUES ('late@example.com', '', '2026-02-02')",
        )

    after_first_batch(monkeypatch, write)
    before = changed(database)

    migrate(database, BEFORE)

    assert locks == []
    assert leftovers(database) == []
    assert {each.table_name for each in archives(database)} >= {"users"}
    migrate(database, AFTER)
    expected = {id_: day for id_, day in before.items() if id_ not in (3, 19)}
    assert changed(database) == {**expected, 1: NEW, 20: NEW, 2: None, 21: NEW}
    assert [each for each in archives(database) if each.table_name == "users"] == []


def test_run_cut_off_is_gone_on_with(
    database: BaseDatabaseWrapper,
    other: BaseDatabaseWrapper,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cut_off() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        after_first_batch(patch, cut_off)
        with pytest.raises(KeyboardInterrupt):
            migrate(database, BEFORE)
    assert len(leftovers(database)) == 3
    assert all(each.table_name != "users" for each in archives(database))
    execute(
        other, "UPDATE users SET password_changed_at = '2026-02-02' WHERE id IN (1, 20)"
    )

    migrate(database, BEFORE)

    assert leftovers(database) == []
    migrate(database, AFTER)
    days = changed(database)
    assert (days[1], days[2], days[20]) == (NEW, OLD, NEW)


@pytest.mark.parametrize(
    ("target", "options"),
    [
        (AFTER, {}),
        (BEFORE, {"no_archive": True, "accept_data_loss": True}),
    ],
    ids=["stays", "is lost"],
)
def test_run_cut_off_that_is_not_wanted_leaves_nothing(
    database: BaseDatabaseWrapper,
    other: BaseDatabaseWrapper,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    options: dict[str, Any],
) -> None:
    def cut_off() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        after_first_batch(patch, cut_off)
        with pytest.raises(KeyboardInterrupt):
            migrate(database, BEFORE)

    migrate(database, target, **options)

    assert leftovers(database) == []
    execute(other, "UPDATE users SET email = 'new@example.com' WHERE id = 1")
    assert (
        "password_changed_at"
        in str(execute(database, "SELECT json_agg(users) FROM users"))
    ) == (target == AFTER)
