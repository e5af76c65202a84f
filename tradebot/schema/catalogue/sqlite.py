"""Read the catalogue of an SQLite database, and say how it can be repaired.

SQLite keeps the text of a statement and has little else to compare: no owners,
sequences, functions, types or row security.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.catalogue.objects import Catalogue, Object

NOT_THERE = (
    "collations of the server",
    "functions",
    "identity",
    "owners",
    "row security",
    "sequences",
    "states of constraints and indexes (NOT VALID, INVALID)",
    "types",
)
"""What the engine has not, and is compared on PostgreSQL only."""

_CONSTRAINT = re.compile(
    r'CONSTRAINT "(?P<name>[^"]+)" (?P<kind>PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY)'
)
_REFERENCES = re.compile(r' (?:CONSTRAINT "[^"]+" )?(?=REFERENCES )')


def read_sqlite(connection: BaseDatabaseWrapper) -> Catalogue:
    """Return the tables, columns, constraints, indexes, views and triggers."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_master "
            "WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
        rows = cursor.fetchall()
    return {(each.kind, each.name): each for row in rows for each in _objects(*row)}


def _objects(kind: str, name: str, table: str, sql: str) -> Iterator[Object]:
    sql = " ".join(sql.split())
    if kind != "table":
        yield _defined(kind, "" if kind == "view" else table, name, sql)
        return
    head, _, body = sql.partition("(")
    body, _, options = body.rpartition(")")
    yield Object(
        kind="table",
        own_name=name,
        attributes={"options": options.strip() or None},
        definition=sql if head.upper().startswith("CREATE TABLE") else "",
    )
    for part in _split(body):
        if named := _CONSTRAINT.match(part):
            yield _defined(named["kind"].lower(), name, named["name"], part)
            continue
        column, definition = _name_and_rest(part)
        definition, *references = _REFERENCES.split(definition, maxsplit=1)
        yield _defined("column", name, column, definition)
        if references:
            yield _defined("foreign key", name, column, references[0])


def _defined(kind: str, table: str, name: str, definition: str) -> Object:
    return Object(
        kind=kind,
        own_name=name,
        table=table,
        attributes={"definition": definition},
        definition=definition,
    )


def _split(body: str) -> Iterator[str]:
    """Yield what is between the commas that are in no parentheses and no quotes."""
    start = depth = 0
    for token in re.finditer(r"""'[^']*'|"[^"]*"|[(),]""", body):
        depth += {"(": 1, ")": -1}.get(token[0], 0)
        if token[0] == "," and not depth:
            yield body[start : token.start()].strip()
            start = token.end()
    yield body[start:].strip()


def _name_and_rest(part: str) -> tuple[str, str]:
    quoted = re.match(r'"([^"]+)"\s*(.*)', part)
    if quoted:
        return quoted[1], quoted[2]
    name, _, rest = part.partition(" ")
    return name, rest


# --- Repairs ----------------------------------------------------------------------

_REBUILD = (
    "SQLite cannot change it in place. Back up the file, then make the table anew as "
    "the migrations say, copy its rows and exchange the two "
    "(https://www.sqlite.org/lang_altertable.html, section 7)."
)
_STANDALONE = ("index", "trigger", "view")


def make(wanted: Object, expected: Catalogue, extra: Sequence[Object] = ()) -> str:
    """Return how to make what is missing."""
    if wanted.kind == "table":
        return (
            "Its rows are gone: restore it from a backup. To make it anew, empty: "
            f"{wanted.definition};"
        )
    if wanted.kind == "column":
        return (
            "If it was dropped, its values are gone: bring them back from a backup "
            f"after ALTER TABLE {wanted.quoted_table} ADD COLUMN {wanted.quoted} "
            f"{wanted.definition};"
        )
    return f"{wanted.definition};" if wanted.kind in _STANDALONE else _REBUILD


def drop(there: Object) -> str:
    """Return how to drop what no migration makes."""
    drop_it = f"DROP {there.kind.upper()} {there.quoted};"
    if there.kind in _STANDALONE:
        return drop_it
    if there.kind == "column":
        drop_it = f"ALTER TABLE {there.quoted_table} DROP COLUMN {there.quoted};"
    elif there.kind != "table":
        return _REBUILD
    return f"Look what it holds. Where that is of no use: {drop_it}"


def rename(wanted: Object, there: Object) -> str:
    """Return how to give something its name."""
    return change("name", wanted, there)


def change(attribute: str, wanted: Object, there: Object) -> str:
    """Return how to give an attribute the value that is expected."""
    if wanted.kind in _STANDALONE:
        return f"{drop(there)} {wanted.definition};"
    return _REBUILD
