"""What ``make`` does where something is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, SECRETS, environment

SKIPPED_AT_RUN = """
import pytest

def test_one():
    pytest.skip("no server")

@pytest.mark.xfail
def test_two():
    assert False
"""
SKIPPED_AT_IMPORT = 'import pytest\npytest.importorskip("no_such_package")\n'


def run_pytest(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    configured = ["-c", "pyproject.toml", "--rootdir=.", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *configured, *options, str(path)],
        cwd=ROOT,
        env=environment(**SECRETS),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.long
@pytest.mark.sqlite
@pytest.mark.parametrize("source", [SKIPPED_AT_RUN, SKIPPED_AT_IMPORT])
def test_fail_on_skip_fails_what_is_skipped(tmp_path: Path, source: str) -> None:
    path = tmp_path / "test_skipped.py"
    path.write_text(source)
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    assert "1 skipped" in run_pytest(path).stdout
    result = run_pytest(path, "--fail-on-skip")
    assert result.returncode != 0
    assert "skipped under --fail-on-skip" in result.stdout
    assert ("1 xfailed" in result.stdout) == ("xfail" in source)


@pytest.mark.sqlite
def test_make_without_python_3_11_stops_with_one_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "sh"):
        program = shutil.which(name)
        assert program is not None
        (programs / name).symlink_to(program)
    # A name without the version behind it, as version managers leave it.
    shim = programs / "python3.11"
    shim.write_text(f"#!{programs}/sh\nexit 127\n")
    shim.chmod(0o755)

    result = subprocess.run(
        ["make", "run"],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(programs), "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith(
        "TradeBot needs Python 3.11: neither python3.11 nor python3 is one.\n"
    )
    assert not (tmp_path / ".venv").exists()
