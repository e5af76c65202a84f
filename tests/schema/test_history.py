"""What is done to the schema is on record, whatever becomes of the one who does it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

import tradebot
from tests.processes import ROOT, database_url, environment
from tradebot.models import Action
from tradebot.schema.history import Entry, History, HistoryEntry, describe_error
from tradebot.schema.lock import migration_lock

MIGRATION = ("bots", "0007_alter_bot_config_defaults")


@pytest.fixture
def history(empty_database: BaseDatabaseWrapper) -> History:
    return History(empty_database)


def outcomes(history: History) -> list[tuple[str, str]]:
    """Return what was done and how it ended, the oldest first."""
    return [(each.action, each.outcome) for each in reversed(history.entries())]


def last(history: History) -> HistoryEntry:
    return history.entries(limit=1)[0]


def apply(history: History) -> None:
    history.succeed(history.begin(Action.APPLY, *MIGRATION, "c0"))


def test_database_without_history_is_read_as_empty(history: History) -> None:
    assert not history.has_table()
    assert history.entries() == []
    assert history.latest_applied_checksums() == {}


def test_table_is_made_once(history: History) -> None:
    history.ensure_table()
    apply(history)

    again = History(history.connection)
    again.ensure_table()

    assert outcomes(again) == [("apply", "ok")]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tradebot_schema_events SET error = ''",
        "DELETE FROM tradebot_schema_events",
        pytest.param("TRUNCATE tradebot_schema_events", marks=pytest.mark.postgresql),
        "INSERT INTO tradebot_schema_events (id, run, action, event) "
        "SELECT id, run, 'x', 'x' FROM tradebot_schema_events WHERE start_id IS NULL "
        "ON CONFLICT (id) DO UPDATE SET action = 'x'",
        pytest.param(
            "REPLACE INTO tradebot_schema_events (id, run, action, event) "
            "SELECT id, run, 'x', 'x' FROM tradebot_schema_events",
            marks=pytest.mark.sqlite,
        ),
        pytest.param(
            "REPLACE INTO tradebot_schema_events (start_id, run, action, event) "
            "SELECT start_id, run, 'x', 'x' FROM tradebot_schema_events",
            marks=pytest.mark.sqlite,
        ),
    ],
    ids=["update", "delete", "truncate", "upsert", "replace", "replace an end"],
)
def test_database_refuses_to_change_the_history(
    statement: str, history: History
) -> None:
    apply(history)
    before = history.entries()

    with (
        pytest.raises(IntegrityError, match="is append-only"),
        history.connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert history.entries() == before


def test_flush_leaves_the_history(history: History) -> None:
    apply(history)

    call_command(
        "flush",
        database=history.connection.alias,
        interactive=False,
        inhibit_post_migrate=True,
        stdout=StringIO(),
    )

    assert outcomes(history) == [("apply", "ok")]


def test_success_says_when_how_long_who_where_and_which_version(
    history: History,
) -> None:
    entry = history.begin(Action.APPLY, *MIGRATION, "c0")
    time.sleep(0.05)
    history.succeed(entry, details={"rows": 3})

    done = last(history)
    assert (done.action, done.app, done.name) == ("apply", *MIGRATION)
    assert (done.outcome, done.error, done.details) == ("ok", "", {"rows": 3})
    assert done.seconds is not None
    assert 0.05 <= done.seconds < 5
    assert abs(done.at.timestamp() - time.time()) < 60
    assert done.version == tradebot.__version__
    assert (done.run, done.checksum) == (history.run, "c0")
    assert done.os_user
    assert done.host
    assert done.pid
    assert bool(done.db_user) == (history.connection.vendor == "postgresql")


def test_start_and_end_are_one_statement_each(history: History) -> None:
    history.ensure_table()

    with CaptureQueriesContext(history.connection) as queries:
        apply(history)

    assert [query["sql"].split()[0] for query in queries] == ["INSERT", "INSERT"]


@pytest.mark.postgresql
def test_start_lets_only_itself_off_waiting_for_the_disk(history: History) -> None:
    history.begin(Action.APPLY, *MIGRATION)

    with history.connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit')")
        assert cursor.fetchone() == ("on",)


def test_start_inside_a_transaction_is_refused(history: History) -> None:
    with (
        transaction.atomic(using=history.connection.alias),
        pytest.raises(
            transaction.TransactionManagementError, match="committed before the work"
        ),
    ):
        history.begin(Action.APPLY, *MIGRATION)


def test_failure_rolls_the_success_back_and_leaves_its_error(history: History) -> None:
    entry = history.begin(Action.APPLY, *MIGRATION)
    with transaction.atomic(using=history.connection.alias):
        history.succeed(entry)
        transaction.set_rollback(True, using=history.connection.alias)

    history.fail(entry, ValueError("no room"))

    assert outcomes(history) == [("apply", "failed")]
    assert last(history).error == "ValueError: no room"
    assert last(history).seconds is not None


@pytest.mark.postgresql
def test_failure_by_a_lost_session_is_recorded_over_another_one(
    history: History,
) -> None:
    entry = history.begin(Action.APPLY, *MIGRATION)
    assert history.connection.connection is not None
    pid = history.connection.connection.info.backend_pid
    # From the database that every server has: that of this run may not be there.
    with connections["default"]._nodb_cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    lost = history.connection.connection

    history.fail(entry, ConnectionError("server closed the connection"))

    assert history.connection.connection in (None, lost), "it must not reconnect"
    history.connection.close()
    assert outcomes(history) == [("apply", "failed")]


def test_failure_that_cannot_be_recorded_is_logged(
    history: History, caplog: pytest.LogCaptureFixture
) -> None:
    entry = Entry(id=1, action=Action.APPLY, app="bots", name="0001", checksum="")

    history.fail(entry, ValueError("no table for it"))

    assert "The failure of bots.0001 could not be recorded" in caplog.text


def test_reverse_leaves_what_was_recorded_before(history: History) -> None:
    apply(history)
    history.succeed(history.begin(Action.REVERSE, *MIGRATION))

    assert outcomes(history) == [("apply", "ok"), ("reverse", "ok")]


def test_adoption_is_recorded_with_its_transaction(history: History) -> None:
    history.ensure_table()
    with transaction.atomic(using=history.connection.alias):
        history.record(Action.ADOPT, *MIGRATION, details={"revision": "b7e3f2c1a9d8"})
    with transaction.atomic(using=history.connection.alias):
        history.record(Action.RETURN, *MIGRATION)
        transaction.set_rollback(True, using=history.connection.alias)

    assert outcomes(history) == [("adopt", "ok")]
    assert last(history).details == {"revision": "b7e3f2c1a9d8"}


def test_limit_counts_actions_from_the_newest(history: History) -> None:
    apply(history)
    history.record(Action.ADOPT)
    history.succeed(history.begin(Action.REVERSE, *MIGRATION))

    assert [each.action for each in history.entries(limit=2)] == ["reverse", "adopt"]


def test_checksums_are_those_of_what_is_applied_now(history: History) -> None:
    connection = history.connection
    history.succeed(history.begin(Action.APPLY, "a", "0001", "old"))
    history.succeed(history.begin(Action.REVERSE, "a", "0001", "old"))
    history.succeed(history.begin(Action.APPLY, "a", "0001", "new"))
    history.record(Action.ADOPT, "a", "0002", checksum="adopted")
    history.succeed(history.begin(Action.APPLY, "a", "0003", "gone"))
    history.succeed(history.begin(Action.REVERSE, "a", "0003", "gone"))
    history.fail(history.begin(Action.APPLY, "a", "0004", "failed"), ValueError())
    history.fail(history.begin(Action.REVERSE, "a", "0002", "failed"), ValueError())

    assert History(connection).latest_applied_checksums() == {
        ("a", "0001"): "new",
        ("a", "0002"): "adopted",
    }


@contextmanager
def working(connection: BaseDatabaseWrapper) -> Iterator[subprocess.Popen[str]]:
    """Start a process that holds the lock and has begun a migration."""
    url = (
        database_url(connection)
        if connection.vendor == "postgresql"
        else f"sqlite:///{connection.settings_dict['NAME']}"
    )
    program = f"""
import django, time
django.setup()
from django.db import connection
from tradebot.schema.history import Action, History
from tradebot.schema.lock import migration_lock
with migration_lock(connection, print):
    History(connection).begin(Action.APPLY, *{MIGRATION!r})
    print("begun", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE="tests.settings", DATABASE_URL=url),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "begun\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_killed_run_is_shown_as_killed(history: History) -> None:
    with working(history.connection) as process:
        assert outcomes(history) == [("apply", "running")]
        process.send_signal(signal.SIGKILL)
        process.wait()

        until = time.monotonic() + 2
        while last(history).outcome == "running" and time.monotonic() < until:
            time.sleep(0.02)
    assert outcomes(history) == [("apply", "killed")]
    assert last(history).pid == process.pid

    with migration_lock(history.connection, lambda message: None):
        assert outcomes(history) == [("apply", "killed")]
        history.begin(Action.APPLY, *MIGRATION)
        assert outcomes(history) == [("apply", "killed"), ("apply", "running")]
    assert outcomes(history) == [("apply", "killed"), ("apply", "killed")]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("one\nDETAIL:  Key (email)=(a@b.c)"), "ValueError: one"),
        (ValueError(), "ValueError"),
        (
            ValueError("cannot reach postgres://bot:pw@db/x now"),
            "ValueError: cannot reach *** now",
        ),
        (
            ValueError("host=db password='p w' user=bot"),
            "ValueError: host=db password=*** user=bot",
        ),
        (
            ValueError(f"signed with {settings.JWT_SECRET}!"),
            "ValueError: signed with ***!",
        ),
        (ValueError("x" * 1000), "ValueError: " + "x" * 488),
    ],
    ids=["rows", "no text", "address", "password", "setting", "long"],
)
def test_error_is_kept_without_secrets(error: Exception, text: str) -> None:
    assert describe_error(error, connections["default"]) == text


def test_error_is_kept_without_the_password_of_the_database(history: History) -> None:
    password = uuid.uuid4().hex
    other = history.connection.copy()
    other.settings_dict["PASSWORD"] = password

    assert password not in describe_error(ValueError(f"no: {password}"), other)


def test_migrate_tells_a_migration_that_was_changed(
    empty_database: BaseDatabaseWrapper,
) -> None:
    alias = empty_database.alias
    call_command("migrate", "accounts", database=alias, verbosity=0)
    History(empty_database).record(
        Action.FAKE, "accounts", "0004_convert_user_key_to_identity", checksum="a-b"
    )
    errors = StringIO()

    call_command("migrate", database=alias, verbosity=0, stderr=errors)

    assert (
        "accounts.0004_convert_user_key_to_identity was changed after it had been"
        in errors.getvalue()
    )
