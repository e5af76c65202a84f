"""The locks of ALTER TABLE, one action after the other.

The statement takes the strongest lock that one of its actions needs at its beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from tradebot.schema.locks.conversions import keeps_indexes, keeps_rows
from tradebot.schema.locks.effect import Effect, LockMode, Work
from tradebot.schema.locks.tables import Schema, Table
from tradebot.schema.locks.text import fold, name, pattern, split, unfold

_Action = Callable[[re.Match[str], str, Schema], Effect]

_ADDED = r"add (?:constraint ID )?"
_REFERENCES = pattern(r"\breferences (NAME)")
_DEFAULT = re.compile(
    r"\bdefault (.+?)(?= (?:not null|null|constraint|check|unique|primary key"
    r"|references|generated|collate|deferrable|initially)\b|$)"
)
_NUMBERED = re.compile(
    r"^(?:small|big)?serial[248]?\b|\bas identity\b|\bgenerated always as .*\bstored\b"
)
_CAST = re.compile(r"::[a-z][\w ]*(?:\([\d, ]*\))?")
_CALL = pattern(r"(NAME) ?\(")
# Functions that give every row of a statement the same value. Of others it is not
# known, so the table is taken to be written anew.
_STABLE = {
    *("now", "transaction_timestamp", "statement_timestamp", "current_timestamp"),
    *("localtimestamp", "coalesce", "cast", "lower", "upper", "timezone", "date_trunc"),
    *("jsonb_build_object", "jsonb_build_array", "to_jsonb", "in", "and", "or", "not"),
}


def alter_table(match: re.Match[str], schema: Schema) -> Effect:
    """Return the effect of ALTER TABLE; ``match`` has the table and the actions."""
    table = name(match[1], schema.name)
    effect = Effect()
    for action in split(match[2]):
        effect |= _action(action, table, schema)
    return effect


def _action(text: str, table: str, schema: Schema) -> Effect:
    for kind, effect in _ACTIONS:
        if match := kind.fullmatch(text):
            return effect(match, table, schema)
    return Effect(
        locks={table: LockMode.ACCESS_EXCLUSIVE}, work=Work.REWRITE, known=False
    )


def columns_of(definition: str, schema: Schema) -> Effect:
    """Return the locks of the REFERENCES among columns and constraints of a table."""
    return Effect(
        locks={
            name(each[1], schema.name): LockMode.SHARE_ROW_EXCLUSIVE
            for each in _REFERENCES.finditer(definition)
        }
    )


def _fixed(mode: LockMode, work: Work = Work.NONE) -> _Action:
    return lambda _match, table, _schema: Effect(locks={table: mode}, work=work)


def _exclusive(table: str, work: Work = Work.NONE, *, known: bool = True) -> Effect:
    return Effect(locks={table: LockMode.ACCESS_EXCLUSIVE}, work=work, known=known)


def _unless_not_valid(text: str) -> Work:
    return Work.NONE if re.search(r"\bnot valid\b", text) else Work.SCAN


def _add_foreign_key(match: re.Match[str], table: str, schema: Schema) -> Effect:
    both = (table, name(match[1], schema.name))
    return Effect(
        locks=dict.fromkeys(both, LockMode.SHARE_ROW_EXCLUSIVE),
        work=_unless_not_valid(match[2]),
    )


def _add_check(match: re.Match[str], table: str, schema: Schema) -> Effect:
    return _exclusive(table, _unless_not_valid(fold(match[1])[0]))


def _add_using_index(match: re.Match[str], table: str, schema: Schema) -> Effect:
    # PRIMARY KEY makes the columns NOT NULL first.
    index = name(match[2])
    known = schema.tables.get(table, Table())
    proven = known.indexes.get(index, frozenset({""})) <= known.never_null
    return _exclusive(table, Work.NONE if match[1] == "unique" or proven else Work.SCAN)


def _set_not_null(match: re.Match[str], table: str, schema: Schema) -> Effect:
    proven = name(match[1]) in schema.tables.get(table, Table()).never_null
    return _exclusive(table, Work.NONE if proven else _unless_not_valid(match[0]))


def _add_column(match: re.Match[str], table: str, schema: Schema) -> Effect:
    there = name(match[2]) in schema.tables.get(table, Table()).columns
    if match[1] and there:
        return _exclusive(table)
    flat, groups = fold(match[3])
    default = _DEFAULT.search(flat)
    filled = default is not None and default[1] != "null"
    if _NUMBERED.search(flat) or (
        default is not None and _is_volatile(unfold(default[1], groups))
    ):
        work = Work.REWRITE
    elif re.search(r"\b(?:unique|primary key)\b", flat):
        work = Work.BUILD
    elif (
        re.search(r"\bcheck\b", flat)
        or (not filled and re.search(r"\bnot null\b", flat))
        or (filled and re.search(r"\breferences\b", flat))
    ):
        work = Work.SCAN
    else:
        work = Work.NONE
    return _exclusive(table, work) | columns_of(flat, schema)


def _is_volatile(default: str) -> bool:
    called = _CALL.findall(_CAST.sub("", default))
    return any(each.removeprefix("pg_catalog.") not in _STABLE for each in called)


def _drop_column(match: re.Match[str], table: str, schema: Schema) -> Effect:
    dropped = frozenset({name(match[1])})
    return _exclusive(table, known=table in schema.tables) | schema.across(
        table, dropped, LockMode.ACCESS_EXCLUSIVE
    )


def _drop_constraint(match: re.Match[str], table: str, schema: Schema) -> Effect:
    known = schema.tables.get(table, Table())
    constraint = known.constraints.get(name(match[2]))
    if constraint is None:
        return _exclusive(table, known=bool(match[1] and table in schema.tables))
    effect = _exclusive(table)
    for key in schema.foreign_keys_to(table):
        if constraint.kind in "pu" and key.to_columns == constraint.columns:
            effect |= _exclusive(key.table)
    return effect | _exclusive(constraint.to_table or table)


def _validate_constraint(match: re.Match[str], table: str, schema: Schema) -> Effect:
    known = schema.tables.get(table, Table()).constraints.get(name(match[1]))
    effect = Effect(
        locks={table: LockMode.SHARE_UPDATE_EXCLUSIVE},
        work=Work.NONE if known and known.valid else Work.SCAN,
        known=known is not None,
    )
    if known and known.to_table and not known.valid:
        effect |= Effect(locks={known.to_table: LockMode.ROW_SHARE})
    return effect


def _alter_type(match: re.Match[str], table: str, schema: Schema) -> Effect:
    """Compare with the type of now; a foreign key on the column is made anew."""
    column, new, collation, using = name(match[1]), match[2], match[3], match[4]
    known = schema.tables.get(table, Table())
    old = known.columns.get(column)
    effect = schema.across(table, frozenset({column}), LockMode.ACCESS_EXCLUSIVE)
    if old is None:
        return effect | _exclusive(table, Work.REWRITE, known=False)
    cast = using is None or using in {f"{match[1]}::{new}", f"({match[1]}::{new})"}
    indexed = any(column in each for each in known.indexes.values())
    checked = any(
        column in each.columns and each.kind == "c" and each.valid
        for each in known.constraints.values()
    )
    if not cast or not keeps_rows(old, new, utc=schema.utc):
        work = Work.REWRITE
    elif indexed and (collation or not keeps_indexes(old, new)):
        work = Work.BUILD
    else:
        work = Work.SCAN if checked else Work.NONE
    return effect | _exclusive(table, work)


_ACTIONS: list[tuple[re.Pattern[str], _Action]] = [
    (pattern(kind), effect)
    for kind, effect in (
        (_ADDED + r"foreign key ?\(.*?\) ?references (NAME)(.*)", _add_foreign_key),
        (_ADDED + r"check ?(\(.*)", _add_check),
        (_ADDED + r"(unique|primary key) using index (NAME).*", _add_using_index),
        (
            _ADDED + r"(?:unique|primary key|exclude)\b.*",
            _fixed(LockMode.ACCESS_EXCLUSIVE, Work.BUILD),
        ),
        (_ADDED + r"not null (ID)(?: .*)?", _set_not_null),
        (r"add (?:column )?(if not exists )?(ID) (.+)", _add_column),
        (r"drop constraint (if exists )?(ID)(?: cascade| restrict)?", _drop_constraint),
        (
            r"drop (?:column )?(?:if exists )?(ID)(?: cascade| restrict)?",
            _drop_column,
        ),
        (r"validate constraint (ID)", _validate_constraint),
        (
            r"alter (?:column )?(ID) (?:set data )?type (.+?)"
            r"( collate NAME)?(?: using (.+))?",
            _alter_type,
        ),
        (r"alter (?:column )?(ID) set not null", _set_not_null),
        (
            r"alter (?:column )?ID (?:set statistics .*|(?:re)?set ?\(.*)",
            _fixed(LockMode.SHARE_UPDATE_EXCLUSIVE),
        ),
        (
            r"alter (?:column )?ID (?:set default .*|drop (?:default|not null)"
            r"|add generated .*|set generated .*|drop (?:identity|expression).*"
            r"|set storage .*)",
            _fixed(LockMode.ACCESS_EXCLUSIVE),
        ),
        (
            r"(?:enable|disable) (?:replica |always )?trigger .*",
            _fixed(LockMode.SHARE_ROW_EXCLUSIVE),
        ),
        (
            r"(?:rename .*|set schema .*|owner to .*|alter constraint .*"
            r"|(?:enable|disable|force|no force) row level security)",
            _fixed(LockMode.ACCESS_EXCLUSIVE),
        ),
        (
            r"(?:re)?set ?\(.*|cluster on .*|set without cluster",
            _fixed(LockMode.SHARE_UPDATE_EXCLUSIVE),
        ),
        (
            r"set (?:logged|unlogged)",
            _fixed(LockMode.ACCESS_EXCLUSIVE, Work.REWRITE),
        ),
    )
]
