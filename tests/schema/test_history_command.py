"""``schema_history`` shows the record of runs to people and to programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

import tradebot
from tests.processes import SECRETS, database_url, manage
from tradebot.models import Action
from tradebot.schema.history import Entry, History

OLDER = ("bots", "0006_add_bot_config_leverage")
NEWER = ("bots", "0007_alter_bot_config_defaults")


@pytest.fixture
def history(empty_database: BaseDatabaseWrapper) -> History:
    return History(empty_database)


def end(history: History, entry: Entry, seconds: float, error: str = "") -> None:
    """Let it end as if it had taken that long."""
    took = replace(entry, began=entry.began - seconds)
    if error:
        history.fail(took, ValueError(error))
    else:
        history.succeed(took)


def run(history: History, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code and what went to the two streams."""
    out, err = StringIO(), StringIO()
    try:
        call_command(
            "schema_history",
            *arguments,
            database=history.connection.alias,
            stdout=out,
            stderr=err,
        )
    except SystemExit as exit_:
        return int(str(exit_.code)), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


@pytest.mark.alike
def test_table_shows_runs_with_bars_and_errors(history: History) -> None:
    end(history, history.begin(Action.APPLY, *OLDER), 1)
    end(history, history.begin(Action.APPLY, *NEWER), 4)
    again = History(history.connection)
    end(again, again.begin(Action.REVERSE, *NEWER), 2, error="no room " * 30)

    exit_code, out, err = run(history)

    assert (exit_code, err) == (0, "")
    *table, _, told = out.splitlines()
    assert max(map(len, table)) <= 100
    heading, failed, *error, first, newer, older = table
    assert heading.endswith(f", TradeBot {tradebot.__version__}")
    assert "reverse  bots.0007_alter_bot_config_defaults  failed" in failed
    assert "██████       " in failed
    assert error[0].strip().startswith("ValueError: no room no room")
    assert first.startswith(heading[:10])
    assert "bots.0007_alter_bot_config_defaults  ok       ████████████   4.0" in newer
    assert "bots.0006_add_bot_config_leverage    ok       ███            1.0" in older
    assert told == (
        "The last action failed: reverse bots.0007_alter_bot_config_defaults. Remove "
        "the cause and run migrate again: it goes on where this one stopped."
    )


@pytest.mark.alike
def test_table_on_a_terminal_without_blocks_is_drawn_in_ascii(
    history: History,
) -> None:
    end(history, history.begin(Action.APPLY, *NEWER), 4)
    out = TextIOWrapper(BytesIO(), encoding="ascii")

    call_command("schema_history", database=history.connection.alias, stdout=out)

    out.seek(0)
    assert "  ############ " in out.read()


@pytest.mark.alike
def test_json_is_a_list_of_actions_with_their_times(history: History) -> None:
    end(history, history.begin(Action.APPLY, *OLDER, "c0"), 1)
    end(history, history.begin(Action.APPLY, *NEWER), 1, error="no")

    exit_code, out, err = run(history, "--json")

    entries: list[dict[str, Any]] = json.loads(out)
    assert exit_code == 0
    assert [(each["name"], each["outcome"]) for each in entries] == [
        (NEWER[1], "failed"),
        (OLDER[1], "ok"),
    ]
    assert datetime.fromisoformat(entries[0]["at"]).utcoffset() == timedelta()
    assert entries[0]["error"] == "ValueError: no"
    assert entries[1]["checksum"] == "c0"
    assert entries[1]["run"] == str(history.run)
    assert err.strip().startswith("The last action failed")


@pytest.mark.alike
def test_limit_leaves_out_the_oldest(history: History) -> None:
    for key in (OLDER, NEWER):
        end(history, history.begin(Action.APPLY, *key), 1)

    _, out, _ = run(history, "--json", "--limit", "1")

    assert [each["name"] for each in json.loads(out)] == [NEWER[1]]


@pytest.mark.alike
def test_limit_of_zero_is_refused(history: History) -> None:
    with pytest.raises(CommandError, match="1 or more"):
        run(history, "--limit", "0")


@pytest.mark.alike
def test_check_passes_when_the_last_run_succeeded(history: History) -> None:
    end(history, history.begin(Action.APPLY, *NEWER), 1, error="no")
    end(history, history.begin(Action.APPLY, *NEWER), 1)

    assert run(history, "--check")[0] == 0


@pytest.mark.alike
def test_check_fails_when_the_last_run_failed(history: History) -> None:
    end(history, history.begin(Action.APPLY, *NEWER), 1, error="no")

    assert run(history, "--check")[0] == 1


@pytest.mark.alike
def test_check_fails_when_the_last_run_was_killed(history: History) -> None:
    history.begin(Action.APPLY, *NEWER)  # without the lock, as after a SIGKILL

    exit_code, out, _ = run(history, "--check")

    assert exit_code == 1
    assert "The last action was killed: apply bots.0007" in out


@pytest.mark.alike
def test_changed_migration_is_told_and_fails_the_check(history: History) -> None:
    recorder = MigrationRecorder(history.connection)
    recorder.ensure_schema()
    recorder.record_applied(*NEWER)
    history.record(Action.APPLY, *NEWER, checksum="what it did then")

    exit_code, out, _ = run(history, "--check")

    assert exit_code == 1
    assert "Changed since they were applied:\n  bots.0007_alter_bot_config" in out
    assert "makemigrations" in out
    assert run(history)[0] == 0


@pytest.mark.alike
@pytest.mark.parametrize("as_json", [False, True])
def test_database_without_history_says_so(as_json: bool, history: History) -> None:
    exit_code, out, _ = run(history, "--check", *(["--json"] if as_json else []))

    assert exit_code == 0
    if as_json:
        assert json.loads(out) == []
    else:
        assert out.startswith("There is no history yet. migrate begins it")
    assert not history.has_table()


@pytest.mark.alike
def test_command_in_a_process_of_its_own_exits_with_the_code(
    history: History,
) -> None:
    end(history, history.begin(Action.APPLY, *NEWER), 1, error="no")
    url = (
        database_url(history.connection)
        if history.connection.vendor == "postgresql"
        else f"sqlite:///{history.connection.settings_dict['NAME']}"
    )

    result = manage("schema_history", "--check", DATABASE_URL=url, **SECRETS)

    assert result.returncode == 1
    assert "failed" in result.stdout
    assert result.stderr == ""


@pytest.mark.alike
@pytest.mark.postgresql
def test_database_that_cannot_be_reached_is_told_in_one_line() -> None:
    result = manage(
        "schema_history",
        DATABASE_URL="postgres://bot:a-password@127.0.0.1:1/none",
        **SECRETS,
    )

    assert result.returncode == 1
    assert result.stderr.startswith("CommandError: Cannot use the database: ")
    assert "Check DATABASE_URL" in result.stderr
    assert "a-password" not in result.stderr
