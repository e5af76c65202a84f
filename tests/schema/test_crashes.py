"""A runner dies at any moment: the next one reaches the same end by itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.state import ModelState, ProjectState

from tests.processes import PATH, ROOT
from tradebot.operations import BuildIndexConcurrently

# At the start, on the way and at the end; tests.schema.crashes runs all by hand.
MOMENTS = {"kill": ["1", "1000"], "terminate": ["700", "-1"]}


def crash(how: str, moments: list[str], database_url: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.schema.crashes", how, *moments],
        cwd=ROOT,
        env={"PATH": PATH, "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"{len(moments)} ok, 0 failed" in result.stdout


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "how", ["kill", pytest.param("terminate", marks=pytest.mark.long)]
)
def test_run_cut_off_at_a_moment_is_finished_by_the_next(
    how: str, postgresql_url: str
) -> None:
    crash(how, MOMENTS[how], postgresql_url)


@pytest.mark.long
@pytest.mark.sqlite
def test_killed_run_on_sqlite_is_finished_by_the_next() -> None:
    crash("kill", ["600", "-1"], "")


COUNTED = ModelState(
    "counting",
    "Counted",
    [
        ("id", models.BigAutoField(primary_key=True)),
        ("step", models.IntegerField()),
    ],
    {"db_table": "counted"},
)
OPERATION = BuildIndexConcurrently(
    "counted", models.Index(fields=["step"], name="counted_step")
)


@pytest.mark.postgresql
def test_invalid_index_left_behind_is_built_anew(
    empty_database: BaseDatabaseWrapper,
) -> None:
    before = ProjectState()
    before.add_model(COUNTED)
    after = before.clone()
    OPERATION.state_forwards("counting", after)

    def valid() -> object:
        with empty_database.cursor() as cursor:
            cursor.execute(
                "SELECT indisvalid FROM pg_index "
                "WHERE indexrelid = to_regclass('counted_step')"
            )
            return cursor.fetchone()

    with empty_database.schema_editor(atomic=False) as editor:
        editor.create_model(before.apps.get_model("counting", "counted"))
        OPERATION.database_forwards("counting", editor, before, after)
        with empty_database.cursor() as cursor:
            cursor.execute(
                "UPDATE pg_index SET indisvalid = false "
                "WHERE indexrelid = to_regclass('counted_step')"
            )
        assert valid() == (False,)

        OPERATION.database_forwards("counting", editor, before, after)
        assert valid() == (True,)
        OPERATION.database_forwards("counting", editor, before, after)
        OPERATION.database_backwards("counting", editor, after, before)
        assert valid() is None
        OPERATION.database_backwards("counting", editor, after, before)
