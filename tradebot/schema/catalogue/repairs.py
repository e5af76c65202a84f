"""The SQL that makes a database what it is expected to be.

Written for ``psql``, one statement after the other: what is built concurrently cannot
be in a transaction. Where rows are at stake it says so first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tradebot.schema.catalogue.objects import Catalogue, Object

_CONSTRAINTS = ("primary key", "unique", "check", "foreign key", "exclusion")
_FIRING = {
    "enabled": "ENABLE",
    "disabled": "DISABLE",
    "replica only": "ENABLE REPLICA",
    "always": "ENABLE ALWAYS",
}
# The conversions that neither fail nor change a value.
_WIDER = {
    ("smallint", "integer"),
    ("smallint", "bigint"),
    ("integer", "bigint"),
    ("real", "double precision"),
    ("smallint", "numeric"),
    ("integer", "numeric"),
    ("bigint", "numeric"),
    ("jsonb", "json"),
}


def make(wanted: Object, expected: Catalogue, extra: Sequence[Object] = ()) -> str:
    """Return how to make what is missing; ``extra`` is what may be it, renamed."""
    match wanted.kind:
        case "table":
            return (
                "Its rows are gone: restore it from a backup. To make it anew, empty: "
                + " ".join(_make_table(wanted, expected))
            )
        case "column":
            return _make_column(wanted, extra)
        case "index":
            return _concurrently(wanted) + ";"
        case "sequence":
            return _make_sequence(wanted)
        case "primary key" | "unique" | "check" | "foreign key" | "exclusion":
            return _add_constraint(wanted)
        case "trigger" | "rule" | "function" | "procedure":
            return f"{wanted.definition.rstrip(';')};"
        case "view" | "materialized view":
            body = wanted.definition.rstrip(";")
            return f"CREATE {wanted.kind.upper()} {wanted.quoted} AS {body};"
        case "policy":
            return (
                f"CREATE POLICY {wanted.quoted} ON {wanted.quoted_table} "
                f"{wanted.definition};"
            )
        case "domain" | "type":
            return f"CREATE {_of(wanted)} AS {wanted.definition};"
    return "Find the migration that makes it and repeat its statement."


def drop(there: Object) -> str:
    """Return how to drop what no migration makes."""
    match there.kind:
        case "table" | "materialized view" | "sequence":
            return (
                "Look who made it and what it holds. Where that is of no use: "
                f"DROP {_of(there)};"
            )
        case "column":
            return (
                "Look what it holds and whether it is another one, renamed. Where that "
                f"is of no use: ALTER TABLE {there.quoted_table} "
                f"DROP COLUMN {there.quoted};"
            )
        case "index":
            return f"DROP INDEX CONCURRENTLY {there.quoted};"
        case "trigger" | "rule" | "policy":
            return f"DROP {_of(there)} ON {there.quoted_table};"
        case kind if kind in _CONSTRAINTS:
            return f"ALTER TABLE {there.quoted_table} DROP CONSTRAINT {there.quoted};"
    return f"DROP {_of(there)};"


def rename(wanted: Object, there: Object) -> str:
    """Return how to give something its name."""
    old, new = f"{there.quoted}", f"{wanted.quoted}"
    if wanted.kind in _CONSTRAINTS:
        return f"ALTER TABLE {wanted.quoted_table} RENAME CONSTRAINT {old} TO {new};"
    if wanted.kind in ("trigger", "rule", "policy"):
        return f"ALTER {_of(there)} ON {wanted.quoted_table} RENAME TO {new};"
    if wanted.kind in ("function", "procedure", "aggregate"):
        new = wanted.own_name.partition("(")[0]
    return f"ALTER {_of(there)} RENAME TO {new};"


def change(attribute: str, wanted: Object, there: Object) -> str:
    """Return how to give an attribute the value that is expected."""
    match wanted.kind:
        case "table":
            return _change_table(attribute, wanted)
        case "column":
            return _change_column(attribute, wanted, there)
        case "index":
            return _change_index(attribute, wanted, there)
        case "sequence":
            return _change_sequence(attribute, wanted)
        case "trigger" if attribute == "state":
            word = _FIRING[str(wanted.attributes["state"])]
            return f"ALTER TABLE {wanted.quoted_table} {word} TRIGGER {wanted.quoted};"
        case kind if kind in _CONSTRAINTS:
            return _change_constraint(attribute, wanted)
        case "function" | "procedure":
            return make(wanted, {})  # CREATE OR REPLACE
        case "trigger" | "rule" | "policy" | "view" | "materialized view":
            return f"{drop(there)} {make(wanted, {})}"
    return (
        f"Columns may use it, so it cannot simply be replaced: ALTER {_of(wanted)} …, "
        f"until it is {wanted.definition}"
    )


# --- Tables and columns -----------------------------------------------------------


def _make_table(wanted: Object, expected: Catalogue) -> list[str]:
    parts = [each for each in expected.values() if each.table == wanted.own_name]
    columns = ", ".join(
        f"{each.quoted} {each.definition}" for each in parts if each.kind == "column"
    )
    serials = [
        each for each in parts if each.kind == "sequence" and not _is_identity(each)
    ]
    # What a foreign key refers to comes before it.
    others = sorted(
        (each for each in parts if each.kind not in ("column", "sequence")),
        key=lambda each: each.kind == "foreign key",
    )
    return [
        *(f"CREATE SEQUENCE {each.quoted} {each.definition};" for each in serials),
        f"CREATE TABLE {wanted.quoted} ({columns});",
        *(f"ALTER SEQUENCE {_owned_by(each)};" for each in serials),
        *(
            f"ALTER TABLE {each.quoted_table} ADD CONSTRAINT {each.quoted} "
            f"{each.definition};"
            if each.kind in _CONSTRAINTS
            else f"{each.definition};"
            for each in others
        ),
    ]


def _make_column(wanted: Object, extra: Sequence[Object]) -> str:
    add = (
        f"ALTER TABLE {wanted.quoted_table} "
        f"ADD COLUMN {wanted.quoted} {wanted.definition};"
    )
    alike = [
        each
        for each in extra
        if (each.kind, each.table) == ("column", wanted.table)
        and each.attributes["type"] == wanted.attributes["type"]
    ]
    renamed = "".join(
        f"If it was renamed: ALTER TABLE {wanted.quoted_table} "
        f"RENAME COLUMN {each.quoted} TO {wanted.quoted}; "
        for each in alike
    )
    fails = (
        wanted.attributes["nullability"] == "NOT NULL"
        and wanted.attributes["default"] is None
        and wanted.attributes["identity"] is None
    )
    return (
        f"{renamed}If it was dropped, its values are gone: bring them back from a "
        f"backup after {add}"
        + (" Where there are rows, without NOT NULL first." if fails else "")
    )


def _change_table(attribute: str, wanted: Object) -> str:
    table = f"ALTER TABLE {wanted.quoted}"
    value = wanted.attributes[attribute]
    match attribute:
        case "persistence" if value == "permanent":
            return f"{table} SET LOGGED;"
        case "persistence":
            return f"{table} SET UNLOGGED;"
        case "row security":
            enable = "DISABLE" if value == "disabled" else "ENABLE"
            force = "FORCE" if value == "forced" else "NO FORCE"
            return (
                f"{table} {enable} ROW LEVEL SECURITY; "
                f"{table} {force} ROW LEVEL SECURITY;"
            )
    return (
        "The rows have to move: make a table as the migrations say under another name, "
        "copy them, and exchange the two."
    )


def _change_column(attribute: str, wanted: Object, there: Object) -> str:
    table = f"ALTER TABLE {wanted.quoted_table}"
    alter = f"{table} ALTER COLUMN {wanted.quoted}"
    value, found = wanted.attributes[attribute], there.attributes[attribute]
    match attribute:
        case "type" | "collation":
            return _change_type(alter, wanted, there)
        case "nullability" if value == "NULL":
            return f"{alter} DROP NOT NULL;"
        case "nullability":
            proof = f'"{wanted.table}_{wanted.own_name}_required"'
            return (
                f"{table} ADD CONSTRAINT {proof} CHECK ({wanted.quoted} "
                f"IS NOT NULL) NOT VALID; {table} VALIDATE CONSTRAINT {proof}; "
                f"{alter} SET NOT NULL; {table} DROP CONSTRAINT {proof};"
            )
        case "default" if value is None:
            return f"{alter} DROP DEFAULT;"
        case "default":
            return f"{alter} SET DEFAULT {value};"
        case "identity" if value is None:
            return f"{alter} DROP IDENTITY;"
        case "identity" if found is not None:
            return f"{alter} SET GENERATED {str(value).upper()};"
        case "identity":
            return (
                f"{alter} DROP DEFAULT; {alter} ADD GENERATED {str(value).upper()} "
                f"AS IDENTITY; {_go_on(wanted.table, wanted.own_name)}"
            )
        case "generated" if value is None:
            return f"{alter} DROP EXPRESSION;"
    return (
        "What is in it will be computed anew: "
        f"{table} DROP COLUMN {wanted.quoted}, "
        f"ADD COLUMN {wanted.quoted} {wanted.definition};"
    )


def _change_type(alter: str, wanted: Object, there: Object) -> str:
    type_, collation = wanted.attributes["type"], wanted.attributes["collation"]
    found = str(there.attributes["type"])
    spelled = f'{type_} COLLATE "{collation}"' if collation else f"{type_}"
    statement = f"{alter} TYPE {spelled}"
    if type_ != found and not _keeps_all(found, str(type_)):
        return (
            "Back up first: values may be rounded, cut or rejected, and the table is "
            f"written anew. {statement} USING {wanted.quoted}::{type_};"
        )
    return f"{statement};"


def _keeps_all(found: str, type_: str) -> bool:
    """Ask whether a conversion neither fails nor changes a value."""
    if (found, type_) in _WIDER or type_ in ("text", "character varying"):
        return True
    # Without a limit, or with a higher one.
    name, limits = _limits(type_)
    other, old_limits = _limits(found)
    if name != other:
        return False
    return not limits or (
        len(limits) == len(old_limits) == 1 and limits[0] >= old_limits[0]
    )


def _limits(type_: str) -> tuple[str, list[int]]:
    numbers = re.search(r"\(([\d,]+)\)", type_)
    name = re.sub(r"\([\d,]+\)", "", type_)
    return name, [int(each) for each in numbers[1].split(",")] if numbers else []


# --- Constraints ------------------------------------------------------------------

_DEFERRABLE = {
    "not deferrable": "NOT DEFERRABLE",
    "initially immediate": "DEFERRABLE INITIALLY IMMEDIATE",
    "initially deferred": "DEFERRABLE INITIALLY DEFERRED",
}


def _add_constraint(wanted: Object) -> str:
    add = f"ALTER TABLE {wanted.quoted_table} ADD CONSTRAINT {wanted.quoted}"
    if wanted.kind in ("check", "foreign key"):
        if wanted.definition.endswith(" NOT VALID"):
            return f"{add} {wanted.definition};"
        return f"{add} {wanted.definition} NOT VALID; {_validate(wanted)}"
    plain = re.fullmatch(r"(PRIMARY KEY|UNIQUE) (\([^()]*\))(.*)", wanted.definition)
    if not plain or "INCLUDE" in plain[3]:
        return f"{add} {wanted.definition};"
    kind, columns, rest = plain.groups()
    return (
        f"CREATE UNIQUE INDEX CONCURRENTLY {wanted.quoted} "
        f"ON {wanted.quoted_table} {columns}; "
        f"{add} {kind} USING INDEX {wanted.quoted}{rest};"
    )


def _change_constraint(attribute: str, wanted: Object) -> str:
    table = f"ALTER TABLE {wanted.quoted_table}"
    value = str(wanted.attributes[attribute])
    match attribute:
        case "state" if value == "NOT VALID":
            return _add_again(wanted)
        case "state" if wanted.kind in ("check", "foreign key"):
            return _validate(wanted)
        case "state":
            return f"REINDEX INDEX CONCURRENTLY {wanted.quoted};"
        case "deferrable" if wanted.kind == "foreign key":
            return f"{table} ALTER CONSTRAINT {wanted.quoted} {_DEFERRABLE[value]};"
        case "enforcement":
            return (
                f"Rows that were written meanwhile have not been checked: {table} "
                "ENABLE TRIGGER ALL; likewise of the table it refers to; then "
                f"{_add_again(wanted)}"
            )
    return _add_again(wanted)


def _add_again(wanted: Object) -> str:
    drop_it = f"ALTER TABLE {wanted.quoted_table} DROP CONSTRAINT {wanted.quoted};"
    return f"{drop_it} {_add_constraint(wanted)}"


def _validate(wanted: Object) -> str:
    return f"ALTER TABLE {wanted.quoted_table} VALIDATE CONSTRAINT {wanted.quoted};"


# --- Sequences, indexes and the rest ----------------------------------------------


def _is_identity(sequence: Object) -> bool:
    return str(sequence.attributes["owned by"]).startswith("identity of ")


def _owned_by(sequence: Object) -> str:
    owner = sequence.attributes["owned by"]
    if owner is None:
        return f"{sequence.quoted} OWNED BY NONE"
    table, column = str(owner).split(".")
    return f'{sequence.quoted} OWNED BY "{table}"."{column}"'


def _make_sequence(wanted: Object) -> str:
    if _is_identity(wanted):
        return "It comes with the identity of its column: see there."
    owner = wanted.attributes["owned by"]
    make_it = f"CREATE SEQUENCE {wanted.quoted} {wanted.definition};"
    if owner is None:
        return f"{make_it} Then set it to the last value that was given out."
    table, column = str(owner).split(".")
    return (
        f"{make_it} ALTER SEQUENCE {_owned_by(wanted)}; "
        f'ALTER TABLE "{table}" ALTER COLUMN "{column}" '
        f"SET DEFAULT nextval('\"{wanted.own_name}\"'); {_go_on(table, column)}"
    )


def _go_on(table: str, column: str) -> str:
    """Return the statement after which the next key follows the highest."""
    return (
        f"SELECT setval(pg_get_serial_sequence('\"{table}\"', '{column}'), "
        f'max("{column}")) FROM "{table}";'
    )


def _change_sequence(attribute: str, wanted: Object) -> str:
    if attribute == "owned by":
        if _is_identity(wanted):
            return "It comes with the identity of its column: see there."
        return f"ALTER SEQUENCE {_owned_by(wanted)};"
    value = wanted.attributes[attribute]
    words: Mapping[str, str] = {
        "type": f"AS {value}",
        "start": f"START {value}",
        "increment": f"INCREMENT {value}",
        "minimum": f"MINVALUE {value}",
        "maximum": f"MAXVALUE {value}",
        "cache": f"CACHE {value}",
        "cycle": "CYCLE" if value == "yes" else "NO CYCLE",
        "persistence": "SET LOGGED" if value == "permanent" else "SET UNLOGGED",
    }
    return f"ALTER SEQUENCE {wanted.quoted} {words[attribute]};"


def _concurrently(index: Object) -> str:
    return re.sub(r"^CREATE (UNIQUE )?INDEX ", r"\g<0>CONCURRENTLY ", index.definition)


def _change_index(attribute: str, wanted: Object, there: Object) -> str:
    if attribute != "state":
        return f"{drop(there)} {make(wanted, {})}"
    if there.attributes["state"] == "being built":
        return "Wait: somebody is building it."
    return f"REINDEX INDEX CONCURRENTLY {wanted.quoted};"


def _of(each: Object) -> str:
    """Return the kind and the name of something as in DROP and ALTER."""
    if each.kind in ("function", "procedure", "aggregate"):
        return f"{each.kind.upper()} {each.own_name}"
    return f"{each.kind.upper()} {each.quoted}"
