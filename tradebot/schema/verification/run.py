"""Make the checks, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import CircularDependencyError, NodeNotFoundError

from tradebot.schema.catalogue.replay import no_garbage_collection
from tradebot.schema.preflight import check_server
from tradebot.schema.revisions import RevisionError
from tradebot.schema.verification.code import (
    BrokenError,
    Code,
    Subject,
    installed_code,
)
from tradebot.schema.verification.results import Problem, Result
from tradebot.schema.verification.schema import (
    check_models,
    check_reverse,
    check_squashed,
)
from tradebot.schema.verification.scripts import check_script
from tradebot.schema.verification.steps import (
    check_defaults,
    check_locks,
    check_steps,
)
from tradebot.schema.verification.written import check_documented, check_graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to verify."""

    name: str
    proves: str
    find: Callable[[Subject], Iterator[Problem]]
    only: str | None = None
    """The kind of database that it can be made on, where not on all."""


CHECKS: Sequence[Check] = (
    Check(
        name="graph",
        proves="the migrations are one history, with names and docstrings",
        find=check_graph,
    ),
    Check(
        name="documented",
        proves="the documented revisions are mirrored, and a clean cut",
        find=check_documented,
    ),
    Check(
        name="models",
        proves="the models are what the migrations say, and what these make",
        find=check_models,
    ),
    Check(
        name="squashed",
        proves="the squashed migrations make what the chain makes",
        find=check_squashed,
    ),
    Check(
        name="reverse",
        proves="each migration undone leaves what was there before it",
        find=check_reverse,
    ),
    Check(
        name="steps",
        proves="a migration that is not atomic can be resumed after any step",
        find=check_steps,
        only="postgresql",
    ),
    Check(
        name="script",
        proves="the script for psql does what a live run does",
        find=check_script,
        only="postgresql",
    ),
    Check(
        name="locks",
        proves="nobody waits while a migration works through a table",
        find=check_locks,
        only="postgresql",
    ),
    Check(
        name="defaults",
        proves="rows of the previous version still go in",
        find=check_defaults,
        only="postgresql",
    ),
)


def verify(
    connection: BaseDatabaseWrapper,
    code: Code | None = None,
    *,
    checks: Sequence[Check] = CHECKS,
    begin: Callable[[str], None] = lambda name: None,
) -> Iterator[Result]:
    """Yield the result of each check; nothing that is in the database is touched.

    Of the installed apps unless a code is given. ``begin`` is called with the name of
    each check before it. Raises PreflightError where nothing can be tried.
    """
    if connection.vendor == "postgresql":
        check_server(connection)
    subject = Subject(connection, code or installed_code())
    for check in checks:
        begin(check.name)
        yield _make(check, subject)


def _make(check: Check, subject: Subject) -> Result:
    began = time.perf_counter()
    problems: list[Problem] = []
    left_out = ""
    if check.only not in (None, subject.vendor):
        left_out = "not on SQLite"
    else:
        try:
            with no_garbage_collection():
                problems.extend(check.find(subject))
        except (CircularDependencyError, NodeNotFoundError, RevisionError):
            left_out = "the checks graph and documented have to pass before it"
        except BrokenError as error:
            problems.append(Problem.of(error))
    return Result(
        name=check.name,
        proves=check.proves,
        problems=tuple(problems),
        left_out=left_out,
        seconds=round(time.perf_counter() - began, 3),
    )
