"""What can stand in the way of ``migrate``, and how tests put it there."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import DatabaseError

from tests.migrations.chain import Walker
from tests.migrations.rows import fill
from tests.processes import SECRETS, database_url, free_port

SETTINGS = {**SECRETS, "DATABASE_WAIT_S": "0"}


def execute(database: BaseDatabaseWrapper, *statements: str) -> None:
    with database.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.format(name=database.settings_dict["NAME"]))


def migrate(database: BaseDatabaseWrapper, *target: str) -> None:
    call_command("migrate", *target, database=database.alias, verbosity=0)


def contents(database: BaseDatabaseWrapper) -> dict[str, int]:
    """Return the tables and how many rows each has."""
    with database.cursor() as cursor:
        counts = {}
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT count(*) FROM {table}")  # noqa: S608
            counts[table] = cursor.fetchone()[0]
        return counts


def url_of(database: BaseDatabaseWrapper, **instead: str) -> str:
    if database.vendor == "sqlite":
        return f"sqlite:///{database.settings_dict['NAME']}"
    return database_url(database, **instead)


# --- Ways to make a fault: each returns the URL with which a run meets it ---------

Make = Callable[[BaseDatabaseWrapper, "Roles"], str]


class Roles:
    """Makes roles of the server that may do little; drops them at the end."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def make(self, options: str = "LOGIN") -> dict[str, str]:
        """Return user and password of a new role."""
        name = f"role_{uuid.uuid4().hex}"
        with connections["default"]._nodb_cursor() as cursor:
            try:
                cursor.execute(f"CREATE ROLE {name} {options} PASSWORD 'secret'")
            except DatabaseError as error:
                pytest.skip(f"the user of this run may not make roles: {error}")
        self._names.append(name)
        return {"user": name, "password": "secret"}

    def drop(self) -> None:
        for name in self._names:
            with connections["default"]._nodb_cursor() as cursor:
                cursor.execute(f"DROP ROLE {name}")


def nobody_listens(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return f"postgres://someone:hunter2@127.0.0.1:{free_port()}/bots"


def unknown_host(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return "postgres://someone:hunter2@db.invalid/bots"


def no_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, dbname="no_such")


def unknown_user(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, user="no_such_user", password="hunter2")


def user_without_login(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, **roles.make("NOLOGIN"))


def no_connection_left(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "ALTER DATABASE {name} CONNECTION LIMIT 0")
    return url_of(database, **roles.make())


def user_without_connection_left(database: BaseDatabaseWrapper, roles: Roles) -> str:
    return url_of(database, **roles.make("LOGIN CONNECTION LIMIT 0"))


def closed_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    with database._nodb_cursor() as cursor:
        cursor.execute(
            f"ALTER DATABASE {database.settings_dict['NAME']} ALLOW_CONNECTIONS false"
        )
    return url_of(database)


def no_connect_privilege(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "REVOKE CONNECT ON DATABASE {name} FROM PUBLIC")
    return url_of(database, **roles.make())


def read_only_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "ALTER DATABASE {name} SET default_transaction_read_only = on")
    return url_of(database)


def no_schema(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "ALTER DATABASE {name} SET search_path = missing")
    return url_of(database)


def no_create_privilege(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    return url_of(database, **roles.make())


def tables_of_another(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    role = roles.make()
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role['user']}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role['user']}",
    )
    return url_of(database, **role)


def history_of_another(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database)
    migrate(database, "sessions", "zero")
    role = roles.make()
    execute(
        database,
        f"GRANT CREATE ON SCHEMA public TO {role['user']}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role['user']}",
    )
    return url_of(database, **role)


def alembic_database(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(
        database,
        "CREATE TABLE users (id int)",
        "CREATE TABLE alembic_version (version_num varchar(32))",
        "INSERT INTO alembic_version VALUES ('b7e3f2c1a9d8')",
    )
    return url_of(database)


def alembic_database_after_django(database: BaseDatabaseWrapper, roles: Roles) -> str:
    MigrationRecorder(database).ensure_schema()
    return alembic_database(database, roles)


def table_in_the_way(database: BaseDatabaseWrapper, roles: Roles) -> str:
    execute(database, "CREATE TABLE users (id int)")
    return url_of(database)


def missing_row(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    MigrationRecorder(database).record_unapplied("accounts", "0001_create_user_table")
    return url_of(database)


def newer_row(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    MigrationRecorder(database).record_applied("bots", "9999_of_a_newer_version")
    return url_of(database)


def times_of_a_zone(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "trading", "0003")
    fill(database, Walker(database, squashed=False).apps())
    execute(database, "ALTER DATABASE {name} SET timezone = 'Europe/Berlin'")
    return url_of(database)


def times_of_a_users_zone(database: BaseDatabaseWrapper, roles: Roles) -> str:
    url = times_of_a_zone(database, roles)
    user = roles.make()["user"]
    execute(
        database,
        "ALTER DATABASE {name} RESET timezone",
        f"ALTER ROLE {user} IN DATABASE {{name}} SET timezone = 'Asia/Tokyo'",
    )
    return url


def invalid_index(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database)
    migrate(database, "sessions", "zero")
    break_index(database)
    return url_of(database)


def break_index(database: BaseDatabaseWrapper) -> None:
    with pytest.raises(DatabaseError):
        execute(
            database,
            "CREATE UNIQUE INDEX CONCURRENTLY broken ON django_content_type ((1))",
        )


def column_in_the_way(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    execute(database, "ALTER TABLE bot_configs ADD COLUMN leverage int")
    return url_of(database)


def leftover_table(database: BaseDatabaseWrapper, roles: Roles) -> str:
    migrate(database, "bots", "0005")
    execute(database, "CREATE TABLE trades (id int)")
    return url_of(database)


def full_disk(database: BaseDatabaseWrapper, roles: Roles) -> str:
    try:
        execute(
            database,
            # What the server says when a table cannot be extended.
            "CREATE FUNCTION no_space() RETURNS event_trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE 'could not extend file: No space left on device' "
            "USING ERRCODE = 'disk_full'; END $$",
            "CREATE EVENT TRIGGER no_space ON ddl_command_start "
            "EXECUTE FUNCTION no_space()",
        )
    except DatabaseError as error:
        pytest.skip(f"the user of this run may not make event triggers: {error}")
    return url_of(database)
