"""A script for psql leaves what ``migrate`` leaves, or nothing."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ModelState, ProjectState
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import scratch_database
from tests.migrations import rows
from tests.migrations.chain import Walker
from tests.processes import SECRETS, database_url, free_port, manage
from tests.schema.scripts import (
    copy_of,
    events,
    outcome,
    psql,
    recorded,
    run_psql,
    script,
)
from tradebot.schema import batches
from tradebot.schema.lock import KEY
from tradebot.schema.psql import lock_budget, transaction
from tradebot.schema.revisions import migrations_at
from tradebot.schema.script import ScriptError, _OfflineConnection, _steps
from tradebot.schema.states import StateError, parse_state
from tradebot.schema.steps import Step

MERGE = "b7e3f2c1a9d8"
HEADS = "d24f9f7e7532,a1b2c3d4e5f6"
pytestmark = pytest.mark.postgresql


def _ok(result: subprocess.CompletedProcess[str]) -> str:
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.fixture(scope="module")
def at_8dff(
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[BaseDatabaseWrapper]:
    """A database at the revision 8dff47bdfa5f, with rows; nobody may change it."""
    with django_db_blocker.unblock(), ExitStack() as stack:
        with scratch_database() as connection:
            walker = Walker(connection, squashed=False)
            walker.forwards(*migrations_at("8dff47bdfa5f"))
            rows.fill(connection, walker.apps())
            # Leaves the alias of the other one, which every scratch database has.
            copy = stack.enter_context(copy_of(connection))
        yield copy


@pytest.fixture(scope="module")
def to_head() -> list[str]:
    return script("8dff47bdfa5f")


@pytest.fixture(scope="module")
def migrated(
    at_8dff: BaseDatabaseWrapper, django_db_blocker: DjangoDbBlocker
) -> dict[str, Any]:
    """What ``migrate`` leaves of that database."""
    at_8dff.close()
    options = f"TEMPLATE {at_8dff.settings_dict['NAME']}"
    with django_db_blocker.unblock(), scratch_database(options) as connection:
        call_command("migrate", database=connection.alias, verbosity=0)
        return outcome(connection)


def _differences(connection: BaseDatabaseWrapper, expected: dict[str, Any]) -> set[str]:
    found = outcome(connection)
    return {part for part in expected if found[part] != expected[part]}


# --- What it leaves ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("base", None),
        ("7354d6bd11ea", "107856acfca7"),
        (HEADS, MERGE),
        pytest.param("trading.0005", None, marks=pytest.mark.long),
    ],
)
def test_script_leaves_what_migrate_leaves_and_then_nothing_more(
    start: str, end: str | None, empty_database: BaseDatabaseWrapper
) -> None:
    walker = Walker(empty_database, squashed=False)
    if "." in start:
        call_command(
            "migrate", *start.split("."), database=empty_database.alias, verbosity=0
        )
        rows.fill(empty_database, walker.apps())
    elif start != "base":
        walker.forwards(*migrations_at(*start.split(",")))
        rows.fill(empty_database, walker.apps())
    parts = script(start, end)

    with copy_of(empty_database) as copy:
        assert "Done" in _ok(run_psql(copy, parts))
        by_script = outcome(copy)
        assert _ok(run_psql(copy, parts)).startswith("Done")
        assert outcome(copy) == by_script
    if end is None:
        call_command("migrate", database=empty_database.alias, verbosity=0)
    else:
        done = set(migrations_at(*start.split(",")))
        walker.forwards(*(each for each in migrations_at(end) if each not in done))

    assert _differences(empty_database, by_script) == set()


def test_script_from_a_documented_revision_leaves_what_migrate_leaves(
    at_8dff: BaseDatabaseWrapper, to_head: list[str], migrated: dict[str, Any]
) -> None:
    with copy_of(at_8dff) as copy:
        _ok(run_psql(copy, to_head))

        assert _differences(copy, migrated) == set()


@pytest.mark.long
def test_rows_of_many_batches_are_all_filled(
    at_8dff: BaseDatabaseWrapper, to_head: list[str]
) -> None:
    count = 2 * batches.FIRST_SIZE + 500
    with copy_of(at_8dff) as copy, copy.cursor() as cursor:
        cursor.execute(
            "INSERT INTO trades (bot_config_id, user_id, symbol, side, order_type, "
            "price, quantity_filled, quote_quantity_filled, timestamp) "
            "SELECT 1, 1, 'X', 'BUY', 'MARKET', 1, 1, 1, NULL "
            "FROM generate_series(1, %s)",
            [count],
        )

        _ok(run_psql(copy, to_head))

        cursor.execute(
            "SELECT (SELECT count(*) FROM trades WHERE timestamp IS NULL), count(*) "
            "FROM tradebot_archive_nulls WHERE table_name = 'trades'"
        )
        assert cursor.fetchone() == (0, count)


def test_rows_of_a_script_in_the_history_say_where_they_come_from(
    empty_database: BaseDatabaseWrapper,
) -> None:
    _ok(run_psql(empty_database, script("base", "4b2e65b4c85b")))

    with empty_database.cursor() as cursor:
        cursor.execute(
            "SELECT count(DISTINCT run), array_agg(DISTINCT os_user), "
            "array_agg(DISTINCT pid), count(*) FILTER (WHERE host = ''), "
            "count(*) FILTER (WHERE session IS NULL), count(seconds), count(start_id) "
            "FROM tradebot_schema_events"
        )
        assert cursor.fetchone() == (1, ["psql"], [None], 0, 0, 2, 2)
    shown = StringIO()
    call_command("schema_history", database=empty_database.alias, stdout=shown)
    assert re.search(r"\(UTC\)  psql@\S+, TradeBot 0", shown.getvalue())


# --- Which databases it refuses ---------------------------------------------------


@pytest.mark.parametrize(
    ("made_so_by", "message"),
    [
        (
            "DELETE FROM django_migrations WHERE app = 'backtests'",
            "in another state than this script is for: it expects 8dff47bdfa5f, and "
            "leads to the newest migrations.\n"
            "DETAIL:  Applied: accounts.0001_create_user_table, "
            "apikeys.0001_create_api_key_table, bots.0006_add_bot_config_leverage, "
            "trading.0002_add_trade_realized_pnl, and what comes before. Not applied "
            "and expected: backtests.0001_create_backtest_table.",
        ),
        (
            "INSERT INTO django_migrations (app, name, applied) "
            "VALUES ('trading', '0099_of_a_newer_version', now())",
            "Applied and not expected: trading.0099_of_a_newer_version.",
        ),
        (
            "INSERT INTO django_migrations (app, name, applied) "
            "VALUES ('auth', '0001_initial', now())",
            "Applied and not expected: auth.0001_initial.",
        ),
        (
            "DELETE FROM django_migrations; CREATE TABLE alembic_version ()",
            "belongs to the program before this one: it has the table alembic_version, "
            "and no migration is recorded.\nHINT:  Take it over with manage.py adopt",
        ),
        (
            "CREATE TABLE tradebot_archives (app varchar, name varchar, "
            "table_name varchar, backwards boolean, waiting boolean); "
            "INSERT INTO tradebot_archives VALUES "
            "('accounts', '0003_add_user_admin_columns', 'users', true, true), "
            "('accounts', '0001_create_user_table', 'applied', true, true), "
            "('accounts', '0004_convert_user_key_to_identity', 'back', true, false)",
            "Rows that were kept on a way back wait for migrations of this script: of "
            "users.",
        ),
        (
            "UPDATE bot_configs SET leverage = 500",
            "Rows are in the way of the migrations of this script.\n"
            "DETAIL:  1 of bot_configs: leverage must be between 1 and 125 "
            "(bot_configs_leverage)",
        ),
        (
            "ALTER DATABASE {name} SET default_transaction_read_only = on",
            "This session can only read",
        ),
        (
            "ALTER DATABASE {name} SET timezone = 'Europe/Berlin'",
            "In which time zone were the times without a zone written (bot_states."
            "last_run_at, trades.timestamp)? The time zone set for this user and "
            "database is Europe/Berlin, UTC was expected.",
        ),
    ],
    ids=[
        "behind",
        "ahead",
        "aside",
        "alembic",
        "kept",
        "rows",
        "read-only",
        "time zone",
    ],
)
def test_database_in_a_wrong_state_is_refused_and_left_alone(
    made_so_by: str,
    message: str,
    at_8dff: BaseDatabaseWrapper,
    to_head: list[str],
) -> None:
    with copy_of(at_8dff) as copy:
        with copy.cursor() as cursor:
            cursor.execute(made_so_by.format(name=copy.settings_dict["NAME"]))
        before = outcome(copy)

        result = run_psql(copy, to_head)

        assert result.returncode == 3
        assert message in result.stderr
        assert result.stdout == ""
        assert outcome(copy) == before


def test_empty_database_is_refused_by_a_script_from_a_later_state(
    empty_database: BaseDatabaseWrapper, to_head: list[str]
) -> None:
    result = run_psql(empty_database, to_head)

    assert result.returncode == 3
    assert "Applied: nothing. Not applied and expected: accounts.0001" in result.stderr
    assert _tables(empty_database) == []


@pytest.mark.parametrize("table", ["alembic_version", "users"])
def test_unrecorded_tables_are_refused_by_a_script_from_base(
    table: str, empty_database: BaseDatabaseWrapper
) -> None:
    with empty_database.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {table} ()")

    result = run_psql(empty_database, script("base", "30d6391a9fcf"))

    assert result.returncode == 3
    assert table in result.stderr
    assert _tables(empty_database) == [table]


def test_squashed_migrations_half_of_which_are_applied_are_refused(
    at_8dff: BaseDatabaseWrapper,
) -> None:
    result = run_psql(at_8dff, script("base", MERGE))

    assert result.returncode == 3
    assert "it expects base, and leads to b7e3f2c1a9d8" in result.stderr


def test_database_of_another_encoding_is_refused(
    django_db_blocker: DjangoDbBlocker,
) -> None:
    options = "ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    with django_db_blocker.unblock(), scratch_database(options) as connection:
        result = run_psql(connection, script("base", "30d6391a9fcf"))

        assert "The encoding of the database is LATIN1, expected UTF8." in result.stderr
        assert _tables(connection) == []


def test_script_in_one_transaction_is_refused(
    empty_database: BaseDatabaseWrapper,
) -> None:
    result = run_psql(empty_database, script("base", "30d6391a9fcf"), "-1")

    assert result.returncode == 3
    assert "cannot run inside a transaction" in result.stderr
    assert _tables(empty_database) == []


def test_time_zone_of_the_client_does_not_hide_the_one_of_the_database(
    at_8dff: BaseDatabaseWrapper, to_head: list[str]
) -> None:
    result = run_psql(at_8dff, to_head, PGTZ="UTC")

    assert result.returncode == 3
    assert "The time zone set for this client by PGTZ is UTC" in result.stderr


def test_script_beside_another_run_is_refused_with_its_pid(
    at_8dff: BaseDatabaseWrapper, to_head: list[str]
) -> None:
    before = outcome(at_8dff)
    with psycopg.connect(database_url(at_8dff)) as other:
        other.execute("SET application_name = 'tradebot migrate: somewhere'")
        other.execute("SELECT pg_advisory_lock(%s, %s)", KEY)

        result = run_psql(at_8dff, to_head)

        assert result.returncode == 3
        assert (
            f"Another migration run holds the lock: pid {other.info.backend_pid}, user"
            in result.stderr
        )
        assert "tradebot migrate: somewhere" in result.stderr
    assert outcome(at_8dff) == before


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        return sorted(connection.introspection.table_names(cursor))


# --- Stopped and run again --------------------------------------------------------


@pytest.mark.long
def test_locked_table_stops_the_script_and_the_next_run_goes_on(
    at_8dff: BaseDatabaseWrapper, to_head: list[str], migrated: dict[str, Any]
) -> None:
    with copy_of(at_8dff) as copy:
        with psycopg.connect(database_url(copy)) as stranger:
            stranger.execute("SELECT FROM trades")

            result = run_psql(copy, to_head)

            assert result.returncode == 3
            assert "canceling statement due to lock timeout" in result.stderr
        stopped_at = recorded(copy)[-1]
        assert stopped_at == ("trading", "0002_add_trade_realized_pnl")
        assert "Applying trading.0003" in result.stdout

        _ok(run_psql(copy, to_head))

        assert _differences(copy, migrated) == {"events"}
        (cut_off,) = (events(copy) - migrated["events"]).elements()
        assert cut_off[:4] == (
            "apply",
            "started",
            "trading",
            "0003_convert_trade_key_to_identity",
        )


@pytest.mark.long
def test_killed_psql_leaves_what_the_next_run_finishes(
    at_8dff: BaseDatabaseWrapper,
    settings: Any,
    to_head: list[str],
    migrated: dict[str, Any],
) -> None:
    settings.MIGRATION_LOCK_TIMEOUT_MS = 60_000
    patient = script("8dff47bdfa5f")
    with copy_of(at_8dff) as copy:
        with psycopg.connect(database_url(copy)) as stranger:
            stranger.execute("SELECT FROM trades")
            with psql(copy, patient) as process:
                _wait_for(copy, "wait_event_type = 'Lock'")
                process.kill()
                process.communicate()
            # The server ends the statement of a client that is gone.
            _wait_for(copy, "NOT bool_or(application_name LIKE 'tradebot migrate%')")

        _ok(run_psql(copy, to_head))

        assert _differences(copy, migrated) == {"events"}


def _wait_for(connection: BaseDatabaseWrapper, condition: str) -> None:
    until = time.monotonic() + 30
    aggregate = condition if "bool_or" in condition else f"bool_or({condition})"
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                f"SELECT {aggregate} FROM pg_stat_activity "  # noqa: S608  # our own
                "WHERE datname = current_database()"
            )
            if cursor.fetchone() == (True,):
                return
            assert time.monotonic() < until, condition
            time.sleep(0.05)


@pytest.mark.long
def test_script_cut_off_at_a_part_is_finished_by_the_next_run(
    empty_database: BaseDatabaseWrapper,
) -> None:
    start, end = "backtests.0004", "backtests.0006"
    alias = empty_database.alias
    call_command("migrate", *start.split("."), database=alias, verbosity=0)
    rows.fill(empty_database, Walker(empty_database, squashed=True).apps())
    parts = script(start, end)
    first = next(
        place for place, part in enumerate(parts) if "backtests.0005" in part[:60]
    )
    with copy_of(empty_database) as peaceful:
        _ok(run_psql(peaceful, parts))
        expected = outcome(peaceful)

    for last in range(first, len(parts) - 3, 20):
        with copy_of(empty_database) as copy:
            run_psql(copy, parts[:last])
            _ok(run_psql(copy, parts))
            assert _differences(copy, expected) <= {"events"}, parts[last - 1]


# --- How it is made ---------------------------------------------------------------


@pytest.mark.long
def test_script_is_the_same_whatever_the_database_and_needs_none() -> None:
    urls = (f"postgres://u:s3cr3t-password@127.0.0.1:{free_port()}/none", "")
    texts = set()
    for url in urls:
        result = manage(
            "schema_script", "--from", HEADS, "--to", MERGE,
            **SECRETS, DATABASE_URL=url,
        )  # fmt: skip
        _ok(result)
        texts.add(result.stdout)

    (text,) = texts
    assert text.startswith("-- TradeBot ")
    assert not any(secret in text for secret in (*SECRETS.values(), "s3cr3t"))


def test_script_is_written_to_a_file(tmp_path: Path) -> None:
    call_command(
        "schema_script", "--to", "30d6391a9fcf", "--output", tmp_path / "x.sql"
    )

    assert (tmp_path / "x.sql").read_text().endswith("is at 30d6391a9fcf.\n")


def test_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"Cannot write .*x.sql: No such file"):
        call_command(
            "schema_script",
            "--to",
            "30d6391a9fcf",
            "--output",
            tmp_path / "a" / "x.sql",
        )


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("nonsense", MERGE, "There is no state 'nonsense'. There are: base; the docu"),
        ("base,", MERGE, "There is no state ''"),
        ("trading.9", MERGE, "trading.9 is no migration. There are: 0001_create_trade"),
        ("trading.", MERGE, "trading. is no migration. There are: 0001_create_trade"),
        ("trading.0001", MERGE, "trading.0001 is more than one migration. There are: "),
        ("shop.0001", MERGE, "There is no state 'shop.0001'."),
        (MERGE, "base", "b7e3f2c1a9d8 does not come before base: it has accounts."),
        ("d24f9f7e7532", "a1b2c3d4e5f6", "it has accounts.0002_add_user_reset_token, "),
        (MERGE, MERGE, "are the same state: there is nothing to do."),
    ],
)
def test_states_that_no_script_can_join_are_told(
    start: str, end: str, message: str
) -> None:
    with pytest.raises(StateError) as error:
        script(start, end)

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("base", 0),
        ("e2cbe40c4a2c", 4),
        (HEADS, 13),
        (MERGE, 14),
        ("backtests.0003", 14),
        ("bots.0002_create_bot_state_table", 3),
        ("bots.0002_create_bot_state_table, apikeys.0001", 5),
    ],
)
def test_state_has_all_that_its_migrations_need(name: str, count: int) -> None:
    assert len(parse_state(name).applied) == count


@pytest.mark.long
def test_migration_of_python_code_is_refused_by_name() -> None:
    result = manage(
        "schema_script",
        **SECRETS,
        DJANGO_SETTINGS_MODULE="tests.schema.counting_settings",
    )

    assert result.returncode == 1
    assert "counting.0002_fill_counted_table has no form for a script" in result.stderr
    assert result.stdout == ""


def _migration(*operations: Any) -> migrations.Migration:
    migration = migrations.Migration("0001_initial", "shop")
    migration.operations = operations  # type: ignore[misc]  # as Django's loader
    return migration


def _code(apps: Any, schema_editor: Any) -> None: ...


def test_migration_of_python_code_with_an_sql_form_has_that_in_the_script() -> None:
    migration = _migration(migrations.RunPython(_code, hints={"sql": "UPDATE a"}))

    steps, _ = _steps(_OfflineConnection(), migration, ProjectState())

    assert steps == [Step(statements=("UPDATE a",))]


def test_renamed_model_needs_django() -> None:
    migration = _migration(migrations.RenameModel("Thing", "Object"))

    with pytest.raises(ScriptError, match="content type of a renamed model"):
        _steps(_OfflineConnection(), migration, ProjectState())


def test_permissions_of_proxy_models_need_python() -> None:
    migration = _migration(migrations.RunPython(_code))
    migration.app_label, migration.name = "auth", "0011_update_proxy_permissions"
    state = ProjectState()
    assert _steps(_OfflineConnection(), migration, state)[0] == []

    state.add_model(ModelState("shop", "Thing", [], {"proxy": True}))
    with pytest.raises(ScriptError, match="0011_update_proxy_permissions has no"):
        _steps(_OfflineConnection(), migration, state)


def test_text_in_a_statement_reaches_the_database_as_it_is(
    empty_database: BaseDatabaseWrapper,
) -> None:
    text = "it's 100% \\ :x :'x' $tradebot$ -- ; ünïcode\nand more %s"
    connection = _OfflineConnection()
    migration = _migration(
        migrations.CreateModel(
            "Thing",
            [
                ("id", models.AutoField(primary_key=True)),
                ("text", models.TextField(db_default=text)),
            ],
            {"db_table": "things"},
        ),
        migrations.RunSQL([("INSERT INTO things (text) VALUES (%s)", [text])]),
        migrations.RunSQL("INSERT INTO things DEFAULT VALUES"),
        migrations.RunSQL("SELECT '100% $tradebot$'"),
    )
    steps, _ = _steps(connection, migration, ProjectState())

    result = run_psql(
        empty_database,
        ["\\set QUIET on", "\\set x wrong", lock_budget(), *transaction(steps)],
    )

    assert _ok(result) == ""
    with empty_database.cursor() as cursor:
        cursor.execute("SELECT text FROM things")
        assert cursor.fetchall() == [(text,), (text,)]
