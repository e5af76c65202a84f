"""``docs/revisions.md`` says what the migrations are, no more and no less."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db import migrations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from tradebot.schema.revisions import Revision, RevisionError, load_revisions, ordered

DOCUMENT = settings.BASE_DIR / "docs" / "revisions.md"
OUR_APPS = {
    config.label
    for config in apps.get_app_configs()
    if Path(config.path).parent == settings.BASE_DIR
}


def _tables(text: str) -> list[list[list[str]]]:
    """Return the body rows of each table of a Markdown text, cell by cell."""
    tables = re.findall(r"^\|.*\n\|[-|]+\|\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [
        [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]
        for rows in (table.splitlines() for table in tables)
    ]


def _codes(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def _problems(text: str) -> list[str]:
    """Return every difference between a document and the migrations."""
    documented, squashed, later, _fills = _tables(text)
    loader = MigrationLoader(None, replace_migrations=False)
    ours = {
        f"{app}.{name}": migration
        for (app, name), migration in loader.disk_migrations.items()
        if app in OUR_APPS
    }
    revisions = load_revisions()
    mirrored = [".".join(revision.migration) for revision in revisions]
    expected_documented = [
        (str(number), (each.id,), each.revises, (name,))
        for number, (each, name) in enumerate(
            zip(revisions, mirrored, strict=True), start=1
        )
    ]
    expected_squashed = sorted(
        ((name,), tuple(".".join(replaced) for replaced in migration.replaces))
        for name, migration in ours.items()
        if migration.replaces
    )
    expected_later = sorted(
        (name,)
        for name, migration in ours.items()
        if not migration.replaces and name not in mirrored
    )
    found_documented = [
        (row[0], _codes(row[1]), _codes(row[2]), _codes(row[3])) for row in documented
    ]
    found_squashed = [(_codes(row[0]), _codes(row[1])) for row in squashed]
    found_later = [_codes(row[0]) for row in later]
    problems = [
        *_differences(expected_documented, found_documented),
        *_differences(expected_squashed, found_squashed),
        *_differences(expected_later, found_later),
    ]
    problems += [
        f"row without text: {row}"
        for table in (documented, squashed, later)
        for row in table
        if not all(row)
    ]
    return problems


def _differences(expected: list[Any], found: list[Any]) -> list[str]:
    problems = [f"missing row: {row}" for row in expected if row not in found]
    problems += [f"extra row: {row}" for row in found if row not in expected]
    problems += [f"doubled row: {row}" for row in expected if found.count(row) > 1]
    if not problems and expected != found:
        problems.append(f"rows out of order: {found}")
    return problems


@pytest.mark.sqlite
def test_document_matches_the_migrations() -> None:
    assert _problems(DOCUMENT.read_text()) == []


def _row(migration: str) -> str:
    (line,) = (
        line
        for line in DOCUMENT.read_text().splitlines(keepends=True)
        if line.startswith("|") and f"`{migration}` |" in line
    )
    return line


TAMPERINGS: dict[str, Callable[[str], str]] = {
    "missing": lambda row: "",
    "doubled": lambda row: row + row,
    "extra": lambda row: row + row.replace("_", "_x_"),
    "renamed": lambda row: row.replace("_", "_x_"),
    "emptied": lambda row: re.sub(r"\| [^|]+ \|\n", "|  |\n", row),
}


@pytest.mark.sqlite
@pytest.mark.parametrize("tampering", TAMPERINGS)
@pytest.mark.parametrize(
    "migration",
    [
        "trading.0001_create_trade_table",
        "trading.0001_squashed_0002_add_trade_realized_pnl",
        "accounts.0003_add_user_admin_columns",
    ],
)
def test_document_with_a_tampered_row_is_told(migration: str, tampering: str) -> None:
    row = _row(migration)
    tampered = DOCUMENT.read_text().replace(row, TAMPERINGS[tampering](row))

    assert _problems(tampered)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("trading.0001_create_trade_table", "bots.0003_add_bot_config_api_key"),
        (
            "accounts.0001_squashed_0002_add_user_reset_token",
            "trading.0001_squashed_0002_add_trade_realized_pnl",
        ),
        (
            "accounts.0003_add_user_admin_columns",
            "bots.0007_alter_bot_config_defaults",
        ),
    ],
)
def test_document_with_rows_out_of_order_is_told(first: str, second: str) -> None:
    one, other = _row(first), _row(second)
    text = DOCUMENT.read_text()
    swapped = text.replace(one, "@").replace(other, one).replace("@", other)

    assert _problems(swapped)


def _irreversible(operations: Iterable[Operation]) -> list[Operation]:
    """Return the operations that have no reverse, nested ones included."""
    found = []
    for operation in operations:
        nested = getattr(operation, "database_operations", [])
        found += _irreversible(nested)
        if not operation.reversible:
            found.append(operation)
    return found


@pytest.mark.sqlite
def test_every_operation_of_ours_has_a_reverse() -> None:
    loader = MigrationLoader(None)

    assert {
        key: left
        for key, migration in loader.disk_migrations.items()
        if key[0] in OUR_APPS and (left := _irreversible(migration.operations))
    } == {}


@pytest.mark.sqlite
def test_operation_without_a_reverse_is_found() -> None:
    one_way = migrations.RunSQL("SELECT 1")
    nested = migrations.SeparateDatabaseAndState(database_operations=[one_way])

    assert _irreversible([nested])[0] is one_way


def _revision(id_: str, *revises: str, name: str = "") -> Revision:
    return Revision(id=id_, revises=revises, migration=("app", name or id_))


@pytest.mark.sqlite
def test_revisions_of_two_branches_follow_the_order_of_their_merge() -> None:
    history = [
        _revision("merge", "left", "right"),
        _revision("right", "base"),
        _revision("left", "base"),
        _revision("base"),
    ]

    assert [revision.id for revision in ordered(history)] == [
        "base",
        "left",
        "right",
        "merge",
    ]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("history", "message"),
    [
        (
            [_revision("a", name="one"), _revision("a", name="two")],
            "revision a is declared by app.one and by app.two",
        ),
        ([_revision("a"), _revision("b", "x")], "no migration declares revision x"),
        ([_revision("a"), _revision("b")], r"bases \['a', 'b'\] and heads"),
        ([_revision("a"), _revision("b", "a"), _revision("c", "a")], "heads"),
        (
            [
                _revision("a"),
                _revision("b", "a", "c"),
                _revision("c", "b"),
                _revision("d", "c"),
            ],
            "comes before itself",
        ),
        (
            [_revision("a"), _revision("b", "c"), _revision("c", "b")],
            "comes before itself",
        ),
    ],
    ids=["doubled", "unknown", "two bases", "two heads", "cycle", "loose cycle"],
)
def test_contradictory_revisions_are_refused(
    history: list[Revision], message: str
) -> None:
    with pytest.raises(RevisionError, match=message):
        ordered(history)
