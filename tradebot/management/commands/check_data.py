"""Show the rows that a pending migration would reject, and repair them when told to."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connections

from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.faults import PreflightError
from tradebot.schema.lock import migration_lock
from tradebot.schema.rules import (
    DataRule,
    Violation,
    find_violations,
    repair,
    rules_of,
)


class Command(BaseCommand):
    help = (
        "Lists the rows that pending migrations would reject; exits with 1 if there "
        "are any. --repair brings them into line and keeps what they were."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair",
            action="append",
            default=[],
            metavar="RULE",
            help="Repair the rows that break this rule; can be repeated.",
        )
        parser.add_argument("--json", action="store_true", help="Print a JSON list.")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, metavar="ALIAS")

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        try:
            executor: Any = MigrationExecutor(connection)
        except PreflightError as error:
            raise CommandError(str(error), returncode=error.exit_code) from error
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        state = executor._create_project_state(with_applied_migrations=True)
        rules = {each.name: each for each in rules_of(connection, state, plan)}
        chosen = _chosen(rules, options["repair"])
        if chosen:
            with migration_lock(connection, self.stdout.write):
                for rule in chosen:
                    self._repair(connection, rule)
        violations = find_violations(connection, rules.values())
        if options["json"]:
            self.stdout.write(json.dumps(list(map(_as_json, violations)), indent=2))
        else:
            for violation in violations:
                self.stdout.write(str(violation))
                self.stdout.write(
                    f"    manage.py check_data --repair {violation.rule.name}  "
                    f"# {violation.rule.repaired}"
                )
            if not violations:
                self.stdout.write("No row is in the way of a pending migration.")
        sys.exit(1 if violations else 0)

    def _repair(self, connection: Any, rule: DataRule) -> None:
        try:
            count = repair(connection, rule)
        except IntegrityError as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(
                f"{rule.name} was not repaired: {reason}. Nothing was changed. Repair "
                "the rows that depend on these first, or change them by hand."
            ) from error
        self.stdout.write(f"Repaired {count:,} of {rule.table} ({rule.repaired}).")


def _chosen(rules: dict[str, DataRule], names: list[str]) -> list[DataRule]:
    for name in names:
        if name not in rules:
            raise CommandError(
                f"{name} is no rule of a pending migration. There are: "
                f"{', '.join(sorted(rules)) or 'none'}."
            )
    return [rules[name] for name in names]


def _as_json(violation: Violation) -> dict[str, Any]:
    return {
        "rule": violation.rule.name,
        "table": violation.rule.table,
        "problem": violation.rule.problem,
        "repair": violation.rule.repaired,
        "count": violation.count,
        "rows": [
            {name: None if value is None else str(value) for name, value in row.items()}
            for row in violation.rows
        ],
    }
