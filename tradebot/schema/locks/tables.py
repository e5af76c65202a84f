"""What the lock of a statement depends on and its text does not say.

An index is dropped by its own name, a foreign key too, and whether a column is written
anew for a new type depends on the old one. Only what ``predict`` asks for
is here; whether the catalogue is the right one is no question of this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from tradebot.schema.locks.effect import Effect, LockMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """A constraint of a table, its kind as in ``pg_constraint.contype``."""

    table: str
    kind: str
    columns: frozenset[str]
    valid: bool = True
    to_table: str = ""
    to_columns: frozenset[str] = frozenset()
    on_delete: str = "a"
    on_update: str = "a"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: its columns' types as ``format_type`` spells them, and what hangs on."""

    columns: Mapping[str, str] = field(default_factory=dict)
    never_null: frozenset[str] = frozenset()
    """NOT NULL, or proven to be so by a valid CHECK: SET NOT NULL reads no row."""
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    indexes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    triggers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of a database; without any, nothing is known about it."""

    name: str = "public"
    """The schema of names without one; the names of others have theirs in front."""
    utc: bool = True
    """Whether the time zone of the session is UTC."""
    tables: Mapping[str, Table] = field(default_factory=dict)
    sequences: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Per sequence the tables with a default that takes its numbers."""
    functions: frozenset[str] = frozenset()
    """Those that could do anything: volatile and not of an extension."""

    def table_of(self, index: str) -> str | None:
        """Return the table of an index; None where there is no such index."""
        return next(
            (t for t, each in self.tables.items() if index in each.indexes), None
        )

    def foreign_keys_of(self, table: str) -> list[Constraint]:
        """Return the foreign keys by which the table refers to others."""
        constraints = self.tables.get(table, Table()).constraints.values()
        return [key for key in constraints if key.kind == "f"]

    def foreign_keys_to(self, table: str) -> list[Constraint]:
        """Return the foreign keys by which others, or itself, refer to the table."""
        return [
            key
            for other in self.tables
            for key in self.foreign_keys_of(other)
            if key.to_table == table
        ]

    def across(
        self, table: str, columns: frozenset[str] | None, mode: LockMode
    ) -> Effect:
        """Return the lock on the other ends of the foreign keys on these columns.

        On all of the table's where ``columns`` is None.
        """
        ends = [
            key.to_table
            for key in self.foreign_keys_of(table)
            if columns is None or key.columns & columns
        ]
        ends += [
            key.table
            for key in self.foreign_keys_to(table)
            if columns is None or key.to_columns & columns
        ]
        return Effect(locks=dict.fromkeys(ends, mode))


# Names are as a statement may write them: with the schema only where it is another.
# PostgreSQL 18 lists NOT NULL as constraints, also such as are not yet valid.
_QUERY = """
WITH named AS (
    SELECT c.oid, c.relkind, CASE WHEN n.nspname = current_schema() THEN c.relname
                             ELSE n.nspname || '.' || c.relname END AS name
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT current_schema(),
       upper(current_setting('TimeZone')) IN ('UTC', 'ETC/UTC', 'GMT', 'ETC/GMT'),
       (SELECT coalesce(json_object_agg(s.name, ARRAY(
            SELECT DISTINCT t.name FROM pg_depend d
            JOIN pg_attrdef x ON x.oid = d.objid JOIN named t ON t.oid = x.adrelid
            WHERE d.classid = 'pg_attrdef'::regclass
              AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid)), '{}')
        FROM named s WHERE s.relkind = 'S'),
       ARRAY(SELECT CASE WHEN n.nspname = current_schema() THEN p.proname::text
                    ELSE n.nspname || '.' || p.proname END
             FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
             WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
               AND p.provolatile = 'v'
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.deptype = 'e'
                               AND d.classid = 'pg_proc'::regclass
                               AND d.objid = p.oid)),
       (SELECT coalesce(json_object_agg(t.name, json_build_object(
            'columns', (
                SELECT coalesce(json_object_agg(attname,
                                format_type(atttypid, atttypmod)), '{}')
                FROM pg_attribute
                WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped),
            'never_null', ARRAY(
                SELECT a.attname FROM pg_attribute a
                WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                  AND (a.attnotnull AND NOT EXISTS (
                           SELECT FROM pg_constraint k
                           WHERE k.conrelid = t.oid AND k.contype = 'n'
                             AND k.conkey = ARRAY[a.attnum] AND NOT k.convalidated)
                       OR EXISTS (
                           SELECT FROM pg_constraint k
                           WHERE k.conrelid = t.oid AND k.contype = 'c'
                             AND k.convalidated AND pg_get_expr(k.conbin, t.oid)
                                 = format('(%I IS NOT NULL)', a.attname)))),
            'constraints', (
                SELECT coalesce(json_object_agg(k.conname, json_build_object(
                    'kind', k.contype, 'valid', k.convalidated,
                    'to_table', coalesce(r.name, ''),
                    'on_delete', k.confdeltype, 'on_update', k.confupdtype,
                    'columns', ARRAY(SELECT attname FROM pg_attribute
                        WHERE attrelid = t.oid AND attnum = ANY (k.conkey)),
                    'to_columns', ARRAY(SELECT attname FROM pg_attribute
                        WHERE attrelid = r.oid AND attnum = ANY (k.confkey)))), '{}')
                FROM pg_constraint k LEFT JOIN named r ON r.oid = k.confrelid
                WHERE k.conrelid = t.oid),
            'indexes', (
                SELECT coalesce(json_object_agg(i.name, ARRAY(
                    SELECT a.attname FROM pg_attribute a
                    WHERE a.attrelid = t.oid AND a.attnum > 0
                      AND (a.attnum = ANY (x.indkey::int2[]) OR EXISTS (
                          SELECT FROM pg_depend d
                          WHERE d.classid = 'pg_class'::regclass AND d.objid = i.oid
                            AND d.refobjid = t.oid AND d.refobjsubid = a.attnum)))),
                    '{}')
                FROM pg_index x JOIN named i ON i.oid = x.indexrelid
                WHERE x.indrelid = t.oid),
            'triggers', ARRAY(
                SELECT tgname FROM pg_trigger
                WHERE tgrelid = t.oid AND NOT tgisinternal))), '{}')
        FROM named t WHERE t.relkind IN ('r', 'p'))
"""


def read_schema(connection: BaseDatabaseWrapper) -> Schema:
    """Read what the database has now, for predictions about it (PostgreSQL)."""
    with connection.cursor() as cursor:
        cursor.execute(_QUERY)
        name, utc, sequences, functions, tables = cursor.fetchone()
    return Schema(
        name=name,
        utc=utc,
        sequences={key: frozenset(used) for key, used in sequences.items()},
        functions=frozenset(functions),
        tables={table: _table(table, **parts) for table, parts in tables.items()},
    )


def _table(
    table: str,
    *,
    columns: dict[str, str],
    never_null: list[str],
    constraints: dict[str, dict[str, Any]],
    indexes: dict[str, list[str]],
    triggers: list[str],
) -> Table:
    return Table(
        columns=columns,
        never_null=frozenset(never_null),
        constraints={
            name: Constraint(
                table=table,
                kind=each["kind"],
                columns=frozenset(each["columns"]),
                valid=each["valid"],
                to_table=each["to_table"],
                to_columns=frozenset(each["to_columns"]),
                on_delete=each["on_delete"],
                on_update=each["on_update"],
            )
            for name, each in constraints.items()
        },
        indexes={name: frozenset(each) for name, each in indexes.items()},
        triggers=frozenset(triggers),
    )
