"""What was done to the schema: when, by whom, for how long, and how it ended.

A table that can only grow. The start of an action is committed before the work, and its
end is a row of its own, so a run that was killed is seen and nothing is overwritten.
The end of a success commits together with the work.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import logging
import os
import pwd
import re
import socket
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from django.conf import settings
from django.db import Error, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Case, CharField, F, Max, QuerySet, Value, When

import tradebot
from tradebot.models import Action, Event, SchemaEvent
from tradebot.schema import lock
from tradebot.schema.revisions import MigrationKey

logger = logging.getLogger(__name__)

TABLE = SchemaEvent._meta.db_table
_FIELDS = {each.name: each for each in SchemaEvent._meta.concrete_fields}
Outcome = Literal["ok", "failed", "running", "killed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

_MAX_ERROR = 500  # characters
_REFUSAL = f"{TABLE} is append-only: rows are neither changed nor deleted"
_SAME_ROW = f"SELECT 1 FROM {TABLE} WHERE id = NEW.id OR start_id = NEW.start_id"
_GUARDS = {
    # For each statement, so that TRUNCATE is among them.
    "postgresql": (
        f"""
        CREATE OR REPLACE FUNCTION {TABLE}_refuse() RETURNS trigger
        LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '{_REFUSAL}'
            USING ERRCODE = 'integrity_constraint_violation';
        END $$
        """,
        f"""
        CREATE TRIGGER {TABLE}_append_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON {TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_refuse()
        """,
    ),
    "sqlite": tuple(
        f"CREATE TRIGGER {TABLE}_no_{name} BEFORE {event} "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        for name, event in (
            ("update", f"UPDATE ON {TABLE}"),
            ("delete", f"DELETE ON {TABLE}"),
            # INSERT OR REPLACE deletes without asking the trigger above.
            ("replace", f"INSERT ON {TABLE} WHEN EXISTS ({_SAME_ROW})"),
        )
    ),
}


def table_statements(
    connection: BaseDatabaseWrapper,
) -> list[tuple[str, list[Any] | None]]:
    """Return the statements that make the table and its guards, with parameters.

    The connection is asked for the kind of its database only.
    """
    # Not by create_model(), which on SQLite refuses to work in a transaction.
    statement, parameters = connection.schema_editor().table_sql(SchemaEvent)
    guards = _GUARDS[connection.vendor]
    return [(statement, parameters or None), *((guard, None) for guard in guards)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An action that has begun."""

    id: int
    action: Action
    app: str
    name: str
    checksum: str
    began: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """An action and how it ended, from its one or two rows."""

    id: int
    run: uuid.UUID
    at: dt.datetime
    action: str
    app: str
    name: str
    outcome: Outcome
    seconds: float | None
    """None while it is running, if it was killed, and where it took no time."""
    os_user: str
    host: str
    pid: int | None
    db_user: str
    version: str
    checksum: str
    error: str
    details: Any


class History:
    """The history of one database, and what one run adds to it."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.run = uuid.uuid4()
        self._process = _process()
        self._has_table = False

    # --- Writing ------------------------------------------------------------------

    def has_table(self) -> bool:
        """Ask whether this database has a history yet."""
        if not self._has_table:
            with self.connection.cursor() as cursor:
                if self.connection.vendor == "postgresql":
                    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [TABLE])
                else:
                    cursor.execute(
                        "SELECT count(*) FROM sqlite_master WHERE name = %s", [TABLE]
                    )
                (found,) = cursor.fetchone()
            self._has_table = bool(found)
        return self._has_table

    def ensure_table(self) -> None:
        """Make the table where it is missing; the caller holds the migration lock.

        Can be called inside a transaction, and is by what writes the first row.
        """
        if self.has_table():
            return
        # One transaction: never a table that can be changed.
        with (
            transaction.atomic(using=self.connection.alias),
            self.connection.cursor() as cursor,
        ):
            for statement, parameters in table_statements(self.connection):
                cursor.execute(statement, parameters)
        self._has_table = True

    def begin(self, action: Action, app: str, name: str, checksum: str = "") -> Entry:
        """Commit that an action starts, before its work.

        Raises TransactionManagementError in a transaction, whose end would decide over
        this row too.
        """
        if self.connection.in_atomic_block or not self.connection.get_autocommit():
            raise transaction.TransactionManagementError(
                f"the start of {action} {app}.{name} cannot be recorded inside a "
                "transaction: it has to be committed before the work"
            )
        self.ensure_table()
        row = {"action": action, "app": app, "name": name, "checksum": checksum}
        id_ = self._insert(
            self.connection, event=Event.STARTED, **row, survive_server=False
        )
        return Entry(id=id_, action=action, app=app, name=name, checksum=checksum)

    def succeed(self, entry: Entry, details: Any = None) -> None:
        """Add that an action is done, in the transaction of its work if it has one."""
        self._end(self.connection, entry, Event.SUCCEEDED, details=details)

    def fail(self, entry: Entry, error: BaseException) -> None:
        """Add that an action failed, after its transaction was rolled back.

        Where the connection is gone, over another one. A database that refuses that too
        is logged, not raised: the error that made it fail matters more than its record.
        """
        text = describe_error(error, self.connection)
        try:
            if not self.connection.in_atomic_block and self.connection.is_usable():
                self._end(self.connection, entry, Event.FAILED, error=text)
                return
            other = self.connection.copy()
            try:
                self._end(other, entry, Event.FAILED, error=text)
            finally:
                other.close()
        except Error as lost:
            logger.warning(
                "The failure of %s.%s could not be recorded in the history: %s",
                entry.app,
                entry.name,
                describe_error(lost, self.connection),
            )

    def record(
        self,
        action: Action,
        app: str = "",
        name: str = "",
        *,
        checksum: str = "",
        seconds: float | None = None,
        error: str = "",
        details: Any = None,
    ) -> None:
        """Add an action that is over at once, in the caller's transaction if any."""
        self.ensure_table()
        self._insert(
            self.connection,
            event=Event.FAILED if error else Event.SUCCEEDED,
            action=action,
            app=app,
            name=name,
            checksum=checksum,
            seconds=seconds,
            error=error[:_MAX_ERROR],
            details=details,
        )

    def _end(
        self, connection: BaseDatabaseWrapper, entry: Entry, event: Event, **values: Any
    ) -> None:
        self._insert(
            connection,
            event=event,
            start=entry.id,
            action=entry.action,
            app=entry.app,
            name=entry.name,
            checksum=entry.checksum,
            seconds=time.monotonic() - entry.began,
            **values,
        )

    def _insert(
        self,
        connection: BaseDatabaseWrapper,
        *,
        survive_server: bool = True,
        **values: Any,
    ) -> int:
        """Insert a row by one statement and return its id."""
        values = {"run": self.run, **self._process, **values}
        fields = [_FIELDS[name] for name in values]
        columns = [str(each.column) for each in fields]
        expressions = ["%s"] * len(fields)
        source = ""
        if connection.vendor == "postgresql":
            columns += ["session", "db_user"]
            expressions += ["pg_backend_pid()", "current_user"]
            if not survive_server:
                # A start has to survive its process, not the server, and so need not
                # wait for the disk; the end of the work does.
                source = " FROM set_config('synchronous_commit', 'off', true)"
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {TABLE} ({', '.join(columns)}) "
                f"SELECT {', '.join(expressions)}{source} RETURNING id",
                [
                    each.get_db_prep_save(value, connection)
                    for each, value in zip(fields, values.values(), strict=True)
                ],
            )
            (id_,) = cursor.fetchone()
        return int(id_)

    # --- Reading ------------------------------------------------------------------

    def queryset(self) -> QuerySet[SchemaEvent]:
        """Return the actions, each by its first row.

        With ``outcome``, ``duration`` in seconds and ``message`` of the two rows.
        """
        has_table = self.has_table()
        actions = (
            SchemaEvent.objects.using(self.connection.alias)
            .filter(start=None)
            .select_related("end")
            .annotate(
                outcome=Case(
                    When(event=Event.SUCCEEDED, then=Value("ok")),
                    When(event=Event.FAILED, then=Value("failed")),
                    When(end__event=Event.SUCCEEDED, then=Value("ok")),
                    When(end__event=Event.FAILED, then=Value("failed")),
                    When(pk=self._running() if has_table else 0, then=Value("running")),
                    default=Value("killed"),
                    output_field=CharField(),
                ),
                duration=Case(
                    When(end=None, then=F("seconds")), default="end__seconds"
                ),
                message=Case(When(end=None, then=F("error")), default="end__error"),
            )
        )
        return actions if has_table else actions.none()

    def entries(self, limit: int | None = None) -> list[HistoryEntry]:
        """Return the last actions, the newest first."""
        return [_entry(row) for row in self.queryset().order_by("-pk")[:limit]]

    def latest(self) -> list[SchemaEvent]:
        """Return what was done last, and succeeded, with each migration: its end."""
        if not self.has_table():
            return []
        events = SchemaEvent.objects.using(self.connection.alias)
        done = events.filter(event=Event.SUCCEEDED)
        last = done.values("app", "name").annotate(last=Max("pk")).values("last")
        return list(events.filter(pk__in=last))

    def latest_applied_checksums(self) -> dict[MigrationKey, str]:
        """Return what each migration did when it was applied last.

        Without those that went back since.
        """
        return {
            (event.app, event.name): event.checksum
            for event in self.latest()
            if event.action in (Action.APPLY, Action.ADOPT, Action.FAKE)
            and event.checksum
        }

    def _running(self) -> int:
        """Return the id of the action that runs now, 0 if none does.

        One runner works at a time, so it can only be the last one that was started, and
        its runner has the lock.
        """
        events = SchemaEvent.objects.using(self.connection.alias)
        start = events.filter(event=Event.STARTED).order_by("-pk").first()
        return start.pk if start and _holds_lock(self.connection, start) else 0


def _holds_lock(connection: BaseDatabaseWrapper, start: SchemaEvent) -> bool:
    """Ask whether who started this has held the migration lock ever since."""
    if connection.vendor == "postgresql":
        holder = lock._holder(connection)
        # Another session may have got the same pid later.
        return (
            holder is not None
            and holder.pid == start.session
            and (holder.since or "") <= f"{start.at:%Y-%m-%d %H:%M:%S}"
        )
    if connection.is_in_memory_db():  # type: ignore[attr-defined]  # SQLite has it
        return start.pid == os.getpid()
    path = Path(connection.settings_dict["NAME"])
    try:
        with path.with_name(f"{path.name}-migrate").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().startswith(f"pid {start.pid} on {start.host},")
    except FileNotFoundError:
        pass
    return False


def _entry(row: Any) -> HistoryEntry:
    return HistoryEntry(
        id=row.pk,
        run=row.run,
        at=row.at,
        action=row.action,
        app=row.app,
        name=row.name,
        outcome=row.outcome,
        seconds=row.duration,
        os_user=row.os_user,
        host=row.host,
        pid=row.pid,
        db_user=row.db_user,
        version=row.version,
        checksum=row.checksum,
        error=row.message,
        details=row.end.details if hasattr(row, "end") else row.details,
    )


def _process() -> Mapping[str, Any]:
    try:
        os_user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under any number
        os_user = str(os.getuid())
    return {
        "os_user": os_user,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "version": tradebot.__version__,
    }


def format_seconds(seconds: float) -> str:
    """Return a duration for people."""
    return f"{seconds:.3f} s" if seconds < 100 else f"{seconds:,.0f} s"


def describe_error(error: BaseException, connection: BaseDatabaseWrapper) -> str:
    """Return the kind of an error and its first line, without secrets.

    The lines after the first of a database's error quote rows.
    """
    line = str(error).strip().partition("\n")[0]
    secrets = [
        connection.settings_dict.get("PASSWORD"),
        settings.SECRET_KEY,
        settings.JWT_SECRET,
        *settings.FERNET_KEYS,
    ]
    for secret in filter(None, secrets):
        line = line.replace(secret, "***")
    line = re.sub(r"\b[a-z][a-z0-9+.-]*://\S+", "***", line, flags=re.IGNORECASE)
    line = re.sub(
        r"\b(password|passwd|secret|token|api_?key)(\s*[=:]\s*)('[^']*'|\S+)",
        r"\1\2***",
        line,
        flags=re.IGNORECASE,
    )
    return f"{type(error).__name__}: {line}".removesuffix(": ")[:_MAX_ERROR]
