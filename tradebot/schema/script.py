r"""One SQL file for psql that brings a database from a state to a later one.

It is for where only psql may change the database, and is made without one. It does what
``migrate`` does, from the same steps (``steps``), and leaves the same records. It begins
with a look (``script_guard``) that refuses a database in another state, and each part
of it is left out where it has been done: it can be stopped and run again.

In the history, a script's rows have "psql" for the system user, the client's address
for the host, and no process: psql knows neither. A run that psql stopped shows as
killed there.

Python code has no place in it. A RunPython needs an SQL form for PostgreSQL::

    RunPython(forwards, backwards, hints={"sql": "UPDATE bot_configs SET …"})

A data migration that is SQL on every database is better a RunSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.apps import apps as installed_apps
from django.conf import settings
from django.contrib.auth.management import _get_all_permissions
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, migrations, models
from django.db.backends.postgresql.base import DatabaseWrapper
from django.db.migrations import Migration
from django.db.migrations.recorder import MigrationRecorder
from django.db.migrations.state import ProjectState

import tradebot
from tradebot.errors import TradeBotError
from tradebot.schema import batches, history, lock
from tradebot.schema.checksum import checksum
from tradebot.schema.preflight import MINIMUM_VERSION
from tradebot.schema.rules import DataRule, rules_of
from tradebot.schema.script_guard import dollar_quoted, guard, literal
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
    statements_of,
)

_RECORD = MigrationRecorder.Migration._meta.db_table
# psql would replace a variable's name after a colon wherever it meets one outside of
# quotes: ours have names that nothing else has.
_SETTINGS = f"""\
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
\\encoding UTF8
"""
_BATCHES = """\
DECLARE
    low "{table}"."{key}"%TYPE;
    high "{table}"."{key}"%TYPE;
    size numeric := {first_size};
    began timestamptz;
BEGIN
    LOOP
        PERFORM set_config('lock_timeout', '{lock_timeout}', true);
        EXECUTE {next} INTO low USING high;
        EXIT WHEN low IS NULL;
        EXECUTE {upto} INTO high USING low, size;
        began := clock_timestamp();
        EXECUTE {change} USING low, high;
        COMMIT;
        size := least({largest_size}, greatest(1, round(size * least(4, greatest(0.25,
            {target} / greatest(0.001, extract(epoch FROM clock_timestamp() - began))
        )))));
    END LOOP;
END"""


class ScriptError(TradeBotError):
    """A migration has no SQL form that can be told without the database."""


class _OfflineConnection(DatabaseWrapper):
    """PostgreSQL as far as it is known without a server."""

    def __init__(self) -> None:
        super().__init__({"NAME": "", "OPTIONS": {}}, DEFAULT_DB_ALIAS)
        self.pg_version = MINIMUM_VERSION[0]

    def connect(self) -> None:
        raise ScriptError("it asks the database")


def write_script(start: State, end: State) -> Iterator[str]:
    """Yield the lines of the script from one state to another.

    Raises StateError where one does not lead to the other, ScriptError for a migration
    that has no SQL form.
    """
    connection = _OfflineConnection()
    route = find_route(start, end)
    state = ProjectState(real_apps=route.loader.unmigrated_apps)
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
        yield from _permissions()
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
        steps, after = compile_migration(connection, migration, state)
        result: list[Step | Batches] = []
        for step in steps:
            result += _as_sql(step, migration, state)
    except ScriptError as error:
        raise ScriptError(
            f"{migration.app_label}.{migration.name} has no form for a script: {error}. "
            "Give it one, hints={'sql': …} of RunPython or RunSQL in its place, or let "
            "manage.py migrate apply it."
        ) from error
    return result, after


def _as_sql(
    step: AnyStep, migration: Migration, state: ProjectState
) -> Sequence[Step | Batches]:
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
    """Return what rows have to be like, each with the place of its migration, from 1."""
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
        yield from _if(missing, _transaction(editor.steps))


def _migration(migration: Migration, steps: list[Step | Batches]) -> Iterator[str]:
    app, name = map(literal, (migration.app_label, migration.name))
    recorded = ", ".join(
        f"({literal(app)}, {literal(name)}, now())"
        for app, name in migration.replaces or [(migration.app_label, migration.name)]
    )
    record = [
        f"INSERT INTO {_RECORD} (app, name, applied) VALUES {recorded};",
        f"INSERT INTO {history.TABLE} (run, start_id, action, event, app, name, seconds, "
        "checksum, version, os_user, host, session, db_user) SELECT run, id, action, "
        "'succeeded', app, name, extract(epoch FROM clock_timestamp() - at), checksum, "
        f"version, os_user, host, session, db_user FROM {history.TABLE} "
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
            "version, os_user, host, session, db_user) VALUES (:'tradebot_run', 'apply', "
            f"'started', {app}, {name}, {literal(checksum(migration))}, "
            f"{literal(tradebot.__version__)}, 'psql', "
            "coalesce(host(inet_client_addr()), '[local]'), pg_backend_pid(), "
            "current_user) RETURNING id AS tradebot_start \\gset"
        )
        if migration.atomic:
            yield from _transaction(steps, record)
            return
        for step in steps:
            yield from _alone(step)
        yield from _transaction([], record)

    yield ""
    yield from _if(
        f"NOT EXISTS (SELECT FROM {_RECORD} WHERE (app, name) = ({last}))", body()
    )


def _alone(step: Step | Batches) -> Iterator[str]:
    """Yield a step of a migration that is not one transaction, as the executor does."""
    if isinstance(step, Batches):
        lines: Iterable[str] = [_in_batches(step)]
    elif step.transactional:
        yield from _transaction([step])
        return
    else:
        lines = ["SET lock_timeout = 0;", *map(_statement, step.statements)]
    yield from _unless_done(step, lines)


def _transaction(steps: Iterable[Any], record: Iterable[str] = ()) -> Iterator[str]:
    yield "BEGIN;"
    for step in steps:
        yield from _unless_done(step, _with_budget(step))
    yield from record
    yield "COMMIT;"


def _with_budget(step: Step | Batches) -> Iterator[str]:
    """Yield the statements, each with what is left of the time to wait for locks."""
    for statement in statements_of(step):
        yield (
            "SELECT set_config('lock_timeout', greatest(1, "
            f"{settings.MIGRATION_LOCK_TIMEOUT_MS} - round(1000 * extract(epoch FROM "
            "clock_timestamp() - now())))::int::text, true) AS tradebot_left \\gset"
        )
        yield _statement(statement)


def _unless_done(step: Step | Batches, lines: Iterable[str]) -> Iterator[str]:
    if step.done is None:
        yield from lines
    else:
        yield from _if(f"NOT coalesce(({step.done}), false)", lines)


def _if(condition: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"SELECT {condition} AS tradebot_todo \\gset"
    yield "\\if :tradebot_todo"
    yield from lines
    yield "\\endif"


def _statement(statement: str) -> str:
    text = statement.strip().removesuffix(";")
    if re.match(r"(SELECT|TABLE|VALUES|WITH)\b", text, re.IGNORECASE):
        # psql would show the rows.
        text = f"DO {dollar_quoted(f'BEGIN EXECUTE {dollar_quoted(text)}; END')}"
    return f"{text};" if "--" not in text else f"{text}\n;"


def _in_batches(step: Batches) -> str:
    """Return the loop of ``batches.run_batches`` in PL/pgSQL."""
    table, key, todo = f'"{step.table}"', f'"{step.key}"', f"({step.todo})"
    following = (
        f"SELECT {key} FROM {table} WHERE ($1 IS NULL OR {key} > $1) AND {todo} "
        f"ORDER BY {key} LIMIT 1"
    )
    upto = (
        f"SELECT max({key}) FROM (SELECT {key} FROM {table} "
        f"WHERE {key} >= $1 AND {todo} ORDER BY {key} LIMIT $2) AS batch"
    )
    change = step.statement.format(rows=f"{key} BETWEEN $1 AND $2 AND {todo}")
    body = _BATCHES.format(
        table=step.table,
        key=step.key,
        first_size=batches.FIRST_SIZE,
        largest_size=batches.LARGEST_SIZE,
        target=batches.TARGET_S,
        lock_timeout=settings.MIGRATION_LOCK_TIMEOUT_MS,
        next=dollar_quoted(following),
        upto=dollar_quoted(upto),
        change=dollar_quoted(change),
    )
    return f"DO {dollar_quoted(body)};"


def _permissions() -> Iterator[str]:
    """Yield what makes the content types and permissions that Django makes in the end."""
    types, permissions = ContentType._meta.db_table, Permission._meta.db_table
    for app in installed_apps.get_app_configs():
        found = [each._meta for each in app.get_models()] if app.models_module else []
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
