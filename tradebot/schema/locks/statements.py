"""The kinds of statements, and the lock that each takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import reduce
from operator import or_

from tradebot.schema.locks.alter_table import alter_table, columns_of
from tradebot.schema.locks.effect import NOTHING, UNKNOWN, Effect, LockMode, Work
from tradebot.schema.locks.queries import query
from tradebot.schema.locks.tables import Schema
from tradebot.schema.locks.text import name, normalise, pattern, split

_Kind = Callable[[re.Match[str], Schema], Effect]


def predict(statement: str, schema: Schema | None = None) -> Effect:
    """Return the effect of a statement without placeholders, or of several.

    ``schema`` is the database just before it, which says what the text does not: the
    table of an index, what a foreign key refers to, the type of a column. Where that
    is needed and not there, and for a statement of no known kind, the effect says so
    with ``known=False``. A plan of several statements is best predicted where each has
    the database before it: while it is replayed in a transaction that is rolled back.
    """
    schema = schema or Schema()
    effects = (_one(each.strip(), schema) for each in normalise(statement).split(";"))
    return reduce(or_, effects, NOTHING)


def _one(text: str, schema: Schema) -> Effect:
    for kind, effect in _KINDS:
        if match := kind.fullmatch(text):
            return effect(match, schema)
    return UNKNOWN


def _nothing(match: re.Match[str], schema: Schema) -> Effect:
    return NOTHING


def _unknown(match: re.Match[str], schema: Schema) -> Effect:
    return UNKNOWN


def _on(mode: LockMode, work: Work = Work.NONE) -> _Kind:
    """Make a kind whose first group is the tables that it locks."""
    return lambda match, schema: Effect(
        locks=dict.fromkeys(_names(match[1], schema), mode), work=work
    )


def _names(text: str, schema: Schema) -> list[str]:
    return [name(each.removeprefix("only "), schema.name) for each in split(text)]


def _missing(if_exists: object, schema: Schema) -> Effect:
    """Return the effect on something that ``schema`` has not."""
    return Effect(known=bool(if_exists and schema.tables))


def _query(match: re.Match[str], schema: Schema) -> Effect:
    return query(match[0], schema)


def _create_table(match: re.Match[str], schema: Schema) -> Effect:
    if_not_exists, table, definition = match.groups()
    if if_not_exists and name(table, schema.name) in schema.tables:
        return NOTHING
    if re.search(r"\binherits\b|^partition of\b", definition):
        return UNKNOWN
    if re.match(r"(?:\(.*\) )?as\b", definition):
        return query(definition, schema)
    likes = Effect(
        locks={
            name(each[1], schema.name): LockMode.ACCESS_SHARE
            for each in _LIKE.finditer(definition)
        }
    )
    effect = columns_of(definition, schema) | likes
    # It may refer to itself, which is new.
    return Effect(
        locks={
            each: mode
            for each, mode in effect.locks.items()
            if each != name(table, schema.name)
        }
    )


_LIKE = pattern(r"[(,] ?like (NAME)")


def _drop_table(match: re.Match[str], schema: Schema) -> Effect:
    """Lock, too, both ends of the foreign keys that go with a table."""
    effect = NOTHING
    for table in _names(match[2], schema):
        if table in schema.tables:
            effect |= Effect(locks={table: LockMode.ACCESS_EXCLUSIVE})
            effect |= schema.across(table, None, LockMode.ACCESS_EXCLUSIVE)
        elif match[1] and schema.tables:
            continue
        else:
            effect |= Effect(locks={table: LockMode.ACCESS_EXCLUSIVE}, known=False)
    return effect


def _truncate(match: re.Match[str], schema: Schema) -> Effect:
    # A new and empty file takes the place of the old one: no row is touched.
    tables = _names(match[1], schema)
    if match[2] and "cascade" in match[2]:
        for table in tables:
            tables += [
                key.table
                for key in schema.foreign_keys_to(table)
                if key.table not in tables
            ]
    return Effect(locks=dict.fromkeys(tables, LockMode.ACCESS_EXCLUSIVE))


def _create_index(match: re.Match[str], schema: Schema) -> Effect:
    concurrently, if_not_exists, index, table = match.groups()
    there = if_not_exists and schema.table_of(name(index or ""))
    return Effect(
        locks={
            name(table, schema.name): LockMode.SHARE_UPDATE_EXCLUSIVE
            if concurrently
            else LockMode.SHARE
        },
        work=Work.NONE if there else Work.BUILD,
        transactional=not concurrently,
    )


def _drop_index(match: re.Match[str], schema: Schema) -> Effect:
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if match[1] else LockMode.ACCESS_EXCLUSIVE
    effect = Effect(transactional=not match[1])
    for index in _names(match[3], schema):
        table = schema.table_of(index)
        effect |= Effect(locks={table: mode}) if table else _missing(match[2], schema)
    return effect


def _reindex(match: re.Match[str], schema: Schema) -> Effect:
    what = name(match[3], schema.name)
    table = what if match[1] == "table" else schema.table_of(what)
    mode = LockMode.SHARE_UPDATE_EXCLUSIVE if match[2] else LockMode.SHARE
    return Effect(
        locks={table: mode} if table else {},
        work=Work.BUILD,
        transactional=not match[2],
        known=table is not None,
    )


def _sequence(match: re.Match[str], schema: Schema) -> Effect:
    owner = _OWNER.search(match[0])
    if owner is None:
        return NOTHING
    table = name(owner[1].rpartition(".")[0], schema.name)
    return Effect(locks={table: LockMode.ACCESS_SHARE})


_OWNER = pattern(r"\bowned by (?!none\b)(NAME)")


def _drop_sequence(match: re.Match[str], schema: Schema) -> Effect:
    """Lock the tables whose defaults go with a sequence."""
    effect = NOTHING
    for sequence in _names(match[2], schema):
        users = schema.sequences.get(sequence)
        if users is None:
            effect |= _missing(match[1], schema)
        else:
            effect |= Effect(locks=dict.fromkeys(users, LockMode.ACCESS_EXCLUSIVE))
    return effect


def _drop_trigger(match: re.Match[str], schema: Schema) -> Effect:
    table = name(match[3], schema.name)
    known = schema.tables.get(table)
    if match[1] and known and name(match[2]) not in known.triggers:
        return NOTHING
    return Effect(locks={table: LockMode.ACCESS_EXCLUSIVE})


def _comment(match: re.Match[str], schema: Schema) -> Effect:
    kind, what, on = match.groups()
    if on:
        return Effect(locks={name(on, schema.name): LockMode.ACCESS_SHARE})
    if kind == "column":
        what = what.rpartition(".")[0]
    elif kind != "table":
        return NOTHING
    return Effect(locks={name(what, schema.name): LockMode.SHARE_UPDATE_EXCLUSIVE})


def _lock_table(match: re.Match[str], schema: Schema) -> Effect:
    mode = (match[2] or "access exclusive").upper().replace(" ", "_")
    return Effect(locks=dict.fromkeys(_names(match[1], schema), LockMode[mode]))


_ONLY_NAMES = r"((?:only )?NAME(?:, ?(?:only )?NAME)*+)"

_KINDS: list[tuple[re.Pattern[str], _Kind]] = [
    (pattern(kind), effect)
    for kind, effect in (
        ("", _nothing),
        (r"(?:select|insert|update|delete|with|values)\b.*", _query),
        (
            r"(?:set|reset|show|begin|start transaction|commit|rollback|savepoint"
            r"|release)\b.*",
            _nothing,
        ),
        (
            r"alter table (?:if exists )?(?:only )?(NAME)(?: \*)? (.+)",
            alter_table,
        ),
        (
            r"create (?:unlogged |temp(?:orary)? )?table (if not exists )?(NAME) ?(.+)",
            _create_table,
        ),
        (r"drop table (if exists )?(NAMES)(?: cascade| restrict)?", _drop_table),
        (rf"truncate (?:table )?{_ONLY_NAMES}( .*)?", _truncate),
        (
            r"create (?:unique )?index (concurrently )?(if not exists )?(ID )?"
            r"on (?:only )?(NAME) ?(?:using\b|\().*",
            _create_index,
        ),
        (
            r"drop index (concurrently )?(if exists )?(NAMES)(?: cascade| restrict)?",
            _drop_index,
        ),
        (
            r"alter index (?:if exists )?NAME (?:rename to .*|(?:re)?set ?\(.*)",
            _nothing,
        ),
        (r"reindex (index|table) (concurrently )?(NAME)", _reindex),
        (r"(?:create|alter) (?:temp |temporary )?sequence .*", _sequence),
        (
            r"drop sequence (if exists )?(NAMES)(?: cascade| restrict)?",
            _drop_sequence,
        ),
        # The body of a function in SQL is looked through, and its tables are locked.
        (
            r"create (?:or replace )?(?:function|procedure) .*\blanguage sql\b.*",
            _unknown,
        ),
        (r"create (?:or replace )?(?:function|procedure) .*", _nothing),
        (r"drop (?:function|procedure) (?!.* cascade$).*", _nothing),
        (
            r"create (?:or replace )?trigger ID (?:before|after) .+? on (NAME) .*",
            _on(LockMode.SHARE_ROW_EXCLUSIVE),
        ),
        (
            r"drop trigger (if exists )?(ID) on (NAME)(?: cascade| restrict)?",
            _drop_trigger,
        ),
        (r"comment on (\w+) (NAME)(?: ?\(.*\))?(?: on (NAME))? is .*", _comment),
        (
            rf"lock (?:table )?{_ONLY_NAMES}(?: in ([a-z ]+) mode)?(?: nowait)?",
            _lock_table,
        ),
        (
            r"analyze (?:verbose )?(NAME)(?: ?\(.*\))?",
            _on(LockMode.SHARE_UPDATE_EXCLUSIVE, Work.SCAN),
        ),
        (r"create (?:schema|extension|type|collation) .*", _nothing),
    )
]
