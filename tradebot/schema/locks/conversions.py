"""Which change of a column's type leaves its rows as they are."""

from __future__ import annotations

import re

_TYPE = re.compile(
    r"(?P<base>[a-z][\w ]*?) ?(?:\((?P<limits>[\d, ]+)\))?"
    r"(?P<zone> with(?:out)? time zone)?"
)
_ALIASES = {
    "varchar": "character varying",
    "decimal": "numeric",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "float8": "double precision",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
}
_STRINGS = {"character varying", "text"}
_TIMES = {"timestamp without time zone", "timestamp with time zone"}


def parse_type(text: str) -> tuple[str, tuple[int, ...]]:
    """Return a type's name as ``format_type`` has it, and its limits."""
    parts = _TYPE.fullmatch(text)
    if parts is None:
        return text, ()
    base = parts["base"] + (parts["zone"] or "")
    limits = tuple(int(each) for each in (parts["limits"] or "").split(",") if each)
    return _ALIASES.get(base, base), limits


def keeps_rows(old: str, new: str, *, utc: bool) -> bool:
    """Say whether ALTER COLUMN TYPE changes the catalogue only.

    Strings and numbers may get longer, times more precise; a timestamp gets or loses
    its time zone where that of the session is UTC.
    """
    (old_base, old_limits), (new_base, new_limits) = parse_type(old), parse_type(new)
    if old_base == new_base and old_limits == new_limits:
        return True
    if {old_base, new_base} <= _STRINGS:
        return not new_limits or (old_limits != () and old_limits <= new_limits)
    if old_base == new_base == "numeric":
        return not new_limits or (
            len(old_limits) == len(new_limits)
            and old_limits[:1] <= new_limits[:1]
            and old_limits[1:] == new_limits[1:]
        )
    if {old_base, new_base} <= _TIMES:
        return (utc or old_base == new_base) and (
            not new_limits or (old_limits != () and old_limits <= new_limits)
        )
    return False


def keeps_indexes(old: str, new: str) -> bool:
    """Say whether the indexes on the column stay too, if its rows do.

    The two timestamps have different operator classes.
    """
    old_base, new_base = parse_type(old)[0], parse_type(new)[0]
    return old_base == new_base or {old_base, new_base} <= _STRINGS
