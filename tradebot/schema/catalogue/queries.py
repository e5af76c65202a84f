"""The questions to PostgreSQL's catalogue, version 15 and newer."""

from __future__ import annotations

_SCHEMA = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"


def _of_no_extension(catalogue: str, oid: str) -> str:
    return (
        "NOT EXISTS (SELECT FROM pg_depend e "
        f"WHERE e.classid = '{catalogue}'::regclass AND e.objid = {oid} "
        "AND e.deptype = 'e')"
    )


def _names(table: str, numbers: str) -> str:
    return (
        "ARRAY(SELECT n.attname::text "
        f"FROM unnest({numbers}) WITH ORDINALITY AS u(number, place) "
        f"JOIN pg_attribute n ON n.attrelid = {table} AND n.attnum = u.number "
        "ORDER BY u.place)"
    )


QUERIES = {
    "relations": f"""
        SELECT c.relname, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner),
               c.relrowsecurity, c.relforcerowsecurity,
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid, true) END,
               ARRAY(SELECT i.inhparent::regclass::text FROM pg_inherits i
                     WHERE i.inhrelid = c.oid ORDER BY i.inhseqno),
               CASE c.relkind WHEN 'p' THEN pg_get_partkeydef(c.oid) END,
               pg_get_expr(c.relpartbound, c.oid)
        FROM pg_class c
        WHERE c.relnamespace = {_SCHEMA} AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
          AND {_of_no_extension("pg_class", "c.oid")}
    """,
    "columns": f"""
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
               CASE WHEN a.attcollation <> t.typcollation THEN
                   (SELECT collname FROM pg_collation WHERE oid = a.attcollation) END,
               a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity,
               a.attgenerated
        FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = {_SCHEMA} AND c.relkind IN ('r', 'p', 'f')
          AND NOT a.attisdropped AND {_of_no_extension("pg_class", "c.oid")}
        ORDER BY c.relname, a.attnum
    """,
    # Without NOT NULL, which is a constraint since PostgreSQL 18 and in the columns.
    "constraints": f"""
        SELECT c.relname, k.conname, k.contype, pg_get_constraintdef(k.oid, true),
               k.condeferrable, k.condeferred, k.convalidated,
               coalesce((SELECT indisvalid AND indisready FROM pg_index
                         WHERE indexrelid = k.conindid), true),
               {_names("k.conrelid", "k.conkey")},
               CASE k.contype WHEN 'f' THEN k.confrelid::regclass::text END,
               {_names("k.confrelid", "k.confkey")},
               k.confdeltype, {_names("k.conrelid", "k.confdelsetcols")},
               k.confupdtype, k.confmatchtype,
               NOT EXISTS (SELECT FROM pg_trigger
                           WHERE tgconstraint = k.oid AND tgenabled = 'D')
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE c.relnamespace = {_SCHEMA} AND k.contype IN ('p', 'u', 'c', 'f', 'x')
          AND {_of_no_extension("pg_class", "c.oid")}
    """,
    "indexes": f"""
        SELECT t.relname, i.relname, pg_get_indexdef(i.oid, 0, true), x.indisunique,
               m.amname, pg_get_expr(x.indpred, x.indrelid, true),
               x.indisvalid AND x.indisready,
               EXISTS (SELECT FROM pg_stat_progress_create_index p
                       WHERE p.index_relid = i.oid)
        FROM pg_index x
        JOIN pg_class i ON i.oid = x.indexrelid
        JOIN pg_class t ON t.oid = x.indrelid
        JOIN pg_am m ON m.oid = i.relam
        WHERE t.relnamespace = {_SCHEMA}
          AND {_of_no_extension("pg_class", "t.oid")}
          AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid
                          AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x'))
    """,
    "sequences": f"""
        SELECT s.relname, format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement,
               q.seqmin, q.seqmax, q.seqcache, q.seqcycle, s.relpersistence,
               t.relname, a.attname, coalesce(d.deptype = 'i', false)
        FROM pg_class s
        JOIN pg_sequence q ON q.seqrelid = s.oid
        LEFT JOIN pg_depend d
               ON d.classid = 'pg_class'::regclass AND d.objid = s.oid
              AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        LEFT JOIN pg_class t ON t.oid = d.refobjid
        LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        WHERE s.relnamespace = {_SCHEMA} AND {_of_no_extension("pg_class", "s.oid")}
    """,
    "triggers": f"""
        SELECT c.relname, g.tgname, pg_get_triggerdef(g.oid, true), g.tgenabled
        FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        WHERE c.relnamespace = {_SCHEMA} AND NOT g.tgisinternal
          AND {_of_no_extension("pg_class", "c.oid")}
    """,
    "functions": f"""
        SELECT quote_ident(p.proname)
               || '(' || pg_get_function_identity_arguments(p.oid) || ')',
               p.prokind, quote_ident(current_schema()),
               CASE WHEN p.prokind = 'a' THEN pg_get_function_result(p.oid)
                    ELSE pg_get_functiondef(p.oid) END
        FROM pg_proc p
        WHERE p.pronamespace = {_SCHEMA} AND {_of_no_extension("pg_proc", "p.oid")}
    """,
    # Kind, table, name and definition. Types without the row types of tables and
    # without arrays.
    "others": f"""
        SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, '', t.typname,
               CASE t.typtype
               WHEN 'e' THEN 'ENUM (' || (
                   SELECT string_agg(quote_literal(enumlabel), ', '
                                     ORDER BY enumsortorder)
                   FROM pg_enum WHERE enumtypid = t.oid) || ')'
               WHEN 'd' THEN concat_ws(' ',
                   format_type(t.typbasetype, t.typtypmod),
                   'DEFAULT ' || t.typdefault,
                   CASE WHEN t.typnotnull THEN 'NOT NULL' END,
                   (SELECT string_agg('CONSTRAINT ' || quote_ident(conname) || ' '
                                      || pg_get_constraintdef(oid, true), ' '
                                      ORDER BY conname)
                    FROM pg_constraint WHERE contypid = t.oid AND contype = 'c'))
               WHEN 'c' THEN '(' || (
                   SELECT string_agg(quote_ident(attname) || ' '
                                     || format_type(atttypid, atttypmod), ', '
                                     ORDER BY attnum)
                   FROM pg_attribute WHERE attrelid = t.typrelid
                     AND attnum > 0 AND NOT attisdropped) || ')'
               WHEN 'r' THEN 'RANGE (subtype = ' || (
                   SELECT format_type(rngsubtype, NULL) FROM pg_range
                   WHERE rngtypid = t.oid) || ')'
               ELSE t.typtype::text END
        FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid
        WHERE t.typnamespace = {_SCHEMA} AND t.typtype IN ('b', 'c', 'd', 'e', 'r')
          AND coalesce(r.relkind, 'c') = 'c'
          AND NOT (t.typtype = 'b' AND t.typcategory = 'A')
          AND {_of_no_extension("pg_type", "t.oid")}
        UNION ALL
        SELECT 'rule', c.relname, r.rulename, pg_get_ruledef(r.oid, true)
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
        WHERE c.relnamespace = {_SCHEMA} AND r.rulename <> '_RETURN'
          AND {_of_no_extension("pg_class", "c.oid")}
        UNION ALL
        SELECT 'policy', c.relname, p.polname, concat_ws(' ',
                   CASE WHEN p.polpermissive THEN 'AS PERMISSIVE'
                        ELSE 'AS RESTRICTIVE' END,
                   'FOR ' || CASE p.polcmd WHEN '*' THEN 'ALL' WHEN 'r' THEN 'SELECT'
                             WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                             ELSE 'DELETE' END,
                   'TO ' || (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC'
                                               ELSE pg_get_userbyid(r)::text END, ', ')
                             FROM unnest(p.polroles) r),
                   'USING (' || pg_get_expr(p.polqual, p.polrelid, true) || ')',
                   'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid, true)
                   || ')')
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace = {_SCHEMA}
    """,
}
