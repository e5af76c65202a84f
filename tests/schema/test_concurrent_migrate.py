"""Many containers start at once: each migration runs once, and all of them succeed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from tests.processes import ROOT, database_url, environment
from tests.schema.starts import Run, start_together
from tradebot.schema import lock
from tradebot.schema.lock import LockError, migration_lock


@pytest.fixture
def url(empty_database: BaseDatabaseWrapper) -> str:
    if empty_database.vendor == "postgresql":
        return database_url(empty_database)
    return f"sqlite:///{empty_database.settings_dict['NAME']}"


def assert_each_ran_once(connection: BaseDatabaseWrapper) -> None:
    recorded = Counter(
        MigrationRecorder(connection).migration_qs.values_list("app", "name")
    )
    assert set(recorded.values()) == {1}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM counted")
        assert cursor.fetchone() == (1,)


def assert_all_succeeded(runs: list[Run]) -> None:
    assert [run.exit_code for run in runs] == [0] * len(runs), "\n".join(
        run.output for run in runs
    )


def test_runners_from_empty_all_succeed(
    url: str, empty_database: BaseDatabaseWrapper
) -> None:
    runs = start_together(8, url)

    assert_all_succeeded(runs)
    assert_each_ran_once(empty_database)
    waited = [run for run in runs if "Waiting for another migrate: pid " in run.output]
    worked = [run for run in runs if "Applying counting.0002" in run.output]
    assert len(worked) == 1
    assert waited


@pytest.mark.long
def test_runners_from_mid_chain_all_succeed(
    url: str, empty_database: BaseDatabaseWrapper
) -> None:
    assert_all_succeeded(start_together(1, url, None, "bots", "0003"))

    runs = start_together(8, url)

    assert_all_succeeded(runs)
    assert_each_ran_once(empty_database)


@contextmanager
def migrating(url: str) -> Iterator[subprocess.Popen[str]]:
    """Start a runner and hand it out as soon as it is at its slow migration."""
    process = subprocess.Popen(
        [sys.executable, "-u", "manage.py", "migrate"],
        cwd=ROOT,
        env=environment(
            DJANGO_SETTINGS_MODULE="tests.schema.counting_settings", DATABASE_URL=url
        ),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "counting.0001" in line:
                break
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_killed_holder_frees_the_way(
    url: str, empty_database: BaseDatabaseWrapper
) -> None:
    with migrating(url) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        killed = time.monotonic()
        with migration_lock(empty_database, lambda message: None):
            waited = time.monotonic() - killed

    assert waited < 2
    assert_all_succeeded(start_together(1, url))
    assert_each_ran_once(empty_database)


@pytest.mark.postgresql
def test_waiter_says_who_holds_the_lock_and_what_it_does(
    empty_database: BaseDatabaseWrapper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "IDLE_LIMIT_S", 0.3)
    said: list[str] = []
    other = connections.create_connection(empty_database.alias)
    try:
        with migration_lock(empty_database, said.append) as held:
            held.begin("bots.0007_alter_bot_config_defaults")
            assert empty_database.connection is not None
            pid = empty_database.connection.info.backend_pid
            with (
                pytest.raises(LockError, match=rf"pg_terminate_backend\({pid}\)"),
                migration_lock(other, said.append),
            ):
                pytest.fail("two held the lock")
    finally:
        other.close()

    assert said[0].startswith(f"Waiting for another migrate: pid {pid} on ")
    assert said[0].endswith(" UTC, bots.0007_alter_bot_config_defaults.")


@pytest.mark.postgresql
def test_runner_that_lost_its_session_stops(
    empty_database: BaseDatabaseWrapper,
) -> None:
    with migration_lock(empty_database, lambda message: None) as held:
        empty_database.close()
        empty_database.ensure_connection()

        with pytest.raises(LockError, match="Run migrate again"):
            held.begin("bots.0007_alter_bot_config_defaults")


@pytest.mark.postgresql
def test_lock_is_let_go_and_the_session_named_as_before(
    empty_database: BaseDatabaseWrapper,
) -> None:
    def ask(statement: str) -> object:
        with empty_database.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]

    # Of this session: the view shows the whole server, where other tests migrate too.
    held = (
        "SELECT count(*) FROM pg_locks "
        "WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    )
    name = ask("SELECT current_setting('application_name')")

    with migration_lock(empty_database, lambda message: None):
        assert ask(held) == 1

    assert ask(held) == 0
    assert ask("SELECT current_setting('application_name')") == name


@pytest.mark.postgresql
def test_limits_for_requests_do_not_end_a_migration(
    empty_database: BaseDatabaseWrapper,
) -> None:
    name = empty_database.settings_dict["NAME"]
    with empty_database.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE {name} SET statement_timeout = '20s'")
    empty_database.close()

    with (
        migration_lock(empty_database, lambda message: None),
        empty_database.cursor() as cursor,
    ):
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


@pytest.mark.sqlite
def test_waiter_for_a_file_says_who_holds_it(
    url: str, empty_database: BaseDatabaseWrapper
) -> None:
    with migrating(url):
        file = Path(f"{empty_database.settings_dict['NAME']}-migrate")

        assert "pid " in file.read_text()


@pytest.mark.sqlite
@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_lock_of_a_file_is_for_those_who_may_open_the_file(
    mode: int, empty_database: BaseDatabaseWrapper
) -> None:
    file = Path(empty_database.settings_dict["NAME"])
    file.touch()
    file.chmod(mode)
    umask = os.umask(0)
    try:
        with migration_lock(empty_database, lambda message: None):
            lock = file.with_name(f"{file.name}-migrate")

            assert stat.S_IMODE(lock.stat().st_mode) == mode
    finally:
        os.umask(umask)
