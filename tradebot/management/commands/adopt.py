"""Take over a database of the program before this one."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.base import SchemaCommand
from tradebot.schema import adoption
from tradebot.schema.adoption import Adoption
from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.lock import migration_lock
from tradebot.schema.plan import RunPlan, format_plan, plan_run
from tradebot.schema.preflight import check_lock, check_takeover
from tradebot.schema.rules import Violation, violations_of


class Command(SchemaCommand):
    help = (
        "Takes over a database that the old program has made with Alembic: proves that "
        "it is what its revisions say, and records their migrations. Changes no table; "
        "migrate does that afterwards. manage.py unadopt is the way back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--plan",
            action="store_true",
            help="Show what would be recorded and what migrate would do then.",
        )
        parser.add_argument(
            "--accept",
            action="append",
            default=[],
            metavar="OBJECT",
            help="Leave this difference as it is; can be repeated.",
        )
        parser.add_argument(
            "--close",
            action="store_true",
            help="Close the way back to the old program, for good.",
        )

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        check_takeover(connection)
        if options["plan"]:
            if found := self._examine(connection, options):
                self._plan(connection, found, options)
            return
        check_lock(connection)
        with migration_lock(connection, self._say):
            if options["close"]:
                self._close(connection)
            # Whoever held the lock may have done it.
            elif found := self._examine(connection, options):
                self._adopt(connection, found, options)

    def _examine(
        self, connection: BaseDatabaseWrapper, options: dict[str, Any]
    ) -> Adoption | None:
        """Return what there is to take over; None, and say so, if it has been."""
        taken_over = partial(adoption.is_taken_over, connection)
        if adoption.patiently(connection, taken_over, self._say):
            if options["json"]:
                self._print({"adopted": True, "changed": False})
            else:
                self.stdout.write(_TAKEN_OVER)
            return None
        self._say("Comparing the database with what its revisions make.")
        examine = partial(adoption.examine, connection, options["accept"])
        return adoption.patiently(connection, examine, self._say)

    def _adopt(
        self, connection: BaseDatabaseWrapper, found: Adoption, options: dict[str, Any]
    ) -> None:
        self._tell_sessions(found)
        if options["json"] and found.differences:
            self._print({"adopted": False, **found.as_json()})
        adoption.refuse_differences(found)
        adopt = partial(adoption.adopt, connection, found)
        adoption.patiently(connection, adopt, self._say)
        if options["json"]:
            self._print({"adopted": True, "changed": True, **found.as_json()})
            return
        self.stdout.write(
            f"Taken over at {_at(found)}: {_count(found)} recorded, no table changed. "
            "The old program cannot start on it any more. Next: see that none of its "
            "processes runs, then manage.py migrate."
        )

    def _plan(
        self, connection: BaseDatabaseWrapper, found: Adoption, options: dict[str, Any]
    ) -> None:
        tables = adoption.tables(connection)
        if options["json"] and found.differences:
            self._print({"adopted": False, **found.as_json()})
        adoption.refuse_differences(found)
        then = partial(self._then, connection, found)
        plan, violations = adoption.patiently(connection, then, self._say)
        if options["json"]:
            self._print(
                {
                    "adopted": False,
                    **found.as_json(),
                    "tables": [each.as_json() for each in tables],
                    "then": plan.as_json(),
                    "rows_in_the_way": list(map(str, violations)),
                }
            )
            return
        for table in tables:
            self.stdout.write(str(table))
        self.stdout.write(
            f"The database stands at {_at(found)} and is what that revision makes."
        )
        self._tell_sessions(found)
        self.stdout.write(f"manage.py adopt records {_count(found)}:")
        for app, name in found.migrations:
            self.stdout.write(f"  {app}.{name}")
        self.stdout.write("\nmanage.py migrate does then:")
        for line in format_plan(plan):
            self.stdout.write(line)
        for violation in violations:
            self.stdout.write(f"\nBut rows are in the way:\n{violation}")

    def _then(
        self, connection: BaseDatabaseWrapper, found: Adoption
    ) -> tuple[RunPlan, list[Violation]]:
        """Return what migrate will do, from a try that is undone."""
        with transaction.atomic(using=connection.alias):
            adoption.adopt(connection, found)
            executor = MigrationExecutor(connection)
            transaction.set_rollback(True, using=connection.alias)
        # It has read what is applied. What follows takes its time, for which nobody
        # who starts the old program shall have to wait.
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        return plan_run(executor, plan), violations_of(executor, plan)

    def _close(self, connection: BaseDatabaseWrapper) -> None:
        close = partial(adoption.close_way_back, connection)
        adoption.patiently(connection, close, self._say)
        self.stdout.write(
            "The way back to the old program is closed. PASSWORD_HASHER=argon2id can "
            "be set now; manage.py archives --purge all deletes what was kept for it."
        )

    def _tell_sessions(self, found: Adoption) -> None:
        for session in found.sessions:
            self._say(
                f"Attention: A session is open, of the old program perhaps: {session}. "
                "Stop that program before migrate."
            )

    def _print(self, report: dict[str, Any]) -> None:
        self.stdout.write(json.dumps(report, indent=2, default=str))

    def _say(self, message: str) -> None:
        self.stderr.write(message)


_TAKEN_OVER = (
    "This database has been taken over already. Next: manage.py migrate; "
    "manage.py unadopt is the way back."
)


def _at(found: Adoption) -> str:
    return " and ".join(found.heads) or "base"


def _count(found: Adoption) -> str:
    return f"{len(found.migrations)} migrations"
