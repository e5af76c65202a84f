"""The locks of statements that read and write rows."""

from __future__ import annotations

import re

from tradebot.schema.locks.effect import Effect, LockMode, Work
from tradebot.schema.locks.tables import Constraint, Schema
from tradebot.schema.locks.text import fold, name, pattern, split, unfold

_PIECE = re.compile(r"\b(?:select|insert into|update|delete from)\b")
_CTE = pattern(r"(ID)(?: ?\(#\d+\))? as (?:not materialized |materialized )?\(#\d+\)")
_FROM = re.compile(
    r"\bfrom (.+?)(?= (?:where|group by|order by|limit|having|returning|union|except"
    r"|intersect|for|window|offset|fetch|on conflict)\b|$)"
)
_BETWEEN_TABLES = re.compile(
    r", ?| using | (?:natural )?(?:(?:left|right|full|inner|cross) )?(?:outer )?join "
)
_ITEM = pattern(r"(?:lateral )?(?:only )?(NAME)(?! ?\()(?: as)?(?: (ID))?")
_ROW_LOCK = pattern(r"\bfor (?:no key update|update|key share|share)\b(?: of (NAMES))?")
_INSERT = pattern(r"\binsert into (NAME)(?: as ID)?(?: ?\(#(\d+)\))?")
_SET = r" set (.+?)(?= (?:from|where|returning)\b|$)"
_UPDATE = pattern(
    r"(?<!for )(?<!key )(?<!do )\bupdate (?:only )?(NAME)(?: (?:as )?(?!set\b)ID)?"
    + _SET
)
_UPSERT = pattern(r"\binsert into (NAME) .*\bdo update" + _SET)
_DELETE = pattern(r"\bdelete from (?:only )?(NAME)")
_CALL = pattern(r"(NAME) ?\(")
# Its FROM says what to compare with.
_DISTINCT_FROM = re.compile(r"\bis (?:not )?distinct from\b")
# What ON DELETE and ON UPDATE do that writes rows: CASCADE, SET NULL, SET DEFAULT.
_WRITING_ACTIONS = "cnd"


def query(text: str, schema: Schema) -> Effect:
    """Return the effect of SELECT, INSERT, UPDATE, DELETE, with or without WITH."""
    flat, groups = fold(_DISTINCT_FROM.sub("is", text))
    called = {name(each[1], schema.name) for each in _CALL.finditer(text)}
    effect = Effect(known=not called & schema.functions)
    for piece in (flat, *groups):
        if _PIECE.search(piece):
            effect |= _reads(piece, schema) | _writes(piece, groups, schema)
    named_by_with = {
        name(each[1]) for piece in (flat, *groups) for each in _CTE.finditer(piece)
    }
    locks = {
        table: mode
        for table, mode in effect.locks.items()
        if table not in named_by_with
        and not table.startswith(("pg_", "information_schema."))
    }
    work = effect.work if locks else Work.NONE
    return Effect(locks=locks, work=work, known=effect.known)


def _reads(piece: str, schema: Schema) -> Effect:
    tables: dict[str, LockMode] = {}
    aliases: dict[str, str] = {}
    for clause in _FROM.finditer(piece):
        for each in _BETWEEN_TABLES.split(clause[1]):
            if item := _ITEM.match(each):
                table = name(item[1], schema.name)
                tables[table] = LockMode.ACCESS_SHARE
                aliases |= {table: table, name(item[2] or item[1]): table}
    for row_lock in _ROW_LOCK.finditer(piece):
        of = [name(each, schema.name) for each in split(row_lock[1] or "") if each]
        for each in of or list(tables):
            tables[aliases.get(each, each)] = LockMode.ROW_SHARE
    return Effect(locks=tables, work=Work.SCAN if tables else Work.NONE)


def _writes(piece: str, groups: list[str], schema: Schema) -> Effect:
    effect = Effect()
    for each in _INSERT.finditer(piece):
        columns = _columns(groups[int(each[2])]) if each[2] else None
        effect |= _inserted(name(each[1], schema.name), columns, schema)
    for each in (*_UPDATE.finditer(piece), *_UPSERT.finditer(piece)):
        targets = [assignment.partition("=")[0] for assignment in each[2].split(",")]
        columns = _columns(unfold(",".join(targets), groups))
        effect |= _updated(name(each[1], schema.name), columns, schema)
    for each in _DELETE.finditer(piece):
        effect |= _deleted(name(each[1], schema.name), schema)
    return effect


def _columns(text: str) -> frozenset[str]:
    return frozenset(name(each) for each in re.split(r"[(), ]+", text) if each)


def _written(table: str) -> Effect:
    return Effect(locks={table: LockMode.ROW_EXCLUSIVE}, work=Work.ROWS)


def _inserted(table: str, columns: frozenset[str] | None, schema: Schema) -> Effect:
    """Look up what the new rows refer to."""
    return _written(table) | Effect(
        locks={
            key.to_table: LockMode.ROW_SHARE
            for key in schema.foreign_keys_of(table)
            if columns is None or key.columns & columns
        }
    )


def _updated(table: str, columns: frozenset[str], schema: Schema) -> Effect:
    """Look up what the rows refer to now, and what refers to them."""
    effect = _inserted(table, columns, schema)
    for key in schema.foreign_keys_to(table):
        if key.to_columns & columns:
            effect |= _referring(key, key.on_update)
    return effect


def _deleted(table: str, schema: Schema, seen: frozenset[str] = frozenset()) -> Effect:
    """Look up what refers to the rows; CASCADE goes on from there."""
    effect = _written(table)
    for key in schema.foreign_keys_to(table):
        effect |= _referring(key, key.on_delete)
        if key.on_delete == "c" and key.table not in seen:
            effect |= _deleted(key.table, schema, seen | {table})
    return effect


def _referring(key: Constraint, action: str) -> Effect:
    writes = action in _WRITING_ACTIONS
    return Effect(
        locks={key.table: LockMode.ROW_EXCLUSIVE if writes else LockMode.ROW_SHARE}
    )
