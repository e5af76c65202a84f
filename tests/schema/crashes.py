"""Let ``migrate`` die at a chosen moment, then run it again.

    python -m tests.schema.crashes [--backwards] kill|terminate all|N [N …]

``kill`` is SIGKILL to the runner, ``terminate`` ends its session on the server
(PostgreSQL). Moments (see ``moments``) are counted from 1, or from the end if negative;
``all`` takes every one. Forwards they are those of a run from an empty database, which
gets rows at the documented head; with ``--backwards`` those of the runs from there to
the documented head again.

A moment gets a copy of the database as it is before its migration. The second run has
to lead to what a run that nobody disturbed leads to: schema, rows, sequences and record
of migrations. Of the moments of a migration that leave the same behind, one has its
second run, to the end of the migration; at every tenth of those, and at each moment
that was chosen, it goes to the end of the way. Prints a line for each moment and exits
with 1 if one failed.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import multiprocessing
import os
import pprint
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import Pool

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.schema.counting_settings")
# The server stays alive: to wait for the disk would show nothing.
os.environ.setdefault("PGOPTIONS", "-c synchronous_commit=off")
django.setup()

from django.db.backends.base.base import BaseDatabaseWrapper  # noqa: E402

from tests.databases import scratch_database  # noqa: E402
from tests.migrations import rows  # noqa: E402
from tests.migrations.chain import DOCUMENTED_HEAD, Walker  # noqa: E402
from tests.schema.moments import WAYS, Watch, in_child, wait_for_the_dead  # noqa: E402
from tests.schema.outcome import Outcome, add_rows, outcome  # noqa: E402
from tradebot.schema import batches  # noqa: E402
from tradebot.schema.executor import chain_loader  # noqa: E402
from tradebot.schema.revisions import MigrationKey, migrations_at  # noqa: E402

FINISH_EVERY = 10
batches.FIRST_SIZE = 2  # a dozen rows are several batches
Target = tuple[str, ...]
Task = tuple[str, str, "Stage", int, Outcome, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A migration of a run, and what happens until the next one starts.

    The first one of a command begins with the command.
    """

    key: MigrationKey
    command: Target
    first: bool
    moments: int


class Way:
    """The way from an empty database to the newest schema, or back."""

    def __init__(self, *, backwards: bool) -> None:
        self.backwards = backwards
        self.commands: list[Target] = list(DOCUMENTED_HEAD) if backwards else [()]

    def alone(self, connection: BaseDatabaseWrapper, stage: Stage) -> Target:
        """Return the target of a run that does one migration only."""
        if not self.backwards:
            return stage.key
        app, _ = stage.key
        node = chain_loader(connection).graph.node_map[stage.key]
        before = [parent.key[1] for parent in node.parents if parent.key[0] == app]
        return (app, before[0] if before else "zero")

    def rest(self, stage: Stage) -> list[Target]:
        return self.commands[self.commands.index(stage.command) :]


class Worker:
    """What is done in processes of their own, which have no connection before it."""

    def __init__(self, way: Way, rows_before: MigrationKey) -> None:
        self.way = way
        self.rows_before = rows_before

    def survey(self, template: str) -> tuple[list[Stage], Outcome]:
        """Go the whole way; return its stages and where it leads."""
        stages = []
        with scratch_database(template=template) as connection:
            for command in self.way.commands:
                watch = self._watch(connection)
                watch.migrate(*command)
                before, *counts = watch.counts.items()
                for key, count in counts:
                    assert key is not None
                    first = key == counts[0][0]
                    # A run that begins with a later one asks for the history there.
                    count += before[1] if first else 1
                    stages.append(
                        Stage(key=key, command=command, first=first, moments=count)
                    )
            return stages, outcome(connection)

    def undisturbed(self, template: str, stage: Stage) -> Outcome:
        """Do one migration; return where it leads."""
        with scratch_database(template=template) as connection:
            watch = self._watch(connection)
            watch.migrate(*self.way.alone(connection, stage))
            assert [*watch.counts] == [None, stage.key]
            return outcome(connection)

    def left_behind(
        self, how: str, template: str, stage: Stage, moment: int
    ) -> str | None:
        """Return what a crash leaves behind, as a digest; None if there was none."""
        with scratch_database(template=template) as connection:
            command = self._shortest(connection, stage)
            if self._die(connection, how, stage, moment, command) == 0:
                return None
            wait_for_the_dead(connection)
            return hashlib.sha256(repr(outcome(connection)).encode()).hexdigest()

    def crash(
        self,
        how: str,
        template: str,
        stage: Stage,
        moment: int,
        expected: Outcome,
        finish: bool,
    ) -> str | None:
        """Return what was wrong after a crash at a moment and a second run.

        Or after all commands that are left, if it has to ``finish``.
        """
        with scratch_database(template=template) as connection:
            alone = self.way.alone(connection, stage)
            command = stage.command if finish else self._shortest(connection, stage)

            def go_on() -> None:
                for command in self.way.rest(stage) if finish else [alone]:
                    self._watch(connection).migrate(*command)

            if self._die(connection, how, stage, moment, command) == 0:
                return "the run was not disturbed"
            if in_child(go_on) != 0:
                return "the second run failed"
            found = outcome(connection)
        if found == expected:
            return None
        was, now = (pprint.pformat(each, width=200) for each in (expected, found))
        difference = difflib.unified_diff(was.splitlines(), now.splitlines(), n=0)
        return "\n".join(difference)

    def _shortest(self, connection: BaseDatabaseWrapper, stage: Stage) -> Target:
        """Return the target of the shortest run that has the moments of a stage."""
        return stage.command if stage.first else self.way.alone(connection, stage)

    def _die(
        self,
        connection: BaseDatabaseWrapper,
        how: str,
        stage: Stage,
        moment: int,
        command: Target,
    ) -> int:
        """Return how the run ended: 0 is well, and too late to die."""
        connection.close()  # before the fork, or both would use it

        def die() -> None:
            watch = self._watch(connection)
            watch.die(how, moment, from_start=stage.first)
            watch.migrate(*command)

        return in_child(die)

    def _watch(self, connection: BaseDatabaseWrapper) -> Watch:
        def at_start(key: MigrationKey) -> None:
            if key == self.rows_before and not rows.read(connection)["users"]:
                add_rows(connection)

        return Watch(connection, at_start)


class Walk:
    """A database that is moved along the way, stage by stage."""

    def __init__(self, way: Way, connection: BaseDatabaseWrapper) -> None:
        self.way = way
        self.connection = connection
        self.walker = Walker(connection, squashed=True)
        plan = self.walker.plan()
        documented = migrations_at("b7e3f2c1a9d8")
        last = max(plan.index(key) for key in documented if key in plan)
        self.rows_before = plan[last + 1]
        if way.backwards:
            self._forwards(*plan)
        self.done = 0
        connection.close()  # nobody may be connected to what is copied

    @property
    def name(self) -> str:
        return str(self.connection.settings_dict["NAME"])

    def _forwards(self, *keys: MigrationKey) -> None:
        if self.rows_before in keys:
            index = keys.index(self.rows_before)
            self.walker.forwards(*keys[:index])
            add_rows(self.connection)
            keys = keys[index:]
        self.walker.forwards(*keys)

    def go(self, stages: Sequence[Stage], upto: int) -> None:
        """Do the stages before the one of this number."""
        keys = [stage.key for stage in stages[self.done : upto]]
        if keys:
            (self.walker.backwards if self.way.backwards else self._forwards)(*keys)
        if keys and not self.way.backwards:
            # A run records them when it has come to its end.
            with self.connection.cursor() as cursor:
                cursor.execute(
                    "DELETE FROM django_migrations WHERE name LIKE '%squashed%'"
                )
        self.done = upto
        self.connection.close()


def by_stage_of(
    moments: Sequence[str], stages: Sequence[Stage]
) -> dict[int, dict[int, int]]:
    """Return the moments by the number of their stage, each with its place in that."""
    total = sum(stage.moments for stage in stages)
    wanted = (
        range(1, total + 1)
        if list(moments) == ["all"]
        else sorted(each % (total + 1) for each in map(int, moments))
    )
    result: dict[int, dict[int, int]] = {}
    before = 0
    for number, stage in enumerate(stages):
        for moment in wanted:
            if before < moment <= before + stage.moments:
                result.setdefault(number, {})[moment] = moment - before
        before += stage.moments
    return result


class Trial:
    """Crashes of one kind along one way."""

    def __init__(self, pool: Pool, how: str, worker: Worker, walk: Walk) -> None:
        self.pool = pool
        self.how = how
        self.worker = worker
        self.walk = walk
        self.stages, self.at_the_end = pool.apply(worker.survey, [walk.name])
        self._tried = 0

    def problems(
        self, number: int, moments: Sequence[int], *, chosen: bool
    ) -> list[str | None]:
        """Return what was wrong after crashes at these moments of a stage."""
        stage = self.stages[number]
        self.walk.go(self.stages, number)
        where = (self.how, self.walk.name, stage)
        if chosen:
            return self._crash(
                [(*where, each, self.at_the_end, True) for each in moments]
            )
        left = self.pool.starmap(
            self.worker.left_behind, [(*where, each) for each in moments], chunksize=1
        )
        after = self.pool.apply(self.worker.undisturbed, [self.walk.name, stage])
        first_with = {each: moments[left.index(each)] for each in left if each}
        tasks: list[Task] = []
        for moment in first_with.values():
            self._tried += 1
            finish = self._tried % FINISH_EVERY == 0
            expected = self.at_the_end if finish else after
            tasks.append((*where, moment, expected, finish))
        result = dict(zip(first_with, self._crash(tasks), strict=True))
        return [result[each] if each else "the run was not disturbed" for each in left]

    def _crash(self, tasks: list[Task]) -> list[str | None]:
        return self.pool.starmap(self.worker.crash, tasks, chunksize=1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backwards", action="store_true")
    parser.add_argument("how", choices=WAYS)
    parser.add_argument("moments", nargs="+")
    arguments = parser.parse_args()
    way = Way(backwards=arguments.backwards)
    chosen = arguments.moments != ["all"]
    count, failures = 0, 0
    # The workers first: they are forks, and must not share a connection.
    with multiprocessing.Pool() as pool, scratch_database() as connection:
        walk = Walk(way, connection)
        trial = Trial(pool, arguments.how, Worker(way, walk.rows_before), walk)
        total = sum(stage.moments for stage in trial.stages)
        by_stage = by_stage_of(arguments.moments, trial.stages)
        for number, moments in by_stage.items():
            key = ".".join(trial.stages[number].key)
            problems = trial.problems(number, [*moments.values()], chosen=chosen)
            for moment, problem in zip(moments, problems, strict=True):
                count += 1
                failures += problem is not None
                sys.stdout.write(
                    f"moment {moment} of {total} ({key}): {problem or 'ok'}\n"
                )
            sys.stdout.flush()
    sys.stdout.write(f"{count - failures} ok, {failures} failed\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
