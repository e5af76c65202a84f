"""Imports run one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import SECRETS, environment

ROOT = Path(__file__).resolve().parent.parent
# Each imports itself, tradebot and those before it.
APPS = ["accounts", "apikeys", "bots", "trading", "backtests"]
# All that the engine may import but itself: nothing that knows a time or a place.
ENGINE_IMPORTS = {
    "collections", "dataclasses", "decimal", "enum", "functools", "hashlib", "json",
    "math", "numba", "numpy", "pathlib", "statistics", "types", "typing",
}  # fmt: skip


def imported_packages(path: Path) -> Iterator[str]:
    """Yield the top packages that a module imports, wherever in it it does so."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name.split(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.sqlite
@pytest.mark.parametrize("package", ["tradebot", *APPS])
def test_package_imports_only_those_before_it(package: str) -> None:
    later = APPS if package == "tradebot" else APPS[APPS.index(package) + 1 :]
    forbidden = {*later, "tests"}

    wrong = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in (ROOT / package).rglob("*.py")
        for name in imported_packages(path)
        if name in forbidden
    }

    assert not wrong


@pytest.mark.sqlite
def test_engine_imports_neither_django_nor_clock_nor_network() -> None:
    for path in (ROOT / "trading" / "engine").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif not isinstance(node, ast.Import):
                continue
            for name in names:
                own = name == "trading.engine" or name.startswith("trading.engine.")
                known = {"__future__", *ENGINE_IMPORTS}
                assert own or name.split(".")[0] in known, f"{path} imports {name}"


@pytest.mark.sqlite
@pytest.mark.parametrize("module", ["tradebot.urls", "backtests.tasks"])
def test_process_that_never_simulates_starts_without_numpy_and_numba(
    module: str,
) -> None:
    started = f"import sys, tradebot.wsgi, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", started],
        cwd=ROOT,
        env=environment(**SECRETS),
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert module in loaded
    assert not {"numpy", "numba", "trading.engine"} & loaded
