"""Give a database back to the program before this one."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from django.core.management import call_command
from django.core.management.base import CommandParser
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.management.base import SchemaCommand
from tradebot.schema import adoption
from tradebot.schema.lock import migration_lock
from tradebot.schema.preflight import check_takeover

_T = TypeVar("_T")


class Command(SchemaCommand):
    help = (
        "Returns a database that was taken over to the documented head, so that the "
        "old program starts on it again. What is written since stays; what that "
        "program has no place for is kept and comes back with adopt and migrate."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--plan", action="store_true", help="Show what would be undone."
        )

    def run(self, connection: BaseDatabaseWrapper, options: dict[str, Any]) -> None:
        check_takeover(connection)
        # Where it ended after that, a second run has nothing to do.
        if not self._patiently(connection, adoption.is_given_back):
            self._patiently(connection, adoption.check_way_back)
            to_head: dict[str, Any] = {
                "app_label": adoption.documented_head().id,
                "database": options["database"],
                "verbosity": options["verbosity"],
                "stderr": self.stderr,
            }
            if options["plan"]:
                as_json, out = options["json"], self.stdout
                call_command("migrate", **to_head, plan=True, json=as_json, stdout=out)
                return
            if unreadable := adoption.unreadable_passwords(connection):
                self.stderr.write(
                    f"Attention: {unreadable:,} users have a password that the old "
                    "program cannot read. It lets them reset it."
                )
            call_command("migrate", **to_head, stdout=self.stderr)
            with migration_lock(connection, self.stderr.write):
                self._patiently(connection, adoption.give_back)
        self._report(connection, as_json=options["json"])

    def _report(self, connection: BaseDatabaseWrapper, *, as_json: bool) -> None:
        head = adoption.documented_head()
        differences = adoption.differences_from_head(connection)
        stay = adoption.what_stays(connection)
        if as_json:
            report = {
                "head": head.id,
                "differences": list(map(str, differences)),
                "stays": stay,
            }
            self.stdout.write(json.dumps(report, indent=2))
            return
        for difference in differences:
            self.stderr.write(f"Attention: {difference}")
        self.stdout.write(
            f"The database is the old program's again, at {head.id}. Tables of ours "
            f"that stay and do not disturb it: {', '.join(stay)}. manage.py adopt and "
            "migrate take it over again, with what was kept."
        )

    def _patiently(
        self,
        connection: BaseDatabaseWrapper,
        work: Callable[[BaseDatabaseWrapper], _T],
    ) -> _T:
        return adoption.patiently(
            connection, partial(work, connection), self.stderr.write
        )
