"""Django's migrate, safe to run in every container at once.

One runner works, the others wait for it; a crash leaves nothing half done; what stands
in the way is said in one sentence.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder

from tradebot.schema.contention import ContentionError
from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.lock import Lock, LockError, migration_lock
from tradebot.schema.pooler import TransactionPoolerError, refuse_transaction_pooler
from tradebot.schema.version import SchemaVersion, read_version, unknown_migrations

_LOG_EVERY_S = 10.0

# Django's command makes its executor by this name and asks for no other.
migrate.MigrationExecutor = MigrationExecutor  # type: ignore[attr-defined]  # it is


class Command(migrate.Command):
    lock: Lock
    _shown = 0.0

    # Not handle(): the system checks, which ask the database too, come before it.
    def execute(self, *args: Any, **options: Any) -> str | None:
        connection = connections[options["database"]]
        if settings.MIGRATION_DATABASE and connection.alias == DEFAULT_DB_ALIAS:
            connection.close()
            connection.settings_dict.update(settings.MIGRATION_DATABASE)
        try:
            connection.ensure_connection()
        except DatabaseError as error:
            raise CommandError(
                f"Cannot use {_describe(connection)}: {_reason(error)}. Check "
                "DATABASE_URL and the database server."
            ) from error
        return super().execute(*args, **options)

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if options["check_unapplied"] and not options["app_label"]:
            version = read_version(connection)
            self.stdout.write(str(version))
            sys.exit(version.exit_code)
        if options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        _refuse_unadopted(connection)
        try:
            if connection.vendor == "postgresql":
                refuse_transaction_pooler(connection)
            with migration_lock(connection, self.stdout.write) as self.lock:
                super().handle(*args, **options)
        except (ContentionError, LockError, TransactionPoolerError) as error:
            raise CommandError(str(error)) from error
        if unknown := unknown_migrations(connection):
            version = SchemaVersion(missing=(), unknown=unknown)
            self.stderr.write(f"Attention: {version}")

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


def _refuse_unadopted(connection: BaseDatabaseWrapper) -> None:
    """Raise CommandError for a database that the old program still has."""
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
    if (
        "alembic_version" in tables
        and MigrationRecorder.Migration._meta.db_table not in tables
    ):
        raise CommandError(
            f"{_describe(connection)} belongs to the program before this one (it has "
            "the table alembic_version) and has not been taken over. Nothing was "
            "changed. This version cannot take it over yet: set DATABASE_URL to "
            "another database."
        )


def _describe(connection: BaseDatabaseWrapper) -> str:
    if connection.vendor == "sqlite":
        return f"the SQLite database {connection.settings_dict['NAME']}"
    parameters = connection.get_connection_params()
    return (
        f"database {parameters.get('dbname')} on {parameters.get('host', 'localhost')} "
        f"port {parameters.get('port', 5432)} as user {parameters.get('user')}"
    )


def _reason(error: DatabaseError) -> str:
    # The driver repeats the address before the reason and adds hints in more lines.
    first_line = str(error).partition("\n")[0]
    return " ".join(first_line.rpartition(" failed: ")[2].split())
