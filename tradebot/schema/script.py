r"""One SQL file for psql that brings a database from a state to a later one.

It is for where only psql may change the database, and is made without one. It does
what ``migrate`` does, from the same steps (``steps``), and leaves the same records. It
begins with a look (``script_guard``) that refuses a database in another state, and each
part of it is left out where it has been done: it can be stopped and run again.

In the history, a script's rows have "psql" for the system user, the client's address
for the host, and no process: psql knows neither. A run that psql stopped shows as
killed there.

Python code has no place in it. A RunPython needs an SQL form for PostgreSQL::

    RunPython(forwards, backwards, hints={"sql": "UPDATE bot_configs SET …"})

A data migration that is SQL on every database is better a RunSQL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from django.apps import apps as installed_apps
from django.conf import settings
from django.contrib.auth.management import _get_all_permissions  # type: ignore[attr-defined]  # the stubs lack it
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, migrations, models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

import tradebot
from tradebot.errors import TradeBotError
from tradebot.schema import history, lock
from tradebot.schema.checksum import checksum
from tradebot.schema.lean_state import LeanState
from tradebot.schema.preflight import MINIMUM_VERSION
from tradebot.schema.psql import alone, literal, lock_budget, only_if, transaction
from tradebot.schema.rules import DataRule, rules_of
from tradebot.schema.script_guard import guard
from tradebot.schema.states import (
    Route,
    State,
    covered,
    everything,
    find_route,
)
from tradebot.schema.steps import (
    AnyStep,
    Batches,
    LiveStep,
    Step,
    StepEditor,
    compile_migration,
)

_RECORD = MigrationRecorder.Migration._meta.db_table
_SETTINGS = f"""\
\\set SHOW_CONTEXT errors
SET TIME ZONE 'UTC';
SET standard_conforming_strings = on;
SET client_min_messages = warning;
{lock.LIFT_LIMITS};
SELECT gen_random_uuid() AS tradebot_run \\gset
"""
_HEAD = """\
-- TradeBot {version}: brings a database from {start} to {end}.
-- Run it as the user who owns the tables, on the server itself and not on a pooler:
--
--     psql --no-psqlrc -v ON_ERROR_STOP=1 -d DATABASE -f FILE
--
-- It refuses a database in another state, and may be stopped and run again. Back up
-- before. docs/operations.md explains its messages.
\\set ON_ERROR_STOP on
\\set ON_ERROR_ROLLBACK off
\\set AUTOCOMMIT on
\\set QUIET on
\\set SHOW_CONTEXT never
\\encoding UTF8
"""


class ScriptError(TradeBotError):
    """A migration has no SQL form that can be told without the database."""


class _OfflineConnection(DatabaseWrapper):
    """PostgreSQL as far as it is known without a server."""

    def __init__(self) -> None:
        super().__init__({"NAME": "", "OPTIONS": {}}, DEFAULT_DB_ALIAS)
        self.pg_version = MINIMUM_VERSION[0]

    def connect(self) -> None:
        raise ScriptError("it asks the database")


def write_script(start: State, end: State, route: Route | None = None) -> Iterator[str]:
    """Yield the lines of the script from one state to another.

    By the route that ``migrate`` takes, unless one is given.

    Raises StateError where one does not lead to the other, ScriptError for a migration
    that has no SQL form.
    """
    connection = _OfflineConnection()
    route = route or find_route(start, end)
    state: ProjectState = LeanState(real_apps=route.loader.unmigrated_apps)
    for migration in route.before:
        migration.mutate_state(state, preserve=False)
    rules = _rules(connection, state, route)
    parts = []
    for migration in route.migrations:
        steps, state = _steps(connection, migration, state)
        parts.append((migration, steps))
    squashed = [
        key
        for key, each in route.loader.replacements.items()
        if covered(each) <= end.applied
    ]

    yield _HEAD.format(version=tradebot.__version__, start=start.name, end=end.name)
    yield f"{_guard(connection, route, start, end, state, rules)};\n"
    yield _SETTINGS
    yield lock_budget()
    yield from _system_tables(connection)
    for migration, steps in parts:
        yield from _migration(migration, steps)
    yield "BEGIN;"
    yield from (
        f"INSERT INTO {_RECORD} (app, name, applied) SELECT {app}, {name}, now() "
        f"WHERE NOT EXISTS (SELECT FROM {_RECORD} WHERE (app, name) = ({app}, {name}));"
        for app, name in (map(literal, key) for key in squashed)
    )
    if end.applied == everything().applied:
        yield from _permissions(state)
    yield "COMMIT;"
    yield "RESET application_name;"
    yield f"SELECT pg_advisory_unlock{lock.KEY} AS tradebot_unlocked \\gset"
    yield f"\\echo Done: the database is at {end.name}."


# --- What is done -----------------------------------------------------------------


def _steps(
    connection: DatabaseWrapper, migration: Migration, state: ProjectState
) -> tuple[list[Step | Batches], ProjectState]:
    """Return the steps of a migration as SQL, and the state after it."""
    try:
        if any(
            isinstance(each, migrations.RenameModel) for each in migration.operations
        ):
            raise ScriptError("Django renames the content type of a renamed model")
        steps, after = compile_migration(connection, migration, state)
        result: list[Step | Batches] = []
        for step in steps:
            result += as_sql(step, migration, state)
    except ScriptError as error:
        raise ScriptError(
            f"{migration.app_label}.{migration.name} has no form for a script: "
            f"{error}. Give it one, by hints={{'sql': …}} of RunPython or by RunSQL in "
            "its place, or let manage.py migrate apply it."
        ) from error
    return result, after


def as_sql(
    step: AnyStep, migration: Migration, state: ProjectState
) -> Sequence[Step | Batches]:
    """Return a step as SQL. Raises ScriptError for Python code that has no SQL form."""
    if not isinstance(step, LiveStep):
        return [step]
    operation = step.operation
    if isinstance(operation, migrations.RunPython):
        if operation.code is migrations.RunPython.noop:
            return []
        if "sql" in operation.hints:
            return [Step(statements=(operation.hints["sql"],))]
        key = (migration.app_label, migration.name)
        if key == ("auth", "0011_update_proxy_permissions") and not any(
            model.options.get("proxy") for model in state.models.values()
        ):
            return []  # it is about the permissions of proxy models
    raise ScriptError(step.description)


def _rules(
    connection: DatabaseWrapper, state: ProjectState, route: Route
) -> list[tuple[int, DataRule]]:
    """Return what rows have to be like, each with its migration's place from 1."""
    state = state.clone()
    result = []
    for place, migration in enumerate(route.migrations, 1):
        for rule in rules_of(connection, state, [(migration, False)]):
            result.append((place, rule))
        state = migration.mutate_state(state, preserve=False)
    return result


def _guard(
    connection: DatabaseWrapper,
    route: Route,
    start: State,
    end: State,
    state: ProjectState,
    rules: list[tuple[int, DataRule]],
) -> str:
    tables = [each._meta for each in state.apps.get_models(include_auto_created=True)]
    times = [
        f"{options.db_table}.{field.column}"
        for options in tables
        for field in options.local_concrete_fields
        if isinstance(field, models.DateTimeField)
        and field.db_type(connection) == "timestamp with time zone"
    ]
    return guard(
        names=(start.name, end.name),
        before=_dotted(start.applied),
        own=[_dotted(covered(each)) for each in route.migrations],
        squashed=_dotted(route.loader.replacements),
        apps=sorted(route.loader.migrated_apps),
        tables=sorted(options.db_table for options in tables if options.managed),
        times=[] if settings.NAIVE_TIMES_ZONE else sorted(times),
        rules=rules,
    )


def _dotted(keys: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(".".join(key) for key in keys)


# --- How it is written ------------------------------------------------------------


def _system_tables(connection: DatabaseWrapper) -> Iterator[str]:
    """Yield the statements for the tables that the migration system makes itself."""
    with StepEditor(connection) as record, StepEditor(connection) as events:
        record.create_model(MigrationRecorder.Migration)
        for statement, parameters in history.table_statements(connection):
            events.execute(statement, parameters)
    for table, editor in ((_RECORD, record), (history.TABLE, events)):
        missing = f"to_regclass({literal(table)}) IS NULL"
        yield from only_if(
            missing,
            transaction([each for each in editor.steps if isinstance(each, Step)]),
        )


def _migration(migration: Migration, steps: list[Step | Batches]) -> Iterator[str]:
    app, name = map(literal, (migration.app_label, migration.name))
    recorded = ", ".join(
        f"({literal(app)}, {literal(name)}, now())"
        for app, name in migration.replaces or [(migration.app_label, migration.name)]
    )
    record = [
        f"INSERT INTO {_RECORD} (app, name, applied) VALUES {recorded};",
        f"INSERT INTO {history.TABLE} (run, start_id, action, event, app, name, "
        "seconds, checksum, version, os_user, host, session, db_user) SELECT run, id, "
        "action, 'succeeded', app, name, extract(epoch FROM clock_timestamp() - at), "
        f"checksum, version, os_user, host, session, db_user FROM {history.TABLE} "
        "WHERE id = :tradebot_start;",
    ]
    last = ", ".join(map(literal, max(covered(migration))))
    label = f"{migration.app_label}.{migration.name}"
    application = literal(f"{lock.APPLICATION}: {label}"[:63])

    def body() -> Iterator[str]:
        yield f"\\echo Applying {label}"
        yield f"SET application_name = {application};"
        yield (
            f"INSERT INTO {history.TABLE} (run, action, event, app, name, checksum, "
            "version, os_user, host, session, db_user) SELECT :'tradebot_run', "
            f"'apply', 'started', {app}, {name}, {literal(checksum(migration))}, "
            f"{literal(tradebot.__version__)}, 'psql', "
            "coalesce(host(inet_client_addr()), '[local]'), pg_backend_pid(), "
            # As in history: a start need not wait for the disk.
            "current_user FROM set_config('synchronous_commit', 'off', true) "
            "RETURNING id AS tradebot_start \\gset"
        )
        if migration.atomic:
            yield from transaction(steps, record)
            return
        for step in steps:
            yield from alone(step)
        yield from transaction([], record)

    yield ""
    yield from only_if(
        f"NOT EXISTS (SELECT FROM {_RECORD} WHERE (app, name) = ({last}))", body()
    )


def _permissions(state: ProjectState) -> Iterator[str]:
    """Yield what makes the content types and permissions that Django makes at last.

    In the order of the state, in which the migrations made the models, as Django does.
    """
    migrated = [state.apps.get_model(*key) for key in state.models]
    types, permissions = ContentType._meta.db_table, Permission._meta.db_table
    for app in installed_apps.get_app_configs():
        of_app = [model for model in migrated if model._meta.app_label == app.label]
        if app.label in state.real_apps and app.models_module:  # without migrations
            of_app = list(app.get_models())
        found = [model._meta for model in of_app if not model._meta.swapped]
        if not found:
            continue
        wanted = [
            (app.label, str(options.model_name), codename, name)
            for options in found
            for codename, name in _get_all_permissions(options)
        ]
        models_of_app = [(app.label, str(options.model_name)) for options in found]
        yield (
            f"INSERT INTO {types} (app_label, model) SELECT app, model "
            f"FROM ({_values(models_of_app)}) AS wanted (place, app, model) "
            f"WHERE NOT EXISTS (SELECT FROM {types} WHERE (app_label, "
            f"{types}.model) = (app, wanted.model)) ORDER BY place;"
        )
        yield (
            f"INSERT INTO {permissions} (content_type_id, codename, name) "
            "SELECT t.id, wanted.codename, wanted.name "
            f"FROM ({_values(wanted)}) AS wanted (place, app, model, codename, name) "
            f"JOIN {types} t ON (t.app_label, t.model) = (wanted.app, wanted.model) "
            f"WHERE NOT EXISTS (SELECT FROM {permissions} p WHERE (p.content_type_id, "
            "p.codename) = (t.id, wanted.codename)) ORDER BY place;"
        )


def _values(rows: Iterable[tuple[str, ...]]) -> str:
    return "VALUES " + ", ".join(
        f"({place}, {', '.join(map(literal, row))})" for place, row in enumerate(rows)
    )
