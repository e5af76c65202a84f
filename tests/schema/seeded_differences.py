"""Differences to sow in a database, and by which key drift has to name each.

``SEEDS`` are sown in a database of the newest migrations, ``OTHER_SEEDS`` in one in
which ``OTHER_KINDS`` was run besides: kinds of objects that no migration makes yet.
Each SQL can be run in a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seed:
    """A difference, the key that names it, and what its message or repair says."""

    sql: str
    key: str
    words: str
    repaired: bool = True
    """Whether the repairs that are proposed are SQL that takes the difference back;
    else they say first what is at stake."""


SEEDS = [
    # --- Columns
    Seed(
        "ALTER TABLE bot_configs ALTER leverage TYPE bigint",
        "column bot_configs.leverage",
        "type is bigint, expected integer",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE bot_states ALTER id TYPE smallint",
        "column bot_states.id",
        "TYPE integer;",
    ),
    Seed(
        "ALTER TABLE trades ALTER price TYPE numeric(20,8)",
        "column trades.price",
        "type is numeric(20,8), expected numeric",
    ),
    Seed(
        "ALTER TABLE users ALTER reset_token TYPE varchar(255)",
        "column users.reset_token",
        "character varying(255)",
    ),
    Seed(
        "ALTER TABLE auth_group ALTER name TYPE varchar(80)",
        "column auth_group.name",
        "TYPE character varying(150)",
    ),
    Seed(
        "ALTER TABLE auth_group ALTER name TYPE text",
        "column auth_group.name",
        "Back up first",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades ALTER pnl TYPE double precision",
        "column trades.pnl",
        "type is double precision",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades ALTER timestamp DROP DEFAULT, "
        "ALTER timestamp TYPE timestamp USING timestamp AT TIME ZONE 'UTC', "
        "ALTER timestamp SET DEFAULT now()",
        "column trades.timestamp",
        "timestamp without time zone",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE backtests ALTER parameters TYPE json",
        "column backtests.parameters",
        "expected jsonb",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE users ALTER email DROP NOT NULL",
        "column users.email",
        "nullability is NULL, expected NOT NULL",
    ),
    Seed(
        "ALTER TABLE bot_configs ALTER leverage SET NOT NULL",
        "column bot_configs.leverage",
        "DROP NOT NULL",
    ),
    Seed(
        "ALTER TABLE users ALTER is_active SET DEFAULT false",
        "column users.is_active",
        "default is false, expected true",
    ),
    Seed(
        "ALTER TABLE bot_configs ALTER created_at DROP DEFAULT",
        "column bot_configs.created_at",
        "SET DEFAULT now()",
    ),
    Seed(
        "ALTER TABLE bot_configs ALTER leverage SET DEFAULT 10",
        "column bot_configs.leverage",
        "default is 10, expected none",
    ),
    Seed(
        "ALTER TABLE trades ALTER id SET GENERATED ALWAYS",
        "column trades.id",
        "identity is always, expected by default",
    ),
    Seed(
        "ALTER TABLE trades ALTER id DROP IDENTITY",
        "column trades.id",
        "identity is none, expected by default",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades ALTER id DROP IDENTITY; CREATE SEQUENCE trades_id_seq "
        "AS integer OWNED BY trades.id; "
        "ALTER TABLE trades ALTER id SET DEFAULT nextval('trades_id_seq')",
        "column trades.id",
        "default is nextval('trades_id_seq'::regclass), expected none",
        repaired=False,
    ),
    Seed(
        'ALTER TABLE users ALTER email TYPE varchar COLLATE "C"',
        "column users.email",
        "collation is C, expected none",
    ),
    Seed(
        "ALTER TABLE trades DROP COLUMN realized_pnl; ALTER TABLE trades "
        "ADD COLUMN realized_pnl numeric GENERATED ALWAYS AS (price * 2) STORED",
        "column trades.realized_pnl",
        "generated is ALWAYS AS ((price * (2)::numeric)) STORED, expected none",
    ),
    Seed(
        "ALTER TABLE bot_configs ADD COLUMN note text",
        "column bot_configs.note",
        "no migration makes it",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades DROP COLUMN commission_asset",
        "column trades.commission_asset",
        "is missing",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE trades RENAME COLUMN commission_asset TO fee_asset",
        "column trades.commission_asset",
        'RENAME COLUMN "fee_asset" TO "commission_asset"',
        repaired=False,
    ),
    Seed(
        "ALTER TABLE django_session DROP COLUMN session_data",
        "column django_session.session_data",
        "is missing",
        repaired=False,
    ),
    # --- Primary keys and unique constraints
    Seed(
        "ALTER TABLE paper_orders DROP CONSTRAINT paper_orders_pkey",
        "primary key paper_orders_pkey on paper_orders",
        "PRIMARY KEY USING INDEX",
    ),
    Seed(
        "ALTER TABLE paper_orders DROP CONSTRAINT paper_orders_pkey, "
        "ADD CONSTRAINT paper_orders_pkey PRIMARY KEY (id, symbol)",
        "primary key paper_orders_pkey on paper_orders",
        "PRIMARY KEY (id, symbol), expected PRIMARY KEY (id)",
    ),
    Seed(
        "ALTER TABLE trades RENAME CONSTRAINT trades_pkey TO trades_key",
        "primary key trades_pkey on trades",
        'RENAME CONSTRAINT "trades_key" TO "trades_pkey"',
    ),
    Seed(
        "ALTER TABLE django_session DROP CONSTRAINT django_session_pkey",
        "primary key django_session_pkey on django_session",
        "is missing",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_order_key",
        "unique trades_order_key on trades",
        "UNIQUE USING INDEX",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_order_key, ADD "
        "CONSTRAINT trades_order_key UNIQUE (binance_order_id, bot_config_id)",
        "unique trades_order_key on trades",
        "UNIQUE (binance_order_id, bot_config_id), expected "
        "UNIQUE (binance_order_id, bot_config_id, symbol)",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_order_key, ADD "
        "CONSTRAINT trades_order_key UNIQUE NULLS NOT DISTINCT "
        "(binance_order_id, bot_config_id, symbol)",
        "unique trades_order_key on trades",
        "NULLS NOT DISTINCT",
    ),
    Seed(
        "ALTER TABLE auth_group DROP CONSTRAINT auth_group_name_key, ADD CONSTRAINT "
        "auth_group_name_key UNIQUE (name) DEFERRABLE",
        "unique auth_group_name_key on auth_group",
        "deferrable is initially immediate, expected not deferrable",
    ),
    Seed(
        "ALTER TABLE users ADD CONSTRAINT one_token UNIQUE (reset_token)",
        "unique one_token on users",
        "DROP CONSTRAINT",
    ),
    # --- Indexes
    Seed(
        "DROP INDEX ix_users_email",
        "index ix_users_email on users",
        "CREATE UNIQUE INDEX CONCURRENTLY",
    ),
    Seed(
        "DROP INDEX trades_user_timestamp",
        "index trades_user_timestamp on trades",
        "CREATE INDEX CONCURRENTLY",
    ),
    Seed(
        "CREATE INDEX trades_symbol ON trades (symbol)",
        "index trades_symbol on trades",
        "DROP INDEX CONCURRENTLY",
    ),
    Seed(
        "ALTER INDEX users_reset_token RENAME TO ix_users_reset_token",
        "index users_reset_token on users",
        "name is ix_users_reset_token, expected users_reset_token",
    ),
    Seed(
        "DROP INDEX ix_users_email; CREATE INDEX ix_users_email ON users (email)",
        "index ix_users_email on users",
        "uniqueness is not unique, expected unique",
    ),
    Seed(
        "DROP INDEX trades_user_timestamp; "
        "CREATE INDEX trades_user_timestamp ON trades (user_id, timestamp DESC)",
        "index trades_user_timestamp on trades",
        "DESC",
    ),
    Seed(
        "DROP INDEX trades_user_timestamp; "
        "CREATE INDEX trades_user_timestamp ON trades (timestamp, user_id)",
        "index trades_user_timestamp on trades",
        'columns is ("timestamp", user_id)',
    ),
    Seed(
        "DROP INDEX bot_configs_api_key; "
        "CREATE INDEX bot_configs_api_key ON bot_configs (api_key_id NULLS FIRST)",
        "index bot_configs_api_key on bot_configs",
        "NULLS FIRST",
    ),
    Seed(
        "DROP INDEX users_reset_token; "
        "CREATE INDEX users_reset_token ON users (reset_token)",
        "index users_reset_token on users",
        "predicate is none, expected reset_token IS NOT NULL",
    ),
    Seed(
        "DROP INDEX users_reset_token; CREATE INDEX users_reset_token "
        "ON users (reset_token) WHERE reset_token <> ''",
        "index users_reset_token on users",
        "predicate is reset_token::text <> ''::text",
    ),
    Seed(
        "DROP INDEX ix_api_keys_user_id; "
        "CREATE INDEX ix_api_keys_user_id ON api_keys (id)",
        "index ix_api_keys_user_id on api_keys",
        "columns is (id), expected (user_id)",
    ),
    Seed(
        "DROP INDEX ix_api_keys_user_id; "
        "CREATE INDEX ix_api_keys_user_id ON api_keys USING hash (user_id)",
        "index ix_api_keys_user_id on api_keys",
        "method is hash, expected btree",
    ),
    Seed(
        "UPDATE pg_index SET indisvalid = false "
        "WHERE indexrelid = 'users_email_lower'::regclass",
        "index users_email_lower on users",
        'REINDEX INDEX CONCURRENTLY "users_email_lower"',
    ),
    Seed(
        "DROP INDEX ix_backtests_user_id; CREATE INDEX ix_backtests_user_id "
        "ON backtests (user_id) INCLUDE (symbol)",
        "index ix_backtests_user_id on backtests",
        "columns is (user_id) INCLUDE (symbol)",
    ),
    Seed(
        "DROP INDEX users_email_lower; "
        "CREATE UNIQUE INDEX users_email_lower ON users (upper(email))",
        "index users_email_lower on users",
        "upper(email::text)",
    ),
    Seed(
        "DROP INDEX auth_group_name_a6ea08ec_like; "
        "CREATE INDEX auth_group_name_a6ea08ec_like ON auth_group (name)",
        "index auth_group_name_a6ea08ec_like on auth_group",
        "expected (name varchar_pattern_ops)",
    ),
    Seed(
        "DROP INDEX django_session_expire_date_a5c62663",
        "index django_session_expire_date_a5c62663 on django_session",
        "is missing",
    ),
    # --- Foreign keys
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_user_id_d2767826_fk_users_id",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "NOT VALID; ",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_user_id_d2767826_fk_users_id, ADD "
        "CONSTRAINT trades_user_id_d2767826_fk_users_id FOREIGN KEY (user_id) "
        "REFERENCES bot_configs (id) DEFERRABLE INITIALLY DEFERRED",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "target is bot_configs(id), expected users(id)",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_user_id_d2767826_fk_users_id, ADD "
        "CONSTRAINT trades_user_id_d2767826_fk_users_id FOREIGN KEY (bot_config_id) "
        "REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "columns is bot_config_id, expected user_id",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_user_id_d2767826_fk_users_id, ADD "
        "CONSTRAINT trades_user_id_d2767826_fk_users_id FOREIGN KEY (user_id) "
        "REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "on delete is CASCADE, expected NO ACTION",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_user_id_d2767826_fk_users_id, ADD "
        "CONSTRAINT trades_user_id_d2767826_fk_users_id FOREIGN KEY (user_id) "
        "REFERENCES users (id) ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "on update is SET NULL, expected NO ACTION",
    ),
    Seed(
        "ALTER TABLE trades ALTER CONSTRAINT trades_user_id_d2767826_fk_users_id "
        "NOT DEFERRABLE",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "deferrable is not deferrable, expected initially deferred",
    ),
    Seed(
        "ALTER TABLE trades ALTER CONSTRAINT trades_user_id_d2767826_fk_users_id "
        "DEFERRABLE INITIALLY IMMEDIATE",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "deferrable is initially immediate",
    ),
    Seed(
        "ALTER TABLE trades DROP CONSTRAINT trades_user_id_d2767826_fk_users_id, ADD "
        "CONSTRAINT trades_user_id_d2767826_fk_users_id FOREIGN KEY (user_id) "
        "REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED NOT VALID",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "VALIDATE CONSTRAINT",
    ),
    Seed(
        "ALTER TABLE trades ADD CONSTRAINT trades_api_key FOREIGN KEY (user_id) "
        "REFERENCES api_keys (id)",
        "foreign key trades_api_key on trades",
        "DROP CONSTRAINT",
    ),
    Seed(
        "ALTER TABLE trades RENAME CONSTRAINT trades_user_id_d2767826_fk_users_id "
        "TO trades_user_id_fkey",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "name is trades_user_id_fkey",
    ),
    Seed(
        "ALTER TABLE trades DISABLE TRIGGER ALL",
        "foreign key trades_user_id_d2767826_fk_users_id on trades",
        "its triggers are disabled",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE users_groups "
        "DROP CONSTRAINT users_groups_group_id_2f3517aa_fk_auth_group_id",
        "foreign key users_groups_group_id_2f3517aa_fk_auth_group_id on users_groups",
        "is missing",
    ),
    # --- Checks
    Seed(
        "ALTER TABLE bot_configs DROP CONSTRAINT bot_configs_leverage",
        "check bot_configs_leverage on bot_configs",
        "VALIDATE CONSTRAINT",
    ),
    Seed(
        "ALTER TABLE bot_configs DROP CONSTRAINT bot_configs_leverage, ADD CONSTRAINT "
        "bot_configs_leverage CHECK (leverage >= 1 AND leverage <= 500)",
        "check bot_configs_leverage on bot_configs",
        "leverage <= 500), expected CHECK (leverage >= 1 AND leverage <= 125)",
    ),
    Seed(
        "ALTER TABLE bot_configs DROP CONSTRAINT bot_configs_leverage, ADD CONSTRAINT "
        "bot_configs_leverage CHECK (leverage >= 1 AND leverage <= 125) NOT VALID",
        "check bot_configs_leverage on bot_configs",
        "state is NOT VALID, expected valid",
    ),
    Seed(
        "ALTER TABLE trades ADD CONSTRAINT positive CHECK (price > 0)",
        "check positive on trades",
        "no migration makes it",
    ),
    Seed(
        "ALTER TABLE django_admin_log "
        "DROP CONSTRAINT django_admin_log_action_flag_check",
        "check django_admin_log_action_flag_check on django_admin_log",
        "is missing",
    ),
    # --- Sequences
    Seed(
        "ALTER SEQUENCE trades_id_seq INCREMENT 10",
        "sequence trades_id_seq",
        "increment is 10, expected 1",
    ),
    Seed(
        "ALTER SEQUENCE trades_id_seq CYCLE",
        "sequence trades_id_seq",
        "cycle is yes, expected no",
    ),
    Seed(
        "ALTER SEQUENCE trades_id_seq MAXVALUE 1000",
        "sequence trades_id_seq",
        "MAXVALUE 2147483647",
    ),
    Seed(
        "ALTER SEQUENCE users_id_seq START 100 MINVALUE 1",
        "sequence users_id_seq",
        "start is 100, expected 1",
    ),
    Seed(
        "ALTER SEQUENCE users_id_seq CACHE 50",
        "sequence users_id_seq",
        "cache is 50, expected 1",
    ),
    Seed(
        "ALTER SEQUENCE auth_group_id_seq AS bigint",
        "sequence auth_group_id_seq",
        "type is bigint, expected integer",
    ),
    Seed(
        "ALTER SEQUENCE bot_configs_id_seq RENAME TO bots_id_seq",
        "sequence bot_configs_id_seq",
        "name is bots_id_seq",
    ),
    Seed("CREATE SEQUENCE lots", "sequence lots", "Look who made it", repaired=False),
    # --- Tables and what hangs on them
    Seed(
        "DROP TABLE bot_states",
        "table bot_states",
        "Its rows are gone",
        repaired=False,
    ),
    Seed("DROP TABLE users_groups", "table users_groups", "is missing", repaired=False),
    Seed(
        "ALTER TABLE trades RENAME TO old_trades",
        "table trades",
        "missing",
        repaired=False,
    ),
    Seed(
        "CREATE TABLE notes (id serial PRIMARY KEY, text text UNIQUE)",
        "table notes",
        "no migration makes it",
        repaired=False,
    ),
    Seed(
        "ALTER TABLE bot_states SET UNLOGGED",
        "table bot_states",
        "persistence is unlogged, expected permanent",
    ),
    Seed(
        "ALTER TABLE bot_states OWNER TO pg_database_owner",
        "table bot_states",
        "owner is pg_database_owner",
    ),
    Seed(
        "ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY",
        "table api_keys",
        "row security is enabled, expected disabled",
    ),
    Seed(
        "CREATE POLICY own ON api_keys USING (user_id = 1)",
        "policy own on api_keys",
        "no migration makes it",
    ),
    Seed(
        "CREATE TABLE parent (note text); ALTER TABLE bot_states ADD note text; "
        "ALTER TABLE bot_states INHERIT parent",
        "table bot_states",
        "inherits is parent, expected none",
        repaired=False,
    ),
    Seed(
        "DROP TABLE django_session; CREATE TABLE django_session ("
        "session_key varchar(40) PRIMARY KEY, session_data text NOT NULL, "
        "expire_date timestamptz NOT NULL) PARTITION BY HASH (session_key)",
        "table django_session",
        "kind is partitioned table, expected table",
        repaired=False,
    ),
    Seed(
        "DROP TABLE django_session; CREATE VIEW django_session AS SELECT 1 AS one",
        "view django_session",
        "DROP VIEW",
        repaired=False,
    ),
    Seed(
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql "
        "AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER shout BEFORE INSERT ON trades "
        "FOR EACH ROW EXECUTE FUNCTION shout()",
        "trigger shout on trades",
        "DROP TRIGGER",
        repaired=False,
    ),
    Seed(
        "CREATE RULE swallow AS ON DELETE TO trades DO INSTEAD NOTHING",
        "rule swallow on trades",
        "DROP RULE",
    ),
    Seed(
        "ALTER TABLE tradebot_schema_events "
        "DISABLE TRIGGER tradebot_schema_events_append_only",
        "trigger tradebot_schema_events_append_only on tradebot_schema_events",
        "state is disabled, expected enabled",
    ),
    Seed(
        "DROP TRIGGER tradebot_schema_events_append_only ON tradebot_schema_events",
        "trigger tradebot_schema_events_append_only on tradebot_schema_events",
        "is missing",
    ),
    Seed(
        "CREATE OR REPLACE FUNCTION tradebot_schema_events_refuse() RETURNS trigger "
        "LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "function tradebot_schema_events_refuse()",
        "append-only",
    ),
    # --- Functions, views and types
    Seed(
        "CREATE FUNCTION twice(integer) RETURNS integer "
        "LANGUAGE sql AS 'SELECT 2 * $1'",
        "function twice(integer)",
        "DROP FUNCTION twice(integer)",
    ),
    Seed(
        "CREATE PROCEDURE clean() LANGUAGE sql AS 'DELETE FROM trades'",
        "procedure clean()",
        "DROP PROCEDURE",
    ),
    Seed(
        "CREATE VIEW profits AS SELECT id, pnl FROM trades",
        "view profits",
        "DROP VIEW",
    ),
    Seed(
        "CREATE MATERIALIZED VIEW profits AS SELECT id, pnl FROM trades",
        "materialized view profits",
        "DROP MATERIALIZED VIEW",
        repaired=False,
    ),
    Seed(
        "CREATE TYPE side AS ENUM ('BUY', 'SELL')",
        "type side",
        "DROP TYPE",
    ),
    Seed(
        "CREATE DOMAIN amount AS numeric CHECK (value > 0)",
        "domain amount",
        "DROP DOMAIN",
    ),
    Seed("CREATE DOMAIN sizes AS numeric[]", "domain sizes", "DROP DOMAIN"),
    Seed(
        'CREATE TABLE "Odd ""name" ("A b" integer)',
        'table Odd "name',
        'DROP TABLE "Odd ""name"',
        repaired=False,
    ),
]

OTHER_KINDS = """
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE DOMAIN share AS numeric DEFAULT 1 CHECK (value <= 1);
    CREATE TABLE lots (
        id serial PRIMARY KEY, "Size" numeric, half numeric
        GENERATED ALWAYS AS ("Size" / 2) STORED, during int4range,
        CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&)
    );
    CREATE SEQUENCE numbers;
    CREATE VIEW big AS SELECT id FROM lots WHERE "Size" > 10;
    CREATE MATERIALIZED VIEW small AS SELECT id FROM lots WHERE "Size" < 1;
    CREATE INDEX small_id ON small (id);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER stamp BEFORE UPDATE ON lots FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE POLICY mine ON lots FOR SELECT USING (id = 1);
    CREATE RULE keep AS ON DELETE TO lots DO INSTEAD NOTHING;
"""

OTHER_SEEDS = [
    Seed("ALTER TYPE mood ADD VALUE 'sad'", "type mood", "'sad'", repaired=False),
    Seed("DROP TYPE mood", "type mood", "CREATE TYPE"),
    Seed("ALTER DOMAIN share SET NOT NULL", "domain share", "NOT NULL", repaired=False),
    Seed("DROP DOMAIN share", "domain share", "CREATE DOMAIN"),
    Seed("DROP VIEW big", "view big", "CREATE VIEW"),
    Seed(
        'CREATE OR REPLACE VIEW big AS SELECT id FROM lots WHERE "Size" > 99',
        "view big",
        "99",
    ),
    Seed(
        "DROP MATERIALIZED VIEW small",
        "materialized view small",
        "CREATE MATERIALIZED VIEW",
        repaired=False,
    ),
    Seed("DROP INDEX small_id", "index small_id on small", "CREATE INDEX"),
    Seed(
        "DROP FUNCTION stamp() CASCADE",
        "function stamp()",
        "CREATE OR REPLACE FUNCTION stamp()",
    ),
    Seed(
        "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql "
        "SECURITY DEFINER AS $$ BEGIN RETURN NEW; END $$",
        "function stamp()",
        "SECURITY DEFINER",
    ),
    Seed("DROP TRIGGER stamp ON lots", "trigger stamp on lots", "CREATE TRIGGER"),
    Seed(
        "ALTER TABLE lots ENABLE ALWAYS TRIGGER stamp",
        "trigger stamp on lots",
        "state is always, expected enabled",
    ),
    Seed(
        "CREATE OR REPLACE TRIGGER stamp BEFORE INSERT OR UPDATE ON lots "
        "FOR EACH ROW EXECUTE FUNCTION stamp()",
        "trigger stamp on lots",
        "BEFORE INSERT OR UPDATE",
    ),
    Seed("DROP POLICY mine ON lots", "policy mine on lots", "CREATE POLICY"),
    Seed(
        "ALTER POLICY mine ON lots USING (true)", "policy mine on lots", "USING (true)"
    ),
    Seed("DROP RULE keep ON lots", "rule keep on lots", "CREATE RULE keep"),
    Seed("ALTER RULE keep ON lots RENAME TO hold", "rule keep on lots", "name is hold"),
    Seed(
        "ALTER TABLE lots DROP CONSTRAINT no_overlap",
        "exclusion no_overlap on lots",
        "EXCLUDE USING gist",
    ),
    Seed(
        "ALTER TABLE lots ALTER half DROP EXPRESSION",
        "column lots.half",
        'generated is none, expected ALWAYS AS (("Size"',
        repaired=False,
    ),
    Seed(
        "DROP SEQUENCE lots_id_seq CASCADE",
        "sequence lots_id_seq",
        'OWNED BY "lots"."id"',
    ),
    Seed(
        "ALTER SEQUENCE lots_id_seq OWNED BY NONE",
        "sequence lots_id_seq",
        "owned by is none, expected lots.id",
    ),
    Seed(
        "ALTER TABLE lots ALTER id SET DEFAULT 1",
        "column lots.id",
        "expected nextval('lots_id_seq'::regclass)",
    ),
    Seed(
        "ALTER TABLE lots ALTER id DROP DEFAULT; DROP SEQUENCE lots_id_seq; "
        "ALTER TABLE lots ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
        "sequence lots_id_seq",
        "owned by is identity of lots.id, expected lots.id",
        repaired=False,
    ),
    Seed("DROP SEQUENCE numbers", "sequence numbers", "is missing", repaired=False),
    Seed("DROP TABLE lots CASCADE", "table lots", "CREATE TABLE", repaired=False),
]
