"""Imports run one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Each imports itself, tradebot and those before it.
APPS = ["accounts", "apikeys", "bots", "trading", "backtests", "dashboard"]


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
