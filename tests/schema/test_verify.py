"""Verify names every seeded defect, and none where there is none."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import migrations, models
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django.plugin import DjangoDbBlocker

from tests.databases import scratch_database
from tests.schema.seeded_defects import (
    DEFECTS,
    NEW,
    Copy,
    Defect,
    documented_part,
    short_form,
)
from tradebot.operations import BuildIndexConcurrently
from tradebot.schema.verification import CHECKS, Code, installed_code, verify
from tradebot.schema.verification.code import Subject


@pytest.fixture(scope="module")
def server(django_db_blocker: DjangoDbBlocker) -> Iterator[BaseDatabaseWrapper]:
    """A connection to an empty database, in which nobody may leave anything."""
    with django_db_blocker.unblock(), scratch_database() as connection:
        yield connection


@pytest.fixture(scope="module")
def bases(server: BaseDatabaseWrapper) -> dict[str, Code]:
    """The program, and parts of it that are soon replayed."""
    whole = installed_code()
    documented = documented_part(whole)
    documented = replace(documented, models=Subject(server, documented).newest_state())
    return {
        "whole": whole,
        "documented": documented,
        "short": short_form(documented),
    }


def messages(server: BaseDatabaseWrapper, code: Code, *names: str) -> list[str]:
    """Return what these checks, or all, find; they may not be left out."""
    checks = [each for each in CHECKS if not names or each.name in names]
    results = list(verify(server, code, checks=checks))
    assert not names or not any(each.left_out for each in results)
    assert all(problem.repair for each in results for problem in each.problems)
    return [problem.message for each in results for problem in each.problems]


@pytest.mark.parametrize(
    "defect",
    [
        # On PostgreSQL, where all checks are made, unless only SQLite tells it.
        pytest.param(
            each,
            id=each.name,
            marks=[
                getattr(pytest.mark, each.only or "postgresql"),
                *([pytest.mark.long] if number % 4 else []),
            ],
        )
        for number, each in enumerate(DEFECTS)
    ],
)
def test_seeded_defect_is_named_by_its_check(
    defect: Defect, server: BaseDatabaseWrapper, bases: dict[str, Code]
) -> None:
    copy = Copy(bases[defect.base])
    defect.sow(copy)

    found = messages(server, copy.code(), defect.check)

    assert any(defect.words in each for each in found), found


def test_thirty_defects_and_more_are_seeded_in_every_check() -> None:
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) >= 30
    assert {defect.check for defect in DEFECTS} == {check.name for check in CHECKS}


def test_copies_without_a_defect_pass_all_checks(
    server: BaseDatabaseWrapper, bases: dict[str, Code]
) -> None:
    copy = Copy(bases["documented"])
    note = models.CharField(db_default="none", default="none")
    copy.add(migrations.AddField("trade", "note", note), key=NEW)
    copy.add(
        BuildIndexConcurrently("trade", models.Index("note", name="by_note")),
        key=("trading", "0004_index_note"),
        after=[NEW],
        atomic=False,
    )

    assert messages(server, copy.code()) == []


def test_nothing_is_left_of_checks_that_fail(
    server: BaseDatabaseWrapper, bases: dict[str, Code]
) -> None:
    copy = Copy(bases["short"])
    copy.add(migrations.RunSQL("SELECT no_such", ""))

    found = messages(server, copy.code())

    assert any(
        "trading.0003_do_something cannot be applied: " in each for each in found
    )
    assert server.introspection.table_names() == []


def run(server: BaseDatabaseWrapper, **options: Any) -> tuple[int, str]:
    """Return exit code and output of the command."""
    output = StringIO()
    try:
        call_command("verify", database=server.alias, stdout=output, **options)
    except SystemExit as end:
        return int(str(end.code)), output.getvalue()
    return 0, output.getvalue()


@pytest.mark.long
@pytest.mark.postgresql
def test_command_passes_the_program_and_leaves_nothing(
    server: BaseDatabaseWrapper,
) -> None:
    code, text = run(server)

    assert (code, text.splitlines()[-1].split(",")[0]) == (
        0,
        f"All {len(CHECKS)} checks that were made are passed",
    )
    assert server.introspection.table_names() == []


@pytest.fixture
def broken_apikeys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The migrations of an app with one more, which is no good, as a package."""
    name = "broken_apikeys_migrations"
    shutil.copytree(
        django_settings.BASE_DIR / "apikeys" / "migrations", tmp_path / name
    )
    (tmp_path / name / "0008_auto_20260101_0000.py").write_text(
        "from django.db import migrations\n\n"
        "class Migration(migrations.Migration):\n"
        '    dependencies = [("apikeys", "0007_add_api_key_checks"), '
        '("bots", "0099_gone")]\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(django_settings, "MIGRATION_MODULES", {"apikeys": name})
    yield name
    for module in [each for each in sys.modules if each.startswith(name)]:
        del sys.modules[module]


def test_command_names_what_fails_and_what_it_left_out(
    broken_apikeys: str, server: BaseDatabaseWrapper
) -> None:
    code, text = run(server)
    as_json_code, as_json_text = run(server, json=True)

    assert code == as_json_code == 1
    lines = text.splitlines()
    assert lines[0].startswith("failed    graph ")
    assert lines[1:3] == [
        "    apikeys.0008_auto_20260101_0000 depends on bots.0099_gone, which is not "
        "there",
        "        repair  correct its dependencies, or bring the other one back",
    ]
    assert lines[-1].startswith("Failed: graph, in ")
    assert "Left out: models, squashed, reverse, " in lines[-1]
    report = json.loads(as_json_text)
    graph, documented, models_, *_ = report["checks"]
    assert report["ok"] is False
    assert (graph["name"], graph["status"]) == ("graph", "failed")
    assert [each["message"].split(" ", 1)[1] for each in graph["problems"]] == [
        "depends on bots.0099_gone, which is not there",
        "is not named for what it does",
        "has no docstring",
    ]
    assert documented["status"] == "ok"
    assert models_["status"] == "left out"
    assert models_["left_out"].startswith("the checks graph and documented have to")


@pytest.mark.sqlite
def test_checks_that_sqlite_has_not_are_left_out(
    server: BaseDatabaseWrapper, bases: dict[str, Code]
) -> None:
    results = {each.name: each for each in verify(server, bases["documented"])}

    assert {each.status for each in results.values()} == {"ok", "left out"}
    assert [name for name, each in results.items() if each.left_out] == [
        "steps",
        "script",
        "locks",
        "defaults",
    ]
    assert results["steps"].left_out == "not on SQLite"


def test_document_has_a_row_for_each_check() -> None:
    text = (django_settings.BASE_DIR / "docs" / "operations.md").read_text()
    section = text.partition("\n## Verify\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]

    assert [line.split("`")[1] for line in rows] == [check.name for check in CHECKS]
