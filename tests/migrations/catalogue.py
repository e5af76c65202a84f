"""Read a PostgreSQL catalogue in the shape of ``documented_schema.json``."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

_COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
           NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    ORDER BY c.relname, a.attnum
"""
_INDEXES = """
    SELECT t.relname, i.relname, x.indisunique, pg_get_indexdef(i.oid),
           ARRAY(SELECT pg_get_indexdef(i.oid, n, true)
                 FROM generate_series(1, x.indnatts) n)
    FROM pg_index x
    JOIN pg_class t ON t.oid = x.indrelid
    JOIN pg_class i ON i.oid = x.indexrelid
    WHERE t.relnamespace = 'public'::regnamespace AND x.indisvalid
      AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid
                      AND contype IN ('p', 'u', 'x'))
    ORDER BY t.relname, i.relname
"""
_CONSTRAINTS = """
    SELECT t.relname, k.conname, k.contype, pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
    WHERE t.relnamespace = 'public'::regnamespace AND k.contype <> 'n'
    ORDER BY t.relname, k.contype <> 'f', k.contype <> 'p', k.conname
"""
_SEQUENCES = """
    SELECT s.relname, t.relname, a.attname, format_type(q.seqtypid, NULL)
    FROM pg_class s
    JOIN pg_sequence q ON q.seqrelid = s.oid
    JOIN pg_depend d ON d.objid = s.oid AND d.deptype IN ('a', 'i')
    JOIN pg_class t ON t.oid = d.refobjid
    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
    WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace
    ORDER BY s.relname
"""
_KINDS = {
    "c": "check",
    "f": "foreign key",
    "p": "primary key",
    "u": "unique",
    "x": "exclude",
}


def read_catalogue(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return all tables: columns in physical order, indexes, constraints."""
    tables: dict[str, Any] = {}
    with connection.cursor() as cursor:
        cursor.execute(_COLUMNS)
        for table, name, type_, null, default in cursor.fetchall():
            columns = tables.setdefault(
                table, {"columns": [], "indexes": [], "constraints": []}
            )["columns"]
            columns.append(
                {"name": name, "type": type_, "null": null, "default": default}
            )
        cursor.execute(_INDEXES)
        for table, name, unique, _definition, columns in cursor.fetchall():
            tables[table]["indexes"].append(
                {"name": name, "unique": unique, "columns": columns}
            )
        cursor.execute(_CONSTRAINTS)
        for table, name, kind, definition in cursor.fetchall():
            tables[table]["constraints"].append(
                {"name": name, "kind": _KINDS[kind], "definition": definition}
            )
    return tables


def read_definitions(connection: BaseDatabaseWrapper) -> list[tuple[Any, ...]]:
    """Return what ``read_catalogue`` leaves out: index definitions and sequences."""
    with connection.cursor() as cursor:
        cursor.execute(_INDEXES)
        indexes = [(table, definition) for table, _, _, definition, _ in cursor]
        cursor.execute(_SEQUENCES)
        return [*indexes, *cursor.fetchall()]
