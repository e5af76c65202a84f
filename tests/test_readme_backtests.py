"""The README's walk from a file of candles to a result, as it is written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.processes import ROOT, SECRETS, database_url, environment

pytestmark = pytest.mark.alike

README = (ROOT / "README.md").read_text()
# Three days in place of a month, in the same format.
DAYS = ROOT / "tests/backtests/data/btc-perpetual-1m-2022-01.csv.gz"


def test_walk_from_a_file_of_candles_to_results_runs_as_written(
    tmp_path: Path, migrated_database: BaseDatabaseWrapper
) -> None:
    blocks = re.findall(
        r"<!-- tests/test_readme_backtests.py runs this block -->\n```bash\n(.*?)```",
        README,
        re.DOTALL,
    )
    assert len(blocks) == 2
    script = "".join(blocks)
    for written, here in (
        (".venv/bin/python", sys.executable),
        (f"CANDLES={DAYS.name}", f"CANDLES={DAYS}"),
        ("--to 2022-02-01", "--to 2022-01-04"),
        ("--walk-forward 10 5", "--walk-forward 1 1"),
        ("backtest.svg", f"{tmp_path}/backtest.svg"),
    ):
        assert written in script
        script = script.replace(written, here)
    url = (
        database_url(migrated_database)
        if migrated_database.vendor == "postgresql"
        else f"sqlite:///{migrated_database.settings_dict['NAME']}"
    )

    walk = subprocess.run(
        ["bash", "-euo", "pipefail"],
        input=script,
        cwd=ROOT,
        env=environment(**SECRETS, DATABASE_URL=url),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert walk.returncode == 0, walk.stderr + walk.stdout
    assert "4,320 stored" in walk.stdout
    assert re.search(r"^Trades +[1-9]", walk.stdout, re.MULTILINE)
    assert "done, 6 of 6 tried" in walk.stdout
    assert "In all" in walk.stdout
    assert "Attention: The best of many is partly luck." in walk.stdout
    assert 'class="line price"' in (tmp_path / "backtest.svg").read_text()
