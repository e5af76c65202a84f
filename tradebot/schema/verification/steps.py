"""What migrations do on PostgreSQL, step by step: repeats, locks, new columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.catalogue import Catalogue, Object, compare
from tradebot.schema.catalogue.replay import Replay
from tradebot.schema.locks import Effect, LockMode, Work, predict, read_schema
from tradebot.schema.scratch import in_transaction, replay
from tradebot.schema.script import ScriptError, as_sql
from tradebot.schema.steps import (
    AnyStep,
    Batches,
    LiveStep,
    Step,
    is_done,
    statements_of,
)
from tradebot.schema.verification.code import (
    BrokenError,
    Move,
    Subject,
    label,
    taken_back,
    told,
)
from tradebot.schema.verification.results import Problem

_DONE = "correct its done query: it says whether the statements have been executed"
_QUICK = re.compile(r"SELECT setval\(.*\bmax\(", re.DOTALL)
"""The exception to the rule about locks: what takes no longer with more rows. A key
that becomes an identity looks up the highest one, at the end of the key's index."""

_ALTERED = re.compile(r'ALTER TABLE (?:ONLY )?"?(\w+)')
"""A table that the migration has made is empty: what it refers to is locked for no
work."""


def check_steps(subject: Subject) -> Iterator[Problem]:
    """Repeat the steps of what is not atomic, as the run after a crash does."""
    badly_marked = [
        problem for move in subject.chain for problem in _marks(subject, move)
    ]
    if badly_marked:
        yield from badly_marked
        return  # some cannot be executed here
    catalogues = subject.catalogues
    with subject.scratch() as scratch:
        for place, move in enumerate(subject.chain):
            if move.migration.atomic:
                move.apply(scratch.connection)
                continue
            before, after = catalogues[place], catalogues[place + 1]
            yield from _repeat(scratch, move, move.steps, after)
            move.apply(scratch.connection)
            yield from _repeat(scratch, move, _undo_steps(subject, move), before)


def _undo_steps(subject: Subject, move: Move) -> Sequence[AnyStep]:
    try:
        return move.undo_steps(subject.connection)
    except BrokenError:
        return ()  # which the check of the reverses tells


def _marks(subject: Subject, move: Move) -> Iterator[Problem]:
    """Look whether each step is in a transaction if and only if it can be."""
    for step in (*move.steps, *_undo_steps(subject, move)):
        if not isinstance(step, Step):
            continue
        if not step.transactional and move.migration.atomic:
            yield Problem(
                message=f"{label(move.migration)} is one transaction, in which this "
                f"cannot be: {_short(step)}",
                repair="write atomic = False into the migration",
            )
        if step.transactional and not all(
            predict(statement).transactional for statement in step.statements
        ):
            yield Problem(
                message=f"{label(move.migration)} has a step that cannot be in a "
                f"transaction and does not say so: {_short(step)}",
                repair="make the step with transactional=False",
            )


def _repeat(
    scratch: Replay, move: Move, steps: Sequence[AnyStep], expected: Catalogue
) -> Iterator[Problem]:
    """Do steps, each of them as if a crash came right after it; leave no trace."""
    name = label(move.migration)
    try:
        with taken_back(scratch.connection):
            for count in range(1, len(steps) + 1):
                _do_with_crashes(scratch.connection, name, steps[:count])
            for step in steps:
                _expect_done(scratch.connection, name, step)
            found = scratch.read()
    except BrokenError as error:
        yield Problem.of(error)
        return
    for each in compare(expected, found):
        yield Problem(
            message=f"{name} leaves another schema where it is resumed after a crash: "
            f"{each}",
            repair=_DONE,
        )


def _do_with_crashes(
    connection: BaseDatabaseWrapper, name: str, steps: Sequence[AnyStep]
) -> None:
    """Do the last of some steps, and resume them. Raises BrokenError."""
    step = steps[-1]
    if isinstance(step, LiveStep):
        raise BrokenError(
            f"{name} has a step of which nobody can tell whether it is done: "
            f"{step.description}",
            "put it into a migration of its own that is atomic",
        )
    executing = partial(
        told, f"{name} has a step that cannot be executed: {_short(step)}"
    )
    resuming = partial(
        told,
        f"{name} has a step that cannot be repeated after a crash: {_short(step)}",
        "give it a done query, or statements such as CREATE … IF NOT EXISTS and "
        "DROP … IF EXISTS",
    )
    with executing():
        if is_done(connection, step):
            raise BrokenError(
                f"{name} takes a step for done before it is, and would leave it out: "
                f"{_short(step)}",
                _DONE,
            )
    for part in _crash_points(step):
        with taken_back(connection):
            with executing():
                _execute(connection, step, part)
            with resuming():
                _resume(connection, steps)
    with executing():
        _execute(connection, step, statements_of(step))
    with resuming():
        _resume(connection, steps)


def _expect_done(connection: BaseDatabaseWrapper, name: str, step: AnyStep) -> None:
    if isinstance(step, LiveStep) or step.done is None or is_done(connection, step):
        return
    raise BrokenError(
        f"{name} takes a step for not done when all is done, and would repeat it: "
        f"{_short(step)}",
        _DONE,
    )


def _crash_points(step: Step | Batches) -> Iterator[Sequence[str]]:
    """Yield what may have been executed of a step where a crash came within it."""
    if isinstance(step, Step) and not step.transactional:
        for count in range(1, len(step.statements)):
            yield step.statements[:count]


def _resume(connection: BaseDatabaseWrapper, steps: Sequence[AnyStep]) -> None:
    for step in steps:
        if not isinstance(step, LiveStep) and not is_done(connection, step):
            _execute(connection, step, statements_of(step))


def _execute(
    connection: BaseDatabaseWrapper, step: Step | Batches, statements: Sequence[str]
) -> None:
    form = partial(in_transaction, step) if isinstance(step, Step) else str
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(form(statement))


def _short(step: AnyStep) -> str:
    if isinstance(step, LiveStep):
        return step.description
    return _line("; ".join(statements_of(step)))


def _line(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= 100 else f"{line[:99]}…"


# --- Locks ------------------------------------------------------------------------


def check_locks(subject: Subject) -> Iterator[Problem]:
    """Look whether anybody waits for as long as a table of theirs is worked through.

    On the locks of our migrations after the documented head. PostgreSQL only.
    """
    later = set(subject.later)
    with subject.scratch() as scratch:
        for place, move in enumerate(subject.chain):
            if place in later:
                with told(f"{label(move.migration)} cannot be applied"):
                    yield from _locks(scratch.connection, move)
            else:
                move.apply(scratch.connection)


def _locks(connection: BaseDatabaseWrapper, move: Move) -> Iterator[Problem]:
    there = read_schema(connection).tables.keys()
    held = Effect()
    last: AnyStep | None = None
    for step, sql in replay(connection, move.steps):
        if not move.migration.atomic and (step is not last or _is_alone(step)):
            held = Effect()
        last = step
        effect = Effect()
        for statement in _in_sql(step, sql, move):
            effect |= predict(statement, read_schema(connection))
        locks = {table: mode for table, mode in effect.locks.items() if table in there}
        held |= Effect(locks=locks)
        strong = {
            table: mode for table, mode in held.locks.items() if mode >= LockMode.SHARE
        }
        target = _ALTERED.match(sql)
        is_new = target is not None and target[1] not in there
        if not effect.known:
            yield Problem(
                message=f"{label(move.migration)} locks nobody knows what: "
                f"{_line(sql)}",
                repair="write it as SQL that can be told, or by an operation of "
                "tradebot.operations",
            )
        elif (
            strong
            and locks
            and effect.work != Work.NONE
            and not is_new
            and not _QUICK.match(sql)
        ):
            names = ", ".join(f"{table} ({mode.sql})" for table, mode in strong.items())
            yield Problem(
                message=f"{label(move.migration)} {_WORK[effect.work]} while it holds "
                f"{names}, for which others wait: {_line(sql)}",
                repair="use the operation of tradebot.operations that goes in steps: "
                "indexes concurrently, constraints NOT VALID and then VALIDATE, rows "
                "in batches",
            )


_WORK = {
    Work.SCAN: "reads a table",
    Work.ROWS: "writes rows",
    Work.BUILD: "builds an index",
    Work.REWRITE: "writes a table anew",
}


def _is_alone(step: AnyStep) -> bool:
    return isinstance(step, Step) and not step.transactional


def _in_sql(step: AnyStep, sql: str, move: Move) -> Iterator[str]:
    if not isinstance(step, LiveStep):
        yield sql
        return
    try:
        forms = as_sql(step, move.migration, move.before)
    except ScriptError:
        yield sql  # unknown
        return
    for each in forms:
        yield from statements_of(each)


# --- New columns ------------------------------------------------------------------


def check_defaults(subject: Subject) -> Iterator[Problem]:
    """Look whether a row of who does not know a new column still goes in.

    Of the previous version, which runs until the new one has started, for example.
    """
    for place in subject.later:
        before, after = subject.catalogues[place : place + 2]
        for key, column in after.items():
            there = before.get(key)
            if (
                column.kind == "column"
                and ("table", column.table) in before
                and _wants_value(column)
                and not (there and _wants_value(there))
            ):
                name = label(subject.chain[place].migration)
                yield Problem(
                    message=f"{name} makes {column.name} NOT NULL, and the database "
                    "has no default for it",
                    repair="give the field db_default, or let it be NULL until every "
                    "version that runs sets it",
                )


def _wants_value(column: Object) -> bool:
    """Return whether a row cannot go in without a value for it."""
    attributes = column.attributes
    return attributes["nullability"] == "NOT NULL" and not any(
        attributes[each] for each in ("default", "identity", "generated")
    )
