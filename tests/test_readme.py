"""The README's example runs as it is written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from tests.processes import PATH, ROOT, SECRETS, database_url, serving
from tradebot.schema.revisions import MigrationKey, load_revisions

README = (ROOT / "README.md").read_text()


def _tested_blocks() -> str:
    blocks = re.findall(
        r"<!-- tests/test_readme.py runs this block -->\n```bash\n(.*?)```",
        README,
        re.DOTALL,
    )
    assert len(blocks) == README.count("test_readme.py runs this block")
    return "".join(blocks)


def _script() -> str:
    (script,) = re.findall(
        r"<!-- tests/test_readme.py runs this script -->\n```python\n(.*?)```",
        README,
        re.DOTALL,
    )
    return str(script)


@pytest.mark.sqlite
def test_settings_are_those_of_the_example_with_their_defaults() -> None:
    example = (ROOT / ".env.example").read_text()
    expected = {
        name: "required" if not hint else f"`{default}`" if default else "–"
        for hint, name, default in re.findall(
            r"^(#?)([A-Z_]+)=(.*)$", example, re.MULTILINE
        )
    }
    assert expected.pop("BACKTEST_WORKERS")  # of the machine

    told = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", README, re.MULTILINE))

    assert told.pop("BACKTEST_WORKERS") == "the number of processors"
    assert told == expected


@pytest.mark.alike
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_walk_from_register_to_a_stored_trade_runs_as_written(
    tmp_path: Path, empty_database: BaseDatabaseWrapper
) -> None:
    url = (
        database_url(empty_database)
        if empty_database.vendor == "postgresql"
        else f"sqlite:///{tmp_path}/walk.sqlite3"
    )
    command = ["tradebot/entrypoint.sh"]
    settings = {**SECRETS, "DATABASE_URL": url, "HTTPS_ONLY": "false"}

    with serving(tmp_path, command, **settings) as server:
        server.get("/health")
        walk = subprocess.run(
            ["bash", "-euo", "pipefail"],
            input=_tested_blocks().replace(":8000", f":{server.port}"),
            env={"PATH": PATH},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

        script = subprocess.run(
            [sys.executable, "-"],
            input=_script().replace(":8000", f":{server.port}"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert walk.returncode == 0, walk.stderr + walk.stdout + server.log
    assert script.stdout.splitlines() == [
        "BTCUSDT 12345.678123456789012345678",
        "First bot 1 -12345.678123456789012345678",
    ]
    assert script.stderr == (
        "422: leverage: Ensure this value is less than or equal to 125. You sent 500.\n"
    )
    assert '"email":"ada@example.com"' in walk.stdout
    assert '"api_key_masked":"ABCD****IJKL"' in walk.stdout
    assert '"price":12345678.123456789012345678' in walk.stdout
    assert '"total_pnl":-12345.678123456789012345678' in walk.stdout
    assert 'data: {"status":"unknown"' in walk.stdout
    assert "MNOPQRSTUVWX" not in walk.stdout + server.log


def test_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\(([^)#]+?)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_make_targets_that_the_readme_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"`?make ([a-z-]+)", README))

    assert {"run", "test", "test-full", "lint"} <= targets
    assert all(f"\n{target}:" in makefile for target in targets)


@pytest.mark.long
def test_way_back_leads_to_the_documented_head_and_forward_again(
    empty_database: BaseDatabaseWrapper,
) -> None:
    section = README.partition("### Go back")[2].partition("\n### ")[0]
    (target,) = re.findall(r"manage\.py migrate (\w+)$", section, re.MULTILINE)

    def migrate(*target: str) -> None:
        call_command("migrate", *target, database=empty_database.alias, verbosity=0)

    def ours() -> set[MigrationKey]:
        loader = MigrationLoader(empty_database)
        return {
            key
            for key in loader.applied_migrations
            if key[0] in {revision.migration[0] for revision in load_revisions()}
            and not loader.disk_migrations[key].replaces
        }

    migrate()
    head = ours()
    migrate(target)
    assert ours() == {revision.migration for revision in load_revisions()}
    migrate()
    assert ours() == head
