"""Whether the script for psql does what a live run does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.catalogue import compare
from tradebot.schema.scratch import replay_all
from tradebot.schema.script import ScriptError, as_sql, write_script
from tradebot.schema.states import BASE, Route, State, covered, route_on
from tradebot.schema.steps import Batches, LiveStep, Step
from tradebot.schema.verification.code import Move, Subject, label, told
from tradebot.schema.verification.results import Problem

_APPLYING = re.compile(r"^\\echo Applying (\S+)$", re.MULTILINE)


def check_script(subject: Subject) -> Iterator[Problem]:
    """Write the scripts from nothing and from the documented head, and compare."""
    code = subject.code
    newest = State(
        name="the newest migrations",
        applied=frozenset().union(*map(covered, code.migrations.values())),
    )
    revisions = code.revisions()
    head = State(
        name=revisions[-1].id, applied=frozenset(each.migration for each in revisions)
    )
    ways = (
        (State(name=BASE, applied=frozenset()), True, subject.short_way),
        (head, False, subject.chain),
    )
    found: set[Problem] = set()
    for start, squashed, moves in ways:
        route = route_on(code.loader(squashed=squashed), start, newest)
        for problem in _compare(subject.connection, route, start, newest, moves):
            if problem not in found:
                found.add(problem)
                yield problem
    yield from _sql_forms(subject)


def _compare(
    connection: BaseDatabaseWrapper,
    route: Route,
    start: State,
    end: State,
    moves: Sequence[Move],
) -> Iterator[Problem]:
    if start.applied >= end.applied:
        return
    try:
        text = "\n".join(write_script(start, end, route))
    except ScriptError as error:
        yield Problem(message=str(error), repair="as it says")
        return
    _, *parts = _APPLYING.split(text)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    live = {
        label(move.migration): move
        for move in moves
        if not covered(move.migration) <= start.applied
    }
    if [*sections] != [*live]:
        odd = sorted(sections.keys() ^ live.keys())
        yield Problem(
            message=f"the script from {start.name} has other migrations than a live "
            f"run, or another order: {', '.join(odd) or 'order'}",
            repair="look at tradebot/schema/states.py, which finds its way",
        )
    for name, move in live.items():
        missing = name in sections and _first_missing(sections[name], move)
        if missing:
            yield Problem(
                message=f"the script leaves out what a live run of {name} does: "
                f"{missing}",
                repair="make its operation ask the database nothing: it is compiled "
                "without one for a script",
            )


def _first_missing(section: str, move: Move) -> str:
    """Return the first statement of a live run that is not in the script there."""
    place = 0
    for step in move.steps:
        if isinstance(step, LiveStep):
            continue  # it has another form there
        statements = (
            [step.statement.partition("{rows}")[0]]
            if isinstance(step, Batches)
            else step.statements
        )
        for statement in statements:
            text = statement.strip().removesuffix(";")
            place = section.find(text, place)
            if place < 0:
                return " ".join(text.split())
            place += len(text)
    return ""


def _sql_forms(subject: Subject) -> Iterator[Problem]:
    """Try the SQL that takes the place of Python code in a script."""
    if not any(_forms(move) for move in subject.chain):
        return
    catalogues = subject.catalogues
    with subject.scratch() as replay:
        for place, move in enumerate(subject.chain):
            forms = _forms(move)
            if not forms:
                move.apply(replay.connection)
                continue
            with told(f"the SQL form of {label(move.migration)} cannot be executed"):
                replay_all(replay.connection, forms)
            for each in compare(catalogues[place + 1], replay.read()):
                yield Problem(
                    message=f"the SQL form of {label(move.migration)} makes another "
                    f"schema than its Python code: {each}",
                    repair="let both do the same",
                )


def _forms(move: Move) -> list[Step | Batches]:
    """Return the steps of a migration as SQL where Python code is replaced by some."""
    try:
        forms = [as_sql(step, move.migration, move.before) for step in move.steps]
    except ScriptError:
        return []  # which is told already
    replaced = any(
        isinstance(step, LiveStep) and form
        for step, form in zip(move.steps, forms, strict=True)
    )
    return [each for form in forms for each in form] if replaced else []
