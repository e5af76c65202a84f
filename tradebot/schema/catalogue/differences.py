"""Compare two catalogues, and say how the second can be made like the first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from django.db.migrations.recorder import MigrationRecorder

from tradebot.schema.archive import PREFIX
from tradebot.schema.catalogue import repairs as postgresql
from tradebot.schema.catalogue import sqlite
from tradebot.schema.catalogue.objects import RELATIONS, Catalogue, Object
from tradebot.schema.history import TABLE

Problem = Literal["missing", "extra", "differs"]

# Made by the system where they are needed, so they may be there and may not.
_OPTIONAL = (MigrationRecorder.Migration._meta.db_table, TABLE)
# What they are depends on what was archived; Alembic's is left as a fence.
_IGNORED = (PREFIX.rstrip("_"), "alembic_version")


# What is needed comes before what needs it.
_ORDER = (
    "type",
    "domain",
    "function",
    "procedure",
    "aggregate",
    "table",
    "sequence",
    "column",
    "primary key",
    "unique",
    "exclusion",
    "check",
    "foreign key",
    "view",
    "materialized view",
    "index",
    "trigger",
    "rule",
    "policy",
)


class _Repairs(Protocol):
    """How things are repaired in one kind of database."""

    def make(
        self, wanted: Object, expected: Catalogue, extra: Sequence[Object] = ()
    ) -> str: ...
    def drop(self, there: Object) -> str: ...
    def rename(self, wanted: Object, there: Object) -> str: ...
    def change(self, attribute: str, wanted: Object, there: Object) -> str: ...


_REPAIRS: dict[str, _Repairs] = {"postgresql": postgresql, "sqlite": sqlite}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which a database is not what it is expected to be."""

    kind: str
    name: str
    problem: Problem
    attribute: str | None = None
    """Which attribute differs; None where the object is missing or extra."""
    expected: object = None
    found: object = None
    """The two values of the attribute, or what makes the object that is missing or
    extra."""
    repair: str
    """SQL, or words where rows are at stake."""

    @property
    def key(self) -> str:
        """What names the object, to people and to the options of a command."""
        return f"{self.kind} {self.name}"

    def __str__(self) -> str:
        if self.problem == "missing":
            return f"{self.key}: is missing"
        if self.problem == "extra":
            return f"{self.key}: is there and no migration makes it"
        return (
            f"{self.key}: {self.attribute} is {as_text(self.found)}, "
            f"expected {as_text(self.expected)}"
        )


def as_text(value: object) -> str:
    """Return the value of an attribute on one line."""
    return "none" if value is None else " ".join(str(value).split())


def compare(
    expected: Catalogue, found: Catalogue, vendor: str = "postgresql"
) -> list[Difference]:
    """Return how a database differs from what is expected, in an order in which it can
    be repaired.

    What is part of a missing or extra table is not told apart. Tables are expected to
    have one owner: the one that most of them have. ``vendor`` is the database's, as in
    Django.
    """
    repairs = _REPAIRS[vendor]
    absent = tuple(name for name in _OPTIONAL if ("table", name) not in found)
    expected = _without(expected, *_IGNORED, *absent)
    found = _without(found, *_IGNORED)
    missing = _whole(each for key, each in expected.items() if key not in found)
    extra = _whole(each for key, each in found.items() if key not in expected)
    differences = [
        *_renamed(missing, extra, repairs),
        *(_missing(each, expected, extra, repairs) for each in missing),
        *(_extra(each, repairs) for each in extra),
        *_owners(expected, found),
    ]
    for key in expected.keys() & found.keys():
        differences += _differing(expected[key], found[key], repairs)
    return sorted(
        differences,
        key=lambda each: (_ORDER.index(each.kind), each.name, each.attribute or ""),
    )


def _without(catalogue: Catalogue, *names: str) -> dict[tuple[str, str], Object]:
    """Leave out tables whose names begin so, and what is theirs."""
    return {
        key: each
        for key, each in catalogue.items()
        if not (each.table or each.own_name).startswith(names)
    }


def _whole(objects: Iterable[Object]) -> list[Object]:
    """Leave out the parts of what is there itself."""
    objects = list(objects)
    whole = {each.own_name for each in objects if each.kind in RELATIONS}
    return [each for each in objects if each.table not in whole]


def _renamed(
    missing: list[Object], extra: list[Object], repairs: _Repairs
) -> Iterator[Difference]:
    """Yield what is there under another name, and take it out of both lists.

    Of columns and tables only people can know.
    """
    for wanted in list(missing):
        if wanted.kind == "column" or wanted.kind in RELATIONS:
            continue
        for there in extra:
            if _nameless(there) == _nameless(wanted):
                missing.remove(wanted)
                extra.remove(there)
                yield Difference(
                    kind=wanted.kind,
                    name=wanted.name,
                    problem="differs",
                    attribute="name",
                    expected=wanted.own_name,
                    found=there.own_name,
                    repair=repairs.rename(wanted, there),
                )
                break


def _nameless(each: Object) -> tuple[object, ...]:
    """Return all that is compared but the name, which a definition may repeat."""
    attributes = {
        name: value.replace(each.own_name, "") if isinstance(value, str) else value
        for name, value in each.attributes.items()
    }
    return each.kind, each.table, attributes


def _missing(
    wanted: Object, expected: Catalogue, extra: list[Object], repairs: _Repairs
) -> Difference:
    return Difference(
        kind=wanted.kind,
        name=wanted.name,
        problem="missing",
        expected=wanted.definition or wanted.kind,
        repair=repairs.make(wanted, expected, extra),
    )


def _extra(there: Object, repairs: _Repairs) -> Difference:
    return Difference(
        kind=there.kind,
        name=there.name,
        problem="extra",
        found=there.definition or there.kind,
        repair=repairs.drop(there),
    )


def _differing(
    wanted: Object, there: Object, repairs: _Repairs
) -> Iterator[Difference]:
    for attribute, value in wanted.attributes.items():
        found = there.attributes[attribute]
        if found != value and attribute != "owner":
            yield Difference(
                kind=wanted.kind,
                name=wanted.name,
                problem="differs",
                attribute=attribute,
                expected=value,
                found=found,
                repair=repairs.change(attribute, wanted, there),
            )


def _owners(expected: Catalogue, found: Catalogue) -> Iterator[Difference]:
    tables = [
        found[key]
        for key, wanted in expected.items()
        if key in found and "owner" in wanted.attributes
    ]
    counts = Counter(each.attributes["owner"] for each in tables)
    if not counts:
        return
    # Where two have as many, whoever asks.
    asking = {each.attributes.get("owner") for each in expected.values()}
    usual = max(counts, key=lambda owner: (counts[owner], owner in asking))
    for each in tables:
        if each.attributes["owner"] != usual:
            yield Difference(
                kind=each.kind,
                name=each.name,
                problem="differs",
                attribute="owner",
                expected=usual,
                found=each.attributes["owner"],
                repair=f'ALTER {each.kind.upper()} {each.quoted} OWNER TO "{usual}";',
            )
