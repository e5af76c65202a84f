"""``docs/operations.md`` lists the messages that there are, no more and no less."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator

import pytest

from tests.processes import ROOT
from tradebot.schema import faults, lock, pooler
from tradebot.schema.faults import PreflightError
from tradebot.schema.script_guard import guard
from tradebot.schema.version import SchemaVersion

DOCUMENT = ROOT / "docs" / "operations.md"
MISSING, UNKNOWN = (("app", "0002_missing"),), (("app", "0003_unknown"),)


def _tables(text: str) -> list[list[tuple[str, ...]]]:
    """Return the body rows of each table, cell by cell."""
    tables = re.findall(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [
        [
            tuple(cell.strip(" `") for cell in row.strip("|").split(" | "))
            for row in rows.splitlines()
        ]
        for rows in tables
    ]


def _first_sentence(text: str) -> str:
    match = re.match(r".*?[.?](?= |$)", " ".join(text.split()))
    assert match is not None
    return match[0]


def _fault_classes() -> Iterator[type[PreflightError]]:
    for module in (faults, pooler):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, PreflightError):
                yield value


def _faults() -> list[tuple[str, str]]:
    found = {
        (
            str(fault.exit_code),
            _first_sentence(re.sub(r"\{\w+\}", "…", fault.__doc__ or "")),
        )
        for fault in _fault_classes()
        if fault is not PreflightError
    }
    return sorted(found, key=lambda row: int(row[0]))


def _versions() -> list[tuple[str, str]]:
    versions = [
        SchemaVersion(missing=missing, unknown=unknown)
        for unknown in ((), UNKNOWN)
        for missing in ((), MISSING)
    ]
    return [
        (
            str(version.exit_code),
            _first_sentence(re.sub(r"app\.\w+", "…", str(version))),
        )
        for version in versions
    ]


def _texts(function: str, source: str) -> set[str]:
    """Return the first sentences of what a function is called with."""
    texts = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        if ast.unparse(node.func).rpartition(".")[2].lstrip("_") != function:
            continue
        match node.args[0]:
            case ast.Constant(value=str(text)):
                texts.add(_first_sentence(text))
            case ast.JoinedStr(values=parts):
                text = "".join(
                    str(part.value) if isinstance(part, ast.Constant) else "…"
                    for part in parts
                )
                texts.add(_first_sentence(text if text[-1] in ".?" else f"{text}."))
    return texts


def _lock_messages() -> set[tuple[str, str]]:
    return {("1", text) for text in _texts("LockError", inspect.getsource(lock))}


def _script_messages() -> list[str]:
    """Return what a script says when it refuses a database."""
    statement = guard(
        names=("STATE", "STATE"), before=[], own=[], squashed=[], apps=[], tables=[],
        times=[], rules=[],
    )  # fmt: skip
    messages = re.findall(r"RAISE EXCEPTION ('.*?'(?:\s+'.*?')*)[,;\s]", statement)
    texts = (re.sub(r"'\s+'|^'|'$", "", each).replace("%", "…") for each in messages)
    return [_first_sentence(text) for text in texts]


def _said() -> set[str]:
    return {
        text
        for folder in ("schema", "management")
        for path in (ROOT / "tradebot" / folder).rglob("*.py")
        for text in _texts("say", path.read_text())
    }


def _problems(text: str) -> list[str]:
    """Return every difference between a document and the program."""
    before, version, locked, said, script, *_ = _tables(text)
    problems = [
        f"row without text: {row}"
        for table in (before, version, locked, said, script)
        for row in table
        if not all(row)
    ]
    for name, found, expected in (
        ("before the first write", [row[:2] for row in before], _faults()),
        ("version", [row[:2] for row in version], _versions()),
        ("lock", sorted(row[:2] for row in locked), sorted(_lock_messages())),
        ("said", sorted(row[0] for row in said), sorted(_said())),
        ("script", [row[0] for row in script], _script_messages()),
    ):
        if found != expected:
            problems.append(f"{name}: {found} instead of {expected}")
    return problems


@pytest.mark.sqlite
def test_document_lists_the_messages_that_there_are() -> None:
    assert _problems(DOCUMENT.read_text()) == []


@pytest.mark.sqlite
@pytest.mark.parametrize("table", range(5))
@pytest.mark.parametrize("tampering", ["missing", "doubled", "renamed"])
def test_document_with_a_tampered_row_is_told(table: int, tampering: str) -> None:
    text = DOCUMENT.read_text()
    message = next(cell for cell in _tables(text)[table][-1] if "." in cell)
    (line,) = (
        each for each in text.splitlines(keepends=True) if f"| `{message}` |" in each
    )
    instead = {
        "missing": "",
        "doubled": line + line,
        "renamed": line.replace(message, f"{message[:-1]} today."),
    }[tampering]

    assert _problems(text.replace(line, instead))


@pytest.mark.sqlite
def test_every_fault_has_an_exit_code_of_its_own() -> None:
    codes = [fault.exit_code for fault in {*_fault_classes()} - {PreflightError}]

    assert len(codes) == len(set(codes)) >= 15
    assert min(codes) >= 10
