"""The first statement of a script for psql: is this the database it was made for?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tradebot.schema.lock import CLIENT_CHECK, KEY
from tradebot.schema.preflight import MINIMUM_VERSION, UTC, ZONES_QUERY
from tradebot.schema.psql import dollar_quoted, literal
from tradebot.schema.rules import DataRule

_GUARD = """\
DECLARE
    -- Applied before this script, and by it, in its order.
    before CONSTANT text[] := {before};
    own CONSTANT text[] := {own};
    -- After so many of its own it may have been stopped.
    stops CONSTANT int[] := {stops};
    -- Whether these are recorded says nothing: each stands for others.
    squashed CONSTANT text[] := {squashed};
    apps CONSTANT text[] := {apps};
    tables CONSTANT text[] := {tables};
    times CONSTANT text[] := {times};
    applied text[] := ARRAY[]::text[];
    stop int;
    found text[];
    rule record;
    row_count bigint;
BEGIN
    IF current_setting('server_version_num')::int < {version} THEN
        RAISE EXCEPTION 'The database server is too old: found %, expected {server} or '
            'newer.', current_setting('server_version')
        USING HINT = 'Upgrade the server with pg_upgrade, or dump and restore.';
    END IF;
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'The encoding of the database is %, expected UTF8.',
            getdatabaseencoding()
        USING HINT = 'Make a database with ENCODING ''UTF8'' TEMPLATE template0 and '
            'restore a dump into it.';
    END IF;
    IF current_setting('transaction_read_only')::bool THEN
        RAISE EXCEPTION 'This session can only read: the server is a standby, or '
            'default_transaction_read_only is on.'
        USING HINT = 'Run it on the primary server, or set that to off.';
    END IF;
    IF now() <> statement_timestamp() THEN
        RAISE EXCEPTION 'This script cannot run inside a transaction.'
        USING HINT = 'It has transactions of its own: run psql without -1.';
    END IF;

    BEGIN
        PERFORM set_config('client_connection_check_interval', '{client_check}', false);
    EXCEPTION WHEN OTHERS THEN
        NULL; -- not on the server's platform
    END;
    IF NOT pg_try_advisory_lock({lock}) THEN
        RAISE EXCEPTION 'Another migration run holds the lock: %.', coalesce((
            SELECT string_agg(format('pid %s, user %s, %s', pid, usename,
                                     application_name), '; ')
            FROM pg_locks JOIN pg_stat_activity USING (pid)
            WHERE locktype = 'advisory' AND granted AND objsubid = 2
              AND (classid, objid) = ({lock}) AND database = (
                SELECT oid FROM pg_database WHERE datname = current_database())
        ), 'it has just ended')
        USING HINT = 'Wait until it has ended, then run this script again.';
    END IF;

    IF to_regclass('django_migrations') IS NOT NULL THEN
        applied := ARRAY(
            SELECT DISTINCT app || '.' || name FROM django_migrations
            WHERE app = ANY (apps) AND app || '.' || name <> ALL (squashed)
            ORDER BY 1);
    END IF;
    IF applied = ARRAY[]::text[] AND to_regclass('alembic_version') IS NOT NULL THEN
        RAISE EXCEPTION 'This database belongs to the program before this one: it has '
            'the table alembic_version, and no migration is recorded.'
        USING HINT = 'Take it over with manage.py adopt first.';
    END IF;
    SELECT each INTO stop FROM unnest(stops) AS each
    WHERE applied @> (before || own[:each]) AND applied <@ (before || own[:each]);
    IF stop IS NULL THEN
        RAISE EXCEPTION 'The database is in another state than this script is for: it '
            'expects %, and leads to %.', {start}, {end}
        USING
            DETAIL = concat_ws(' ',
                'Applied: ' || coalesce(nullif(array_to_string(ARRAY(
                    SELECT max(each) FROM unnest(applied) AS each
                    GROUP BY split_part(each, '.', 1) ORDER BY 1), ', '), '')
                    || ', and what comes before.', 'nothing.'),
                'Not applied and expected: ' || nullif(array_to_string(ARRAY(
                    SELECT each FROM unnest(before) AS each
                    WHERE each <> ALL (applied)), ', '), '') || '.',
                'Applied and not expected: ' || nullif(array_to_string(ARRAY(
                    SELECT each FROM unnest(applied) AS each
                    WHERE each <> ALL (before)), ', '), '') || '.'),
            HINT = 'Make a script from the state that this database is in: '
                'manage.py schema_script --from STATE.';
    END IF;
    found := ARRAY(SELECT relname FROM pg_class
                   WHERE relname = ANY (tables) AND relkind IN ('r', 'p', 'v', 'm', 'f')
                     AND pg_table_is_visible(oid) ORDER BY 1);
    IF applied = ARRAY[]::text[] AND found <> ARRAY[]::text[] THEN
        RAISE EXCEPTION 'No migration is recorded, but tables that migrations make are '
            'there: %.', array_to_string(found, ', ')
        USING HINT = 'Use an empty database, or restore django_migrations.';
    END IF;

    -- What a reverse dropped is given back by migrate alone.
    IF to_regclass('tradebot_archives') IS NOT NULL THEN
        EXECUTE 'SELECT array_agg(DISTINCT table_name ORDER BY table_name) '
            'FROM tradebot_archives WHERE waiting AND backwards '
            'AND app || ''.'' || name = ANY ($1)' INTO found USING own;
        IF found IS NOT NULL THEN
            RAISE EXCEPTION 'Rows that were kept on a way back wait for migrations of '
                'this script: of %.', array_to_string(found, ', ')
            USING HINT = 'Use manage.py migrate, which gives them back.';
        END IF;
    END IF;

    found := ARRAY[]::text[];
    FOR rule IN
        SELECT relname AS table_name, attname AS column_name
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
        WHERE atttypid = 'timestamp'::regtype AND relkind = 'r'
          AND pg_table_is_visible(c.oid)
          AND relname || '.' || attname = ANY (times)
        ORDER BY 1, 2
    LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %I LIMIT 1) AS one',
                       rule.table_name) INTO row_count;
        IF row_count > 0 THEN
            found := found || (rule.table_name || '.' || rule.column_name);
        END IF;
    END LOOP;
    IF found <> ARRAY[]::text[] THEN
        FOR rule IN
            SELECT * FROM ({zones}) AS zones(place, zone) WHERE zone <> ALL ({utc})
            UNION ALL
            SELECT 'this client by PGTZ', setting FROM pg_settings
            WHERE name = 'TimeZone' AND source = 'client'
        LOOP
            RAISE EXCEPTION 'In which time zone were the times without a zone written '
                '(%)? The time zone set for % is %, UTC was expected.',
                array_to_string(found, ', '), rule.place, rule.zone
            USING HINT = 'Set NAIVE_TIMES_ZONE and make the script anew. Where PGTZ is '
                'set, unset it.';
        END LOOP;
    END IF;

    found := ARRAY[]::text[];
    FOR rule IN SELECT * FROM ({rules})
        AS rules(name, position, table_name, columns, setup, broken, problem)
    LOOP
        CONTINUE WHEN rule.position <= stop OR cardinality(rule.columns) <> (
            SELECT count(*) FROM pg_attribute
            WHERE attrelid = to_regclass(quote_ident(rule.table_name))
              AND attname = ANY (rule.columns) AND NOT attisdropped);
        EXECUTE rule.setup;
        EXECUTE 'SELECT count(*) FROM ' || quote_ident(rule.table_name)
            || ' WHERE ' || rule.broken INTO row_count;
        IF row_count > 0 THEN
            found := found || format('%s of %s: %s (%s)', row_count, rule.table_name,
                                     rule.problem, rule.name);
        END IF;
    END LOOP;
    IF found <> ARRAY[]::text[] THEN
        RAISE EXCEPTION 'Rows are in the way of the migrations of this script.'
        USING DETAIL = array_to_string(found, E'\\n'),
              HINT = 'manage.py check_data lists and repairs them.';
    END IF;
END"""


def guard(
    *,
    names: tuple[str, str],
    before: Iterable[str],
    own: Sequence[Sequence[str]],
    squashed: Iterable[str],
    apps: Iterable[str],
    tables: Iterable[str],
    times: Iterable[str],
    rules: Iterable[tuple[int, DataRule]],
) -> str:
    """Return the statement that refuses a wrong database and takes the migration lock.

    ``names`` are those of the state it is to be in and of the one that the script leads
    to. ``own`` has for each migration of the script what is recorded with it; ``times``
    are the columns that get a time zone; a rule comes with how many of ``own`` are
    applied before it no longer counts.
    """
    stops = [sum(map(len, own[:count])) for count in range(len(own) + 1)]
    start, end = names
    minimum, server = MINIMUM_VERSION
    body = _GUARD.format(
        start=literal(start),
        end=literal(end),
        before=_array(before),
        own=_array(name for names in own for name in names),
        stops=f"ARRAY{stops}",
        squashed=_array(squashed),
        apps=_array(apps),
        tables=_array(tables),
        times=_array(times),
        version=minimum,
        server=server,
        lock=f"{KEY[0]}, {KEY[1]}",
        client_check=CLIENT_CHECK,
        zones=ZONES_QUERY,
        utc=_array(sorted(UTC)),
        rules=_rules([(stops[count], rule) for count, rule in rules]),
    )
    return f"DO {dollar_quoted(body)}"


def _rules(rules: Iterable[tuple[int, DataRule]]) -> str:
    rows = [
        f"({literal(rule.name)}, {position}, {literal(rule.table)}, "
        f"{_array(sorted({rule.key, *rule.show}))}, {literal(rule.setup or 'SELECT')}, "
        f"{literal(rule.where)}, {literal(rule.problem)})"
        for position, rule in rules
        if rule.only in (None, "postgresql")
    ]
    if not rows:
        return "SELECT NULL, 0, NULL, ARRAY[]::text[], NULL, NULL, NULL WHERE false"
    return "VALUES\n        " + ",\n        ".join(rows)


def _array(values: Iterable[str]) -> str:
    literals = [*map(literal, values)]
    separator = ",\n        " if len(literals) > 3 else ", "
    return f"ARRAY[{separator.join(literals)}]::text[]"
