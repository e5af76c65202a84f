"""What can stand in the way of a migration: one exception class a fault.

The docstring of a class is its message and the command's exit code is in it, so that a
log and a script tell the faults apart. ``docs/operations.md`` lists them all; a test
holds the two together.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import ClassVar

from django.db import DatabaseError, NotSupportedError, OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.errors import MisconfiguredError


class PreflightError(MisconfiguredError):
    """Root of the faults; their docstrings name what was found in braces."""

    exit_code: ClassVar[int]
    may_pass: ClassVar[bool] = False
    """Whether it is worth waiting: the server may be about to come."""

    def __init__(self, **found: object) -> None:
        message = " ".join((type(self).__doc__ or "").split())
        super().__init__(message.format(**found))


# --- No connection ----------------------------------------------------------------


class UnreachableError(PreflightError):
    """Cannot reach {database}: {reason}. Start the database server, or correct host and
    port in DATABASE_URL.
    """

    exit_code = 10
    may_pass = True


class StartingError(PreflightError):
    """Cannot use {database} yet: {reason}. Wait until the server has started, or look
    into its log for what keeps it; DATABASE_WAIT_S is how long to wait.
    """

    exit_code = 11
    may_pass = True


class TooManyConnectionsError(PreflightError):
    """Cannot use {database}: all connections are taken: {reason}. Stop programs that
    hold some, or raise max_connections of the server or the CONNECTION LIMIT of the
    database or the role.
    """

    exit_code = 12
    may_pass = True


class LoginError(PreflightError):
    """Cannot log in to {database}: {reason}. Correct user and password in DATABASE_URL,
    or let the user in: CREATE ROLE … LOGIN and the server's pg_hba.conf.
    """

    exit_code = 13


class NoDatabaseError(PreflightError):
    """Cannot use {database}: it does not exist. Make it with CREATE DATABASE, owned by
    that user, or correct the name in DATABASE_URL.
    """

    exit_code = 14


class ClosedDatabaseError(PreflightError):
    """Cannot use {database}: it accepts no connections. Somebody closed it, perhaps for
    maintenance; ALTER DATABASE … ALLOW_CONNECTIONS true opens it.
    """

    exit_code = 15


class NoConnectPrivilegeError(PreflightError):
    """Cannot use {database}: that user may not connect to it. Allow it with GRANT
    CONNECT ON DATABASE … TO …, or use another user in DATABASE_URL.
    """

    exit_code = 16


class RefusedError(PreflightError):
    """Cannot use {database}: {reason}. Check DATABASE_URL and the log of the database
    server.
    """

    exit_code = 17


# --- The wrong server or database -------------------------------------------------


class ServerTooOldError(PreflightError):
    """The database server is too old: found {found}, expected {expected} or newer.
    Nothing was changed. Upgrade the server (pg_upgrade, or dump and restore), then run
    migrate again.
    """

    exit_code = 18


class EncodingError(PreflightError):
    """The encoding of {database} is {found}, expected UTF8. Nothing was changed. Make a
    new database with ENCODING 'UTF8' TEMPLATE template0 and restore a dump of this one
    into it.
    """

    exit_code = 19


class StandbyError(PreflightError):
    """The server of {database} is a standby, which only follows another server. Nothing
    was changed. Set DATABASE_URL, or MIGRATION_DATABASE_URL, to the primary server.
    """

    exit_code = 21


class ReadOnlyError(PreflightError):
    """Transactions in {database} are read-only. Nothing was changed. Take back
    default_transaction_read_only = on, which is set for the server, the database or the
    user, or use another user.
    """

    exit_code = 22


class NoSchemaError(PreflightError):
    """There is no schema to make tables in: none of the search_path ({search_path}) is
    in {database} and may be used. Nothing was changed. Make one with CREATE SCHEMA, or
    GRANT USAGE ON SCHEMA … to that user.
    """

    exit_code = 23


class NoCreatePrivilegeError(PreflightError):
    """User {user} may not make tables in the schema {schema}. Nothing was changed.
    Allow it with GRANT CREATE ON SCHEMA {schema} TO {user}, or set
    MIGRATION_DATABASE_URL with the user who owns the database.
    """

    exit_code = 24


class NotOwnerError(PreflightError):
    """User {user} may not change these tables, which others own: {tables}. Nothing was
    changed. Hand them over with ALTER TABLE … OWNER TO {user}, or set
    MIGRATION_DATABASE_URL with their owner as the user.
    """

    exit_code = 25


class NoScratchError(PreflightError):
    """User {user} may not make a schema in {database}, in which migrations are tried to
    see what they do. Nothing was changed. Allow it with GRANT CREATE ON DATABASE … TO
    {user}, or set MIGRATION_DATABASE_URL with the user who owns the database.
    """

    exit_code = 36


# --- What is in the database ------------------------------------------------------


class UnadoptedError(PreflightError):
    """A database of the program before this one: {database} has the table
    alembic_version and has not been taken over. Nothing was changed. Back it up, then
    take it over: manage.py adopt --plan shows how, manage.py adopt does it.
    """

    exit_code = 26


class DifferentError(PreflightError):
    """The database is not what the old program made up to {revisions}: {found}
    Nothing was changed.
    """

    exit_code = 39


class VersionTableError(PreflightError):
    """The table alembic_version does not say where the database stands: it {found};
    expected {expected}. Nothing was changed. Is DATABASE_URL the database of the old
    program? If so, restore the table as that program had it.
    """

    exit_code = 44


class NoWayBackError(PreflightError):
    """There is no way back to the old program: the table alembic_version {found}. It
    is open from manage.py adopt to manage.py unadopt or adopt --close. Nothing was
    changed. A documented revision can be reached with manage.py migrate REVISION.
    """

    exit_code = 45


class MovedOnError(PreflightError):
    """Somebody has migrated the database while it went back: {applied} is applied.
    Stop the server and whatever else runs migrate, then run manage.py unadopt again.
    """

    exit_code = 47


class NotOnSQLiteError(PreflightError):
    """Not on SQLite: the program before this one had PostgreSQL only. Set DATABASE_URL
    to its database.
    """

    exit_code = 46


class TablesInTheWayError(PreflightError):
    """No migration is recorded, but tables that migrations make are there: {tables}.
    Nothing was changed. Set DATABASE_URL to an empty database, or restore the table
    django_migrations that belongs to these.
    """

    exit_code = 27


class InconsistentHistoryError(PreflightError):
    """The record of migrations contradicts itself: {reason}. Nothing was changed. A row
    of django_migrations was removed, or added by hand: restore it from a backup.
    """

    exit_code = 28


class OtherVersionError(PreflightError):
    """Another version of the program has migrated this database: {unknown} is applied
    and not in this code. Nothing was changed. Run that version, or go back with it
    first; or set DATABASE_URL to the database of this version.
    """

    exit_code = 29


class NaiveTimesError(PreflightError):
    """In which time zone were the times without a zone written ({columns})? The time
    zone set for {where}, UTC was expected. Nothing was changed. Set NAIVE_TIMES_ZONE:
    UTC if a program wrote them in UTC, or the name of the zone, for example
    Europe/Berlin.
    """

    exit_code = 30


class InvalidIndexError(PreflightError):
    """An index build was cut off and has left what is no use: {indexes}. Nothing was
    changed. No migration builds it anew: do so with REINDEX INDEX CONCURRENTLY, or
    remove it with DROP INDEX CONCURRENTLY, then run migrate again.
    """

    exit_code = 31


class LeftoverError(PreflightError):
    """Pending migrations would make what is there already: {found}. Nothing was
    changed. It is left of a change that was done by hand or half undone: look at what
    it holds, then rename or drop it and run migrate again.
    """

    exit_code = 32


class DiskFullError(PreflightError):
    """The disk of {database} is full: {reason}. What was complete is recorded, the rest
    was rolled back. Make room and run migrate again; it goes on where it stopped.
    """

    exit_code = 33


class RowsInTheWayError(PreflightError):
    """Rows are in the way of pending migrations. See them all and how to repair them
    with manage.py check_data, then run migrate again. These are they: {rows}
    """

    exit_code = 34


class ContentionError(PreflightError):
    """Gave up after {waited} s, since {tables} is held by {sessions}. What was not
    finished has been undone. Let them end, or end one with
    SELECT pg_terminate_backend(pid), and run it again; MIGRATION_LOCK_WAIT_S sets how
    long it waits.
    """

    exit_code = 35


class DataLossError(PreflightError):
    """Rows would be lost: {rows}. Leave out --no-archive, so that they are kept for the
    way forward, or say that they may be lost: --accept-data-loss.
    """

    exit_code = 37


# --- In the code ------------------------------------------------------------------


class BranchesError(PreflightError):
    """Branches have each added a migration to the same app: {branches}. Nothing was
    changed. Run manage.py makemigrations --merge in a checkout, look at the file that
    it writes and commit it.
    """

    exit_code = 38


class RevisionsError(PreflightError):
    """The migrations contradict each other about the documented revisions: {reason}.
    Nothing was changed. The code is at fault, not the database: correct revision and
    revises in the migrations, or run a version whose tests have passed.
    """

    exit_code = 48


# --- SQLite -----------------------------------------------------------------------


class NoFolderError(PreflightError):
    """Cannot use {database}: its folder does not exist. Make the folder, or correct the
    path in DATABASE_URL.
    """

    exit_code = 40


class NotADatabaseError(PreflightError):
    """Cannot use {database}: {reason}. Correct the path in DATABASE_URL, or restore the
    file from a backup.
    """

    exit_code = 41


class NotWritableError(PreflightError):
    """Cannot write to {database}: {reason}. Nothing was changed. Give the user who runs
    this program the right to write to the file and to its folder.
    """

    exit_code = 42


class LockedError(PreflightError):
    """Cannot write to {database}: another program has locked it. Stop what writes to
    the file, a shell or a backup perhaps, and run migrate again.
    """

    exit_code = 43


# --- From the driver's errors -----------------------------------------------------

# The driver passes on the server's words and no code where there is no session yet.
_REFUSALS: list[tuple[str, type[PreflightError]]] = [
    (r"FATAL: (database .* does not exist|no such database)", NoDatabaseError),
    (r"not currently accepting connections", ClosedDatabaseError),
    (r"too many (clients|connections)|connection slots", TooManyConnectionsError),
    (r"database system is|not yet accepting connections", StartingError),
    (r"permission denied for database", NoConnectPrivilegeError),
    (
        r"password|authentication|pg_hba\.conf|not permitted to log in|no such user"
        r"|role .* does not exist",
        LoginError,
    ),
    (r"connect failed", UnreachableError),  # PgBouncer, of the server behind it
    (r"FATAL|SSL was required|certificate", RefusedError),
]


def connection_fault(
    connection: BaseDatabaseWrapper, error: DatabaseError
) -> PreflightError:
    """Return the fault for which there is no connection."""
    if fault := run_fault(connection, error):
        return fault
    found = {"database": describe(connection), "reason": reason(error)}
    if isinstance(error, NotSupportedError):  # Django's own bound, lower than ours
        expected, _, version = str(error).partition(" or later is required (found ")
        return ServerTooOldError(expected=expected, found=version.rstrip(")."))
    if not isinstance(error, OperationalError):
        return RefusedError(**found)
    for pattern, fault_class in _REFUSALS:
        if re.search(pattern, found["reason"]):
            return fault_class(**found)
    # Not the server's words: nobody has answered.
    unanswered = connection.vendor == "postgresql"
    return (UnreachableError if unanswered else RefusedError)(**found)


def run_fault(
    connection: BaseDatabaseWrapper, error: DatabaseError
) -> PreflightError | None:
    """Return the fault that an error of a statement tells of, if it is one."""
    if isinstance(error.__context__, DatabaseError):
        error = error.__context__  # the recorder's error hides the one that it is about
    cause = error.__cause__
    found = {"database": describe(connection), "reason": reason(error)}
    if isinstance(cause, sqlite3.Error):
        return _sqlite_fault(connection, cause, found)
    match getattr(cause, "sqlstate", None):
        case "53100":
            return DiskFullError(**found)
        case "53300":
            return TooManyConnectionsError(**found)
    return None


def _sqlite_fault(
    connection: BaseDatabaseWrapper, error: sqlite3.Error, found: dict[str, str]
) -> PreflightError | None:
    # The low byte is the kind of the error.
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return NotADatabaseError(**found)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockedError(**found)
        case sqlite3.SQLITE_FULL:
            return DiskFullError(**found)
        case sqlite3.SQLITE_READONLY:
            return NotWritableError(**found)
        case sqlite3.SQLITE_CANTOPEN:
            path = Path(connection.settings_dict["NAME"])
            if not path.parent.is_dir():
                return NoFolderError(**found)
            return (NotADatabaseError if path.is_dir() else NotWritableError)(**found)
    return None


def describe(connection: BaseDatabaseWrapper) -> str:
    """Return which database a connection is for, without its password."""
    if connection.vendor == "sqlite":
        return f"the SQLite database {connection.settings_dict['NAME']}"
    parameters = connection.get_connection_params()
    return (
        f"database {parameters.get('dbname')} on {parameters.get('host', 'localhost')} "
        f"port {parameters.get('port', 5432)} as user {parameters.get('user')}"
    )


def reason(error: DatabaseError) -> str:
    """Return one line: the driver repeats the address and adds hints in more lines."""
    first_line = str(error).partition("\n")[0]
    return " ".join(first_line.rpartition(" failed: ")[2].split())
