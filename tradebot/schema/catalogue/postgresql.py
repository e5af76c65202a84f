"""Read the catalogue of a schema of PostgreSQL, spelled by the server."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.catalogue.objects import Catalogue, Object
from tradebot.schema.catalogue.queries import QUERIES


def read_postgresql(connection: BaseDatabaseWrapper) -> Catalogue:
    """Return the objects of the schema in which tables are made.

    Without those that belong to an extension.
    """
    catalogue: dict[tuple[str, str], Object] = {}
    with connection.cursor() as cursor:
        for name, query in QUERIES.items():
            cursor.execute(query)
            for row in cursor.fetchall():
                for found in _OBJECTS[name](*row):
                    catalogue[found.kind, found.name] = found
    return catalogue


# --- From rows to objects ---------------------------------------------------------

_PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
_IDENTITY = {"": None, "a": "always", "d": "by default"}
_GENERATED = {"s": "STORED", "v": "VIRTUAL"}
_TABLE_KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table"}
_VIEW_KINDS = {"v": "view", "m": "materialized view"}
_ACTIONS = {
    "a": "NO ACTION",
    "r": "RESTRICT",
    "c": "CASCADE",
    "n": "SET NULL",
    "d": "SET DEFAULT",
}
_MATCH = {"f": "FULL", "p": "PARTIAL", "s": "SIMPLE"}
_FIRING = {"O": "enabled", "D": "disabled", "R": "replica only", "A": "always"}
_CONSTRAINTS = {
    "p": "primary key",
    "u": "unique",
    "c": "check",
    "f": "foreign key",
    "x": "exclusion",
}
_STATE = re.compile(r"( DEFERRABLE| INITIALLY DEFERRED| NOT VALID)+$")


def _relation(
    name: str,
    kind: str,
    persistence: str,
    owner: str,
    row_security: bool,
    forced: bool,
    view: str | None,
    inherits: list[str],
    partition_key: str | None,
    partition_bound: str | None,
) -> Iterator[Object]:
    if kind in _VIEW_KINDS:
        yield Object(
            kind=_VIEW_KINDS[kind],
            own_name=name,
            attributes={"definition": view, "owner": owner},
            definition=view or "",
        )
        return
    yield Object(
        kind="table",
        own_name=name,
        attributes={
            "kind": _TABLE_KINDS[kind],
            "persistence": _PERSISTENCE[persistence],
            "row security": (
                ("forced" if forced else "enabled") if row_security else "disabled"
            ),
            "inherits": ", ".join(inherits) or None,
            "partition key": partition_key,
            "partition bound": partition_bound,
            "owner": owner,
        },
    )


def _column(
    table: str,
    name: str,
    type_: str,
    collation: str | None,
    not_null: bool,
    default: str | None,
    identity: str,
    generated: str,
) -> Iterator[Object]:
    parts = [type_, f'COLLATE "{collation}"' if collation else ""]
    expression = None
    if generated:
        expression = f"ALWAYS AS ({default}) {_GENERATED[generated]}"
        default = None
        parts.append(f"GENERATED {expression}")
    if default is not None:
        parts.append(f"DEFAULT {default}")
    if identity:
        parts.append(f"GENERATED {(_IDENTITY[identity] or '').upper()} AS IDENTITY")
    parts.append("NOT NULL" if not_null else "")
    yield Object(
        kind="column",
        own_name=name,
        table=table,
        attributes={
            "type": type_,
            "collation": collation,
            "nullability": "NOT NULL" if not_null else "NULL",
            "generated": expression,
            "default": default,
            "identity": _IDENTITY[identity],
        },
        definition=" ".join(filter(None, parts)),
    )


def _constraint(
    table: str,
    name: str,
    kind: str,
    definition: str,
    deferrable: bool,
    deferred: bool,
    validated: bool,
    index_valid: bool,
    columns: list[str],
    target: str | None,
    target_columns: list[str],
    on_delete: str,
    set_columns: list[str],
    on_update: str,
    match: str,
    enforced: bool,
) -> Iterator[Object]:
    attributes: dict[str, object] = {}
    if kind == "f":
        some = f" ({', '.join(set_columns)})" if set_columns else ""
        attributes |= {
            "columns": ", ".join(columns),
            "target": f"{target}({', '.join(target_columns)})",
            "on delete": _ACTIONS[on_delete] + some,
            "on update": _ACTIONS[on_update],
            "match": _MATCH[match],
            "enforcement": "on" if enforced else "off: its triggers are disabled",
        }
    else:
        attributes["definition"] = _STATE.sub("", definition)
    if kind != "c":
        attributes["deferrable"] = (
            ("initially deferred" if deferred else "initially immediate")
            if deferrable
            else "not deferrable"
        )
    if kind in "cf":
        attributes["state"] = "valid" if validated else "NOT VALID"
    else:
        attributes["state"] = "valid" if index_valid else "INVALID"
    yield Object(
        kind=_CONSTRAINTS[kind],
        own_name=name,
        table=table,
        attributes=attributes,
        definition=definition,
    )


def _index(
    table: str,
    name: str,
    definition: str,
    unique: bool,
    method: str,
    predicate: str | None,
    valid: bool,
    building: bool,
) -> Iterator[Object]:
    columns = definition.partition(f" USING {method} ")[2]
    if predicate is not None:
        columns = columns.removesuffix(f" WHERE {predicate}")
    yield Object(
        kind="index",
        own_name=name,
        table=table,
        attributes={
            "uniqueness": "unique" if unique else "not unique",
            "method": method,
            # With their order and operator classes, and what is included.
            "columns": re.sub(r" WITH \([^()]*\)$", "", columns),
            "predicate": predicate,
            "state": "being built" if building else "valid" if valid else "INVALID",
        },
        definition=definition,
    )


def _sequence(
    name: str,
    type_: str,
    start: int,
    increment: int,
    minimum: int,
    maximum: int,
    cache: int,
    cycle: bool,
    persistence: str,
    table: str | None,
    column: str | None,
    identity: bool,
) -> Iterator[Object]:
    owner = f"{table}.{column}" if table else None
    yield Object(
        kind="sequence",
        own_name=name,
        table=table or "",
        attributes={
            "type": type_,
            "start": start,
            "increment": increment,
            "minimum": minimum,
            "maximum": maximum,
            "cache": cache,
            "cycle": "yes" if cycle else "no",
            "persistence": _PERSISTENCE[persistence],
            "owned by": f"identity of {owner}" if identity else owner,
        },
        definition=(
            f"AS {type_} START {start} INCREMENT {increment} MINVALUE {minimum} "
            f"MAXVALUE {maximum} CACHE {cache} {'CYCLE' if cycle else 'NO CYCLE'}"
        ),
    )


def _trigger(table: str, name: str, definition: str, enabled: str) -> Iterator[Object]:
    yield Object(
        kind="trigger",
        own_name=name,
        table=table,
        attributes={"definition": definition, "state": _FIRING[enabled]},
        definition=definition,
    )


def _function(name: str, kind: str, schema: str, definition: str) -> Iterator[Object]:
    # The server puts the schema before the name whatever the search_path is.
    definition = definition.replace(f" {schema}.", " ", 1).strip()
    yield Object(
        kind={"p": "procedure", "a": "aggregate"}.get(kind, "function"),
        own_name=name,
        # The white space of ours is that of a file, which may be formatted anew.
        attributes={"definition": " ".join(definition.split())},
        definition=definition,
    )


def _defined(kind: str, table: str, name: str, definition: str) -> Iterator[Object]:
    yield Object(
        kind=kind,
        own_name=name,
        table=table,
        attributes={"definition": definition},
        definition=definition,
    )


_OBJECTS: Mapping[str, Callable[..., Iterator[Object]]] = {
    "relations": _relation,
    "columns": _column,
    "constraints": _constraint,
    "indexes": _index,
    "sequences": _sequence,
    "triggers": _trigger,
    "functions": _function,
    "others": _defined,
}
