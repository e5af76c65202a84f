"""What a migration would lose is kept in tables of the system, for the way back.

They are made where they are needed and have names that begin with
``tradebot_archive_``.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.backends.base.base import BaseDatabaseWrapper

PREFIX = "tradebot_archive_"
_NULLS = f"{PREFIX}nulls"

# A row for each NULL that a migration filled; ``filled`` is what it put there, as text.
NULLS_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {_NULLS} (table_name varchar NOT NULL, "
    "column_name varchar NOT NULL, key integer NOT NULL, filled text NOT NULL, "
    "PRIMARY KEY (table_name, column_name, key))"
)


def json_archive(table: str) -> str:
    """Return the name of the archive of the texts of a table's JSON."""
    return f"{PREFIX}{table}_json"


class NULLS:
    """SQL for the archive of filled NULLs."""

    @staticmethod
    def fill_batch(table: str, key: str, column: str, value: str) -> str:
        """Return the statement that fills ``{rows}`` and archives their keys."""
        return (
            f'WITH filled AS (UPDATE "{table}" SET "{column}" = {value} '
            f'WHERE {{rows}} RETURNING "{key}" AS key, "{column}"::text AS value) '
            f"INSERT INTO {_NULLS} SELECT '{table}', '{column}', key, value "
            "FROM filled ON CONFLICT DO NOTHING"
        )

    @staticmethod
    def fill(table: str, key: str, column: str, value: str) -> tuple[str, str]:
        """Return the statements that fill all rows, for SQLite."""
        return (
            f"INSERT OR IGNORE INTO {_NULLS} SELECT '{table}', '{column}', "
            f'"{key}", CAST({value} AS text) FROM "{table}" WHERE "{column}" IS NULL',
            f'UPDATE "{table}" SET "{column}" = (SELECT filled FROM {_NULLS} '
            f"WHERE table_name = '{table}' AND column_name = '{column}' "
            f'AND key = "{table}"."{key}") WHERE "{column}" IS NULL',
        )

    @staticmethod
    def restorable(table: str, key: str, column: str) -> str:
        """Return the condition of the rows that still have what filled them."""
        return (
            f"EXISTS (SELECT 1 FROM {_NULLS} a WHERE a.table_name = '{table}' "
            f'AND a.column_name = \'{column}\' AND a.key = "{table}"."{key}" '
            f'AND a.filled = CAST("{table}"."{column}" AS text))'
        )

    @staticmethod
    def forget(table: str, column: str) -> str:
        return (
            f"DELETE FROM {_NULLS} "
            f"WHERE table_name = '{table}' AND column_name = '{column}'"
        )


_REPAIRS = f"{PREFIX}repairs"

# A row for each row that a repair replaced or deleted, as JSON.
REPAIRS_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {_REPAIRS} (rule varchar NOT NULL, "
    "table_name varchar NOT NULL, key integer NOT NULL, was text NOT NULL, "
    "at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP)"
)


class REPAIRS:
    """SQL for the archive of repaired rows."""

    @staticmethod
    def keep(vendor: str, table: str, key: str, columns: list[str], where: str) -> str:
        """Return the statement that archives rows; its parameter is the rule."""
        if vendor == "postgresql":
            row = f'row_to_json("{table}")::text'
        else:
            pairs = ", ".join(f"'{column}', \"{column}\"" for column in columns)
            row = f"json_object({pairs})"
        return (
            f"INSERT INTO {_REPAIRS} (rule, table_name, key, was) "
            f'SELECT %s, \'{table}\', "{key}", {row} FROM "{table}" WHERE {where}'
        )


# --- The list of them -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptValues:
    """An archive of values that a migration or a repair replaced."""

    archive: str
    """The name of its table."""
    rows: int
    bytes: int | None
    """None on SQLite."""
    holds: str
    until: str
    without: str
    """What does not come back once it is deleted."""

    def __str__(self) -> str:
        return f"{self.archive}: {self.holds}, {self.rows:,} rows"


def kept_values(connection: BaseDatabaseWrapper) -> list[KeptValues]:
    """Return the archives of this module that have rows, by name."""
    with connection.cursor() as cursor:
        names = sorted(
            name
            for name in connection.introspection.table_names(cursor)
            if name in (_NULLS, _REPAIRS) or json_table(name)
        )
    return [found for name in names if (found := _kept_values(connection, name)).rows]


def empty(connection: BaseDatabaseWrapper, archive: str) -> None:
    """Delete all rows of an archive; the table stays, for what reads it."""
    name = connection.ops.quote_name(archive)
    truncate = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {name}" if truncate else f"DELETE FROM {name}")


def json_table(archive: str) -> str:
    """Return the table whose texts of JSON an archive has; empty if it has none."""
    name = archive.removeprefix(PREFIX).removesuffix("_json")
    return name if name and archive == json_archive(name) else ""


def _kept_values(connection: BaseDatabaseWrapper, archive: str) -> KeptValues:
    name, size = connection.ops.quote_name(archive), None
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {name}")
        (rows,) = cursor.fetchone()
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_total_relation_size(%s::regclass)", [name])
            (size,) = cursor.fetchone()
    if archive == _NULLS:
        holds, until, without = (
            "which rows had NULL where a migration filled it",
            "the migrations that filled them are reversed",
            "going back leaves the values that were filled in, where there was NULL",
        )
    elif archive == _REPAIRS:
        holds, until, without = (
            "rows as they were before check_data repaired or deleted them",
            "somebody deletes it: nothing reads it but people",
            "what those rows were is in no other place",
        )
    else:
        table = json_table(archive)
        holds, until, without = (
            f"the JSON of {table} as it was written, before it became jsonb",
            "the migration that made it jsonb is reversed",
            f"going back leaves the JSON of {table} as jsonb has it: other white space "
            "and order of keys, and of doubled keys the last one",
        )
    return KeptValues(
        archive=archive,
        rows=rows,
        bytes=size,
        holds=holds,
        until=until,
        without=without,
    )
