"""What a migration drops is kept, comes back, and is lost only when told to."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from tests.databases import scratch_database
from tests.migrations import rows
from tests.migrations.pairs import Pairs, states
from tradebot.schema import dropped
from tradebot.schema.dropped import archives
from tradebot.schema.revisions import migrations_at


@pytest.fixture(scope="module")
def pairs(django_db_setup: None, django_db_blocker: Any) -> Iterator[Pairs]:
    """A database with rows in every table, shared by this module's walks."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        yield Pairs(connection)


def run(connection: BaseDatabaseWrapper, *arguments: str, **options: Any) -> str:
    output = StringIO()
    call_command(
        *arguments, database=connection.alias, stdout=output, stderr=output, **options
    )
    return output.getvalue()


def test_walk_back_and_forward_keeps_rows_and_what_was_written_meanwhile(
    pairs: Pairs,
) -> None:
    draw = random.Random(20251126)  # noqa: S311  # a sample, no secret
    last = len(pairs.chain)
    for later, earlier in [(last, 0), *draw.sample(list(states(pairs.chain)), 1)]:
        assert pairs.check(later, earlier) is None, (later, earlier)

    pairs.go(last)
    assert rows.read(pairs.connection) == pairs.at_head
    assert not any(each.backwards for each in archives(pairs.connection))


@pytest.fixture
def filled(pairs: Pairs) -> Pairs:
    """The database at the head, with its rows."""
    pairs.go(len(pairs.chain))
    return pairs


@pytest.mark.long
def test_documented_revision_is_reached_from_a_squashed_install_and_left_again(
    empty_database: BaseDatabaseWrapper,
) -> None:
    run(empty_database, "migrate", verbosity=0)

    run(empty_database, "migrate", "e2cbe40c4a2c", verbosity=0)
    applied = set(MigrationRecorder(empty_database).applied_migrations())
    assert applied == set(migrations_at("e2cbe40c4a2c"))

    run(empty_database, "migrate", "d24f9f7e7532,a1b2c3d4e5f6", verbosity=0)
    applied = set(MigrationRecorder(empty_database).applied_migrations())
    assert ("backtests", "0003_merge_documented_heads") not in applied
    assert {"0002_add_user_reset_token", "0002_add_backtest_market_type"} <= {
        name for _, name in applied
    }
    run(empty_database, "migrate", verbosity=0)
    assert "No migrations to apply" in run(empty_database, "migrate")


def test_unknown_revision_is_refused_with_those_that_there_are(
    empty_database: BaseDatabaseWrapper,
) -> None:
    with pytest.raises(CommandError, match=r"'abcd1'.*30d6391a9fcf"):
        run(empty_database, "migrate", "abcd1")


@pytest.mark.long
def test_rows_whose_owner_was_deleted_meanwhile_stay_in_their_archive(
    filled: Pairs,
) -> None:
    connection = filled.connection
    filled.go(filled.chain.index(("admin", "0001_initial")))
    with connection.cursor() as cursor:
        for table in ("backtests", "trades", "bot_states", "bot_configs", "api_keys"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608  # see above
        for table in ("users_groups", "users_user_permissions", "users"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608  # see above

    filled.go(len(filled.chain))

    found = rows.read(connection)
    assert found["django_admin_log"] == []
    assert len(found["django_session"]) == 1
    kept = {each.table_name: each for each in archives(connection) if not each.waiting}
    owned = {"backtest_runs", "bot_runs", "orders", "positions", "fills"}
    owned |= {"paper_accounts", "paper_orders", "django_admin_log"}
    owned |= {"notification_settings", "notifications", "webhooks"}
    assert {name: each.rows for name, each in kept.items()} == dict.fromkeys(owned, 1)
    left = kept["django_admin_log"]
    listed = run(connection, "archives")
    assert f"archive {left.id}: django_admin_log, 1 rows" in listed
    assert "left over" in listed
    in_json = json.loads(run(connection, "archives", json=True))
    assert left.id in {each["id"] for each in in_json}

    with pytest.raises(CommandError, match="99999 is no archive"):
        run(connection, "archives", purge=["99999"])
    run(connection, "archives", purge=[str(left.id)])
    assert left.id not in {each.id for each in archives(connection)}
    run(connection, "archives", purge=["all"])
    assert "Nothing is kept" in run(connection, "archives")
    filled.restore()  # for the other tests


def _before_sessions(pairs: Pairs) -> None:
    pairs.go(pairs.chain.index(("sessions", "0001_initial")))


def _sessions(connection: BaseDatabaseWrapper) -> int:
    return len(rows.read(connection)["django_session"])


def test_run_cut_off_before_rows_came_back_is_finished_by_the_next(
    filled: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = filled.connection
    _before_sessions(filled)
    assert any(each.table_name == "django_session" for each in archives(connection))

    def cut_off(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tradebot.schema.executor.give_back", cut_off)
        with pytest.raises(KeyboardInterrupt):
            run(connection, "migrate", verbosity=0)
    assert _sessions(connection) == 0

    run(connection, "migrate", verbosity=0)
    assert _sessions(connection) == 1


def test_cut_off_run_whose_migrations_are_all_applied_is_not_taken_for_done(
    filled: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = filled.connection
    _before_sessions(filled)
    with monkeypatch.context() as patch:
        patch.setattr("tradebot.schema.executor.give_back", lambda *args: None)
        run(connection, "migrate", verbosity=0)
    assert any(each.backwards for each in dropped.waiting(connection))

    assert "Giving back archive" in run(connection, "migrate")
    assert _sessions(connection) == 1


def test_going_back_without_an_archive_is_refused_with_the_rows_that_would_go(
    filled: Pairs,
) -> None:
    connection = filled.connection
    before = rows.read(connection)

    with pytest.raises(CommandError, match=r"market_type of backtests \(1 rows\)") as e:
        run(connection, "migrate", "8dff47bdfa5f", no_archive=True, verbosity=0)

    assert e.value.returncode == 37
    assert "--accept-data-loss" in str(e.value)
    assert rows.read(connection) == before


def test_accepted_loss_is_not_kept(filled: Pairs) -> None:
    connection = filled.connection
    run(
        connection, "migrate", "sessions", "zero",
        no_archive=True, accept_data_loss=True, verbosity=0,
    )  # fmt: skip

    run(connection, "migrate", verbosity=0)
    assert _sessions(connection) == 0


@pytest.mark.postgresql
def test_row_that_was_written_a_moment_before_the_drop_is_kept(filled: Pairs) -> None:
    connection = filled.connection
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_session")

    def write_and_commit_late() -> None:
        writer = connections[connection.alias]  # this thread's own
        with transaction.atomic(writer.alias), writer.cursor() as cursor:
            cursor.execute("INSERT INTO django_session VALUES ('late', 'd', now())")
            began.set()
            time.sleep(0.3)
        writer.close()

    began = threading.Event()
    thread = threading.Thread(target=write_and_commit_late)
    thread.start()
    assert began.wait(timeout=30)
    run(connection, "migrate", "sessions", "zero", verbosity=0)
    thread.join()

    run(connection, "migrate", verbosity=0)
    assert [row["session_key"] for row in rows.read(connection)["django_session"]] == [
        "late"
    ]
    filled.restore()
