"""Django's migrate, safe to run in every container at once.

One runner works, the others wait for it; a crash leaves nothing half done; what stands
in the way is said in one sentence before the first write.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.exceptions import AmbiguityError
from django.db.migrations.recorder import MigrationRecorder

from tradebot.management.base import migration_connection, told_in_words
from tradebot.schema.checksum import changed
from tradebot.schema.contention import Say, read_with_retries
from tradebot.schema.dropped import waiting
from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.lock import Lock, migration_lock
from tradebot.schema.losses import refuse_data_loss
from tradebot.schema.plan import format_plan, plan_run
from tradebot.schema.preflight import (
    Plan,
    check_lock,
    check_server,
    preflight,
    tell_invalid_indexes,
)
from tradebot.schema.revisions import MigrationKey, load_revisions
from tradebot.schema.rules import refuse_rows_in_the_way, violations_of
from tradebot.schema.states import StateError, parse_state
from tradebot.schema.version import permissions_exist, read_version
from tradebot.schema.waiting import wait_for_database

_LOG_EVERY_S = 10.0


class Command(migrate.Command):
    lock: Lock
    _shown = 0.0

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        for action in parser._actions:
            if action.dest == "app_label":
                action.help = (
                    "App label of an application to synchronize the state; or a "
                    "documented revision, several with commas, or base: to go there "
                    "with all apps."
                )
        parser.add_argument(
            "--json", action="store_true", help="With --plan: print it as JSON."
        )
        parser.add_argument(
            "--no-archive",
            action="store_true",
            help="Do not keep what is dropped for the way back.",
        )
        parser.add_argument(
            "--accept-data-loss",
            action="store_true",
            help="Drop rows even where they are not kept.",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        # The system checks take longer than all the rest where there is nothing to do:
        # handle() runs them where there is something.
        options["system_checks"] = not options["skip_checks"]
        return super().execute(*args, **{**options, "skip_checks": True})

    def handle(self, *args: Any, **options: Any) -> None:
        connection = migration_connection(options["database"])
        self.exactly = _take_revision(options)
        with told_in_words(connection):
            wait_for_database(connection, self._say, settings.DATABASE_WAIT_S)
            if options["check_unapplied"] and not options["app_label"]:
                version = read_version(connection)
                self.stdout.write(str(version))
                sys.exit(version.exit_code)
            if options["plan"]:
                self._show_plan(connection, options)
            elif options["check_unapplied"]:
                self._handle_as_django(*args, **options)
            elif not self._nothing_to_do(connection, options):
                self._migrate(connection, *args, **options)

    def _migrate(
        self, connection: BaseDatabaseWrapper, *args: Any, **options: Any
    ) -> None:
        check_lock(connection)
        with migration_lock(connection, self.stdout.write) as self.lock:
            # Whoever held the lock may have done it.
            if self._nothing_to_do(connection, options):
                return
            executor = self._executor(connection, options=options)
            plan = _plan(executor, options)
            fake = options["fake"] or options["fake_initial"]

            def look(say: Say) -> None:
                preflight(connection, executor.loader, plan, say, fake=fake)
                if not fake:
                    refuse_rows_in_the_way(executor, plan)
                    accepted = options["accept_data_loss"]
                    refuse_data_loss(executor, plan, accepted=accepted)

            read_with_retries(connection, look, self._say)
            for migration in map(".".join, changed(connection, executor.loader)):
                self._say(
                    f"Attention: {migration} was changed after it had been applied "
                    "here: the schema may not be what this code expects. See "
                    "manage.py schema_history."
                )
            self._handle_as_django(*args, **options)

    def _show_plan(
        self, connection: BaseDatabaseWrapper, options: dict[str, Any]
    ) -> None:
        executor = self._executor(connection, options=options)
        plan = plan_run(executor, _plan(executor, options))
        if options["json"]:
            self.stdout.write(json.dumps(plan.as_json(), indent=2))
            return
        for line in format_plan(plan):
            self.stdout.write(line)
        if not plan.migrations:
            self.stdout.write("No migrations to apply.")
        violations = violations_of(executor, _plan(executor, options))
        if violations:
            self.stdout.write("\nBut rows are in the way:")
            for violation in violations:
                self.stdout.write(str(violation))

    def _handle_as_django(self, *args: Any, **options: Any) -> None:
        if options["system_checks"]:
            self.check(databases=[options["database"]])
        # Django's command makes its executor by this name and asks for no other.
        names: Any = migrate
        ours = partial(self._executor, options=options)
        djangos, names.MigrationExecutor = names.MigrationExecutor, ours
        try:
            super().handle(*args, **options)
        finally:
            names.MigrationExecutor = djangos

    def _executor(
        self,
        connection: BaseDatabaseWrapper,
        progress_callback: Any = None,
        *,
        options: dict[str, Any],
    ) -> MigrationExecutor:
        return MigrationExecutor(
            connection,
            progress_callback,
            exactly=self.exactly,
            keep_dropped=not options["no_archive"],
        )

    def _nothing_to_do(
        self, connection: BaseDatabaseWrapper, options: dict[str, Any]
    ) -> bool:
        if options["app_label"] or options["run_syncdb"]:
            return False
        version = read_version(connection)
        if version.missing or not permissions_exist(connection):
            return False
        if waiting(connection, MigrationRecorder(connection).applied_migrations()):
            return False
        if connection.vendor == "postgresql":
            check_server(connection)
            tell_invalid_indexes(connection, self._say)
        if options["verbosity"] >= 1:
            self.stdout.write("No migrations to apply.")
        if version.unknown:
            self._say(f"Attention: {version}")
        return True

    def _say(self, message: str) -> None:
        self.stderr.write(message)

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        if action == "say":
            self.stdout.write(f"\n{migration}")
            return
        if action == "show":
            self._show(migration)
            return
        if action in ("apply_start", "unapply_start"):
            self.lock.begin(str(migration))
        elif action in ("apply_success", "unapply_success"):
            self.lock.check()
        super().migration_progress_callback(action, migration, fake)

    def _show(self, progress: str) -> None:
        """Overwrite the last line of a terminal; add a line to a log now and then."""
        if self.verbosity < 1:
            return
        if self.stdout.isatty():
            self.stdout.write(f"\r  {progress}\x1b[K", ending="")
            self.stdout.flush()
        elif time.monotonic() - self._shown > _LOG_EVERY_S:
            self._shown = time.monotonic()
            self.stdout.write(f"\n  {progress}")


def _plan(executor: MigrationExecutor, options: dict[str, Any]) -> Plan:
    """Return what Django's command will do for these options; nothing if it refuses."""
    app_label, name = options["app_label"], options["migration_name"]
    loader = executor.loader
    if options["prune"]:
        return []
    targets: list[tuple[str, str | None]] = [
        key for key in loader.graph.leaf_nodes() if app_label in (None, key[0])
    ]
    if name == "zero":
        targets = [(app_label, None)]
    elif name:
        try:
            target = loader.get_migration_by_prefix(app_label, name)
        except (AmbiguityError, KeyError):
            return []
        targets = [(app_label, target.name)]
    return executor.migration_plan(targets)


def _take_revision(options: dict[str, Any]) -> frozenset[MigrationKey] | None:
    """Turn a documented revision into the target that Django knows.

    Returns the migrations that it stands for; None where the target is none.
    """
    label = options["app_label"]
    if (
        not label
        or options["migration_name"]
        or label in {each.label for each in apps.get_app_configs()}
    ):
        return None
    try:
        wanted = parse_state(label).applied
    except StateError as error:
        raise CommandError(
            f"No installed app has the label {label!r}, and {error}"
        ) from error
    order = [revision.migration for revision in load_revisions()]
    newest = max(wanted & set(order), key=order.index, default=(order[0][0], "zero"))
    options.update(app_label=newest[0], migration_name=newest[1])
    return wanted
