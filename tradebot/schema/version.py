"""Whether the schema of a database is the one that this code is made for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.contrib.auth import get_permission_codename
from django.contrib.auth.models import Permission
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from tradebot.schema.branches import refuse_branches
from tradebot.schema.executor import MigrationExecutor
from tradebot.schema.revisions import MigrationKey


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """How a database and the code differ: nothing, or migrations on either side."""

    missing: tuple[MigrationKey, ...]
    """In the code and not applied: the database is behind."""
    unknown: tuple[MigrationKey, ...]
    """Applied and not in the code, for apps that are: the database is ahead."""

    @property
    def exit_code(self) -> int:
        """0: they fit; 1: behind; 3: ahead; 4: both, so neither came from the other."""
        return (0, 1, 3, 4)[bool(self.missing) + 2 * bool(self.unknown)]

    def __str__(self) -> str:
        match self.exit_code:
            case 0:
                return "The schema is the one of this code."
            case 1:
                return (
                    f"The schema is behind this code by {_listed(self.missing)}. "
                    "Run migrate."
                )
            case 3:
                return (
                    f"The schema is ahead of this code by {_listed(self.unknown)}. "
                    "Run the version of the program that brought it there, or go back "
                    "with that version first."
                )
        return (
            f"The schema has {_listed(self.unknown)}, which this code does not know, "
            f"and lacks {_listed(self.missing)}: it belongs to another version of the "
            "program. Check DATABASE_URL and the version; run neither."
        )


def read_version(connection: BaseDatabaseWrapper) -> SchemaVersion:
    """Compare what is applied with what is in the code.

    Raises PreflightError where what is in the code is not one history.
    """
    # Without the graph, which takes most of the time and is of use only where
    # something is missing.
    loader = MigrationLoader(connection, load=False)
    loader.load_disk()
    refuse_branches(loader.disk_migrations)
    applied = MigrationRecorder(connection).applied_migrations()
    missing: tuple[MigrationKey, ...] = ()
    if not all(
        applied.keys() >= set(migration.replaces or [key])
        for key, migration in loader.disk_migrations.items()
    ):
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        missing = tuple((each.app_label, each.name) for each, _ in plan)
    unknown = unknown_migrations(loader, applied)
    return SchemaVersion(missing=missing, unknown=unknown)


def unknown_migrations(
    loader: MigrationLoader, applied: Iterable[MigrationKey]
) -> tuple[MigrationKey, ...]:
    """Return what is applied of the installed apps and not in the code."""
    return tuple(
        sorted(
            key
            for key in applied
            if key[0] in loader.migrated_apps and key not in loader.disk_migrations
        )
    )


def permissions_exist(connection: BaseDatabaseWrapper) -> bool:
    """Say whether all is there that Django makes when a run has ended.

    These are content types and permissions; they are missing where a run was cut off
    after its last migration.
    """
    found = Permission.objects.using(connection.alias).values_list(
        "content_type__app_label", "content_type__model", "codename"
    )
    expected = {
        (options.app_label, options.model_name, codename)
        for options in (model._meta for model in apps.get_models())
        for codename in (
            *(
                get_permission_codename(action, options)
                for action in options.default_permissions
            ),
            *(codename for codename, _ in options.permissions),
        )
    }
    return expected <= set(found)


def _listed(keys: tuple[MigrationKey, ...]) -> str:
    names = [".".join(key) for key in keys]
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
