"""Branches that each added a migration are told, and merged by one command."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.test import override_settings
from django.urls import reverse

from tests.admin_data import client_of, make_superuser
from tests.processes import ROOT, SECRETS, database_url, manage, serving
from tests.schema.made_up import loader_of, migration
from tradebot.schema.branches import branches_fault, open_branches
from tradebot.schema.faults import BranchesError, RevisionsError
from tradebot.schema.revisions import MigrationKey

NAMES = ("0017_index_strategy", "0017_index_timeframe")
TOLD = (
    f"Branches have each added a migration to the same app: bots.{NAMES[0]} and "
    f"bots.{NAMES[1]}. Nothing was changed. Run manage.py makemigrations --merge"
)
BRANCH = """
from django.db import migrations, models

from tradebot.operations import BuildIndexConcurrently, DropIndexConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("bots", "0016_create_bot_run_table")]
    operations = [
        BuildIndexConcurrently(
            model_name="botconfig", index=models.Index(fields=["{field}"], name="tried")
        ),
        DropIndexConcurrently(model_name="botconfig", name="tried"),
    ]
"""


class Checkout:
    """The program with migrations of its own for bots, on a database of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.migrations = folder / "migrations_of_bots"
        shutil.copytree(ROOT / "bots" / "migrations", self.migrations)
        (folder / "settings_of_checkout.py").write_text(
            "from tests.settings import *\n"
            f"MIGRATION_MODULES = {{'bots': '{self.migrations.name}'}}\n"
        )
        self.settings = {
            **SECRETS,
            "DATABASE_URL": url,
            "DJANGO_SETTINGS_MODULE": "settings_of_checkout",
            "PYTHONPATH": f"{folder}:{ROOT}",
        }

    def branch(self) -> None:
        for name in NAMES:
            text = BRANCH.format(field=name.rpartition("_")[2])
            (self.migrations / f"{name}.py").write_text(text)

    def replace(self, name: str, old: str, new: str) -> None:
        file = self.migrations / f"{name}.py"
        text = file.read_text()
        assert text.count(old) == 1
        file.write_text(text.replace(old, new))

    def run(self, *commands: str) -> Iterator[tuple[str, int, str, str]]:
        """Run commands, two at a time; yield each, its exit code, and its output."""

        def run_one(command: str) -> tuple[str, int, str, str]:
            result = manage(*command.split(), **self.settings)
            return command, result.returncode, result.stdout, result.stderr

        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(run_one, commands)


@pytest.fixture
def checkout(empty_database: BaseDatabaseWrapper, tmp_path: Path) -> Checkout:
    url = (
        database_url(empty_database)
        if empty_database.vendor == "postgresql"
        else f"sqlite:///{empty_database.settings_dict['NAME']}"
    )
    return Checkout(tmp_path, url)


@pytest.mark.long
@pytest.mark.alike
def test_branches_stop_the_program_until_they_are_merged(
    checkout: Checkout, tmp_path: Path
) -> None:
    checkout.branch()
    gunicorn = ["gunicorn", "-c", "tradebot/gunicorn_config.py"]

    with serving(tmp_path, gunicorn, **checkout.settings) as server:
        for command, exit_code, _, told in checkout.run("migrate", "migrate --plan"):
            assert told.startswith(f"CommandError: {TOLD}"), command
            assert exit_code == BranchesError.exit_code, command
            assert told.count("\n") == 1, command
        assert server.process.wait(timeout=30) == 1
    assert f"Not served: {TOLD}" in server.log
    assert "Traceback" not in server.log

    ((_, exit_code, out, told),) = checkout.run("makemigrations --merge --no-input")
    assert (exit_code, told) == (0, "")
    assert "Build index tried of botconfig concurrently" in out
    (merge,) = checkout.migrations.glob("0018_merge_*.py")
    assert all(name in merge.read_text() for name in NAMES)
    ((_, exit_code, out, told),) = checkout.run("migrate")
    assert (exit_code, told) == (0, "")
    assert f"Applying bots.{merge.stem}... OK" in out
    for command, exit_code, _, told in checkout.run(
        "migrate --check", "makemigrations --check"
    ):
        assert (exit_code, told) == (0, ""), command


@pytest.fixture
def branched(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, db: None
) -> Iterator[None]:
    """Branches in this process."""
    checkout.branch()
    # Of a name of its own, since Python keeps what it has imported.
    package = f"migrations_{checkout.migrations.parent.name}"
    checkout.migrations.rename(checkout.migrations.with_name(package))
    monkeypatch.syspath_prepend(checkout.migrations.parent)
    with override_settings(MIGRATION_MODULES={"bots": package}):
        yield


@pytest.mark.parametrize(
    "command",
    [
        "migrate",
        "migrate --plan",
        "migrate --check",
        "migrate --check bots",
        "migrate bots 0012",
        "wait_for_schema --timeout 60",
        "create_first_admin",
        "check_data",
    ],
)
def test_branches_are_told_by_each_command(command: str, branched: None) -> None:
    # What the command looks at before it begins, which call_command() leaves out.
    options: Any = {"skip_checks": False} if command == "create_first_admin" else {}

    with pytest.raises(CommandError) as told:
        call_command(*command.split(), **options)

    assert str(told.value).startswith(TOLD)
    assert told.value.returncode == BranchesError.exit_code


def test_branches_are_told_beside_what_can_be_shown(
    branched: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("showmigrations", "--graph", "bots")
    out, err = capsys.readouterr()
    assert f"├─╮\n○ │  bots.{NAMES[0]}\n  ○  bots.{NAMES[1]}\n" in out
    assert err.startswith(f"Attention: {TOLD}")

    with pytest.raises(SystemExit) as exit_:
        call_command("schema_history", "--check")
    assert exit_.value.code == 1
    assert TOLD in capsys.readouterr().out


def test_branches_are_told_and_drawn_in_the_admin(branched: None) -> None:
    text = client_of(make_superuser()).get(reverse("admin:tradebot_schema"))

    assert TOLD in text.content.decode()
    assert all(
        f'<th scope="row">bots.{name}</th>' in str(text.content) for name in NAMES
    )


def test_branches_are_told_by_makemigrations_as_django_does(branched: None) -> None:
    with pytest.raises(CommandError, match="makemigrations --merge") as told:
        call_command("makemigrations", "--check")

    assert all(name in str(told.value) for name in NAMES)


def test_contradictory_documented_revisions_are_told_without_a_traceback(
    checkout: Checkout,
) -> None:
    checkout.replace(
        "0002_create_bot_state_table",
        'revision = "e2cbe40c4a2c"',
        'revision = "19adfce0d2a6"',
    )

    ((_, exit_code, _, told),) = checkout.run("migrate")

    assert told.startswith(
        "CommandError: The migrations contradict each other about the documented "
        "revisions: revision 19adfce0d2a6 is declared by bots."
    )
    assert exit_code == RevisionsError.exit_code
    assert told.count("\n") == 1


def _migrations(
    *names: str,
    replaces: dict[str, str] | None = None,
    run_before: dict[str, str] | None = None,
) -> dict[MigrationKey, Migration]:
    """Make migrations of one app: ``"a b"`` is b after a, ``"b"`` alone the first."""

    def keys(names: str) -> list[MigrationKey]:
        return [("app", name) for name in names.split()]

    result: dict[MigrationKey, Migration] = {}
    for each in names:
        *dependencies, key = keys(each)
        result[key] = migration(
            key,
            dependencies,
            replaces=keys((replaces or {}).get(key[1], "")),
            run_before=keys((run_before or {}).get(key[1], "")),
        )
    return result


@pytest.mark.parametrize(
    ("found", "newest"),
    [
        (_migrations("a", "a b", "b c"), []),
        (_migrations("a", "a b", "a c"), ["b", "c"]),
        (_migrations("a", "a b", "a c", "b c d"), []),
        (_migrations("a", "a b", "b c", "s", replaces={"s": "a b"}), []),
        (_migrations("a", "a b", "s", replaces={"s": "a b"}), []),
        (_migrations("a", "a b", "s c", "s", replaces={"s": "a b"}), []),
        (_migrations("s", "b c", replaces={"s": "a b"}), []),
        (
            _migrations("a", "a b", "b c", "b d", "s", replaces={"s": "a b"}),
            ["c", "d"],
        ),
        (_migrations("a", "b", run_before={"b": "a"}), []),
    ],
    ids=[
        "line",
        "branches",
        "merged",
        "squashed",
        "squashed to the end",
        "after the squashed one",
        "replaced ones removed",
        "branches after squashed",
        "run before",
    ],
)
def test_open_branches_are_those_that_django_finds(
    found: dict[MigrationKey, Migration], newest: list[str]
) -> None:
    djangos = loader_of(found).detect_conflicts()

    assert open_branches(found) == ({"app": newest} if newest else {})
    assert {app: sorted(names) for app, names in djangos.items()} == open_branches(
        found
    )


def test_migrations_of_the_program_are_one_history() -> None:
    assert branches_fault(MigrationLoader(None).disk_migrations) is None


def test_every_operation_can_be_shown_by_a_merge() -> None:
    for each in MigrationLoader(None).disk_migrations.values():
        for operation in each.operations:
            assert len(operation.formatted_description()) > 2


def test_branches_of_several_apps_are_all_named() -> None:
    keys = [("a", "0001_x"), ("a", "0001_y"), ("b", "0001_x"), ("b", "0001_z")]

    told = str(branches_fault({key: migration(key) for key in keys}))

    assert "app: a.0001_x and a.0001_y; b.0001_x and b.0001_z. Nothing" in told
