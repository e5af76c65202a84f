"""Columns that are added, filled, required or given another type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField, AlterField
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tradebot.schema.archive import NULLS, NULLS_TABLE, json_archive
from tradebot.schema.rules import DataRule
from tradebot.schema.steps import AnyStep, Batches, Step, perform


def _is_postgresql(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    return schema_editor.connection.vendor == "postgresql"


def _type_is(table: str, column: str, type_: str) -> str:
    """Return the query that says whether a column has a type."""
    return (
        "SELECT EXISTS (SELECT FROM pg_attribute "
        f"WHERE attrelid = to_regclass('\"{table}\"') AND attname = '{column}' "
        f"AND format_type(atttypid, atttypmod) = '{type_}')"
    )


def _is_required(table: str, column: str) -> str:
    """Return the query that says whether a column is NOT NULL."""
    return (
        "SELECT attnotnull FROM pg_attribute "
        f"WHERE attrelid = to_regclass('\"{table}\"') AND attname = '{column}'"
    )


def _has_constraint(table: str, name: str, *, valid: bool = False) -> str:
    """Return the query that says whether a table has a constraint of this name."""
    return (
        "SELECT EXISTS (SELECT FROM pg_constraint "
        f"WHERE conrelid = to_regclass('\"{table}\"') AND conname = '{name}'"
        f"{' AND convalidated' if valid else ''})"
    )


def _either(*queries: str) -> str:
    return "SELECT " + " OR ".join(f"({query})" for query in queries)


def _require(table: str, column: str, *, done: str) -> list[AnyStep]:
    """Return the steps that prove a column to have no NULL while others use it.

    ``ALTER COLUMN SET NOT NULL`` finds the proof in the constraint
    ``<table>_<column>_required`` and does not read the table.
    """
    name = f"{table}_{column}_required"
    return [
        Step(
            statements=(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" '
                f'CHECK ("{column}" IS NOT NULL) NOT VALID',
            ),
            done=_either(done, _has_constraint(table, name)),
        ),
        Step(
            statements=(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"',),
            done=_either(done, _has_constraint(table, name, valid=True)),
        ),
    ]


class AddFieldIfMissing(AddField):
    """Add a column unless the table has one of that name; the reverse likewise."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            template = schema_editor.sql_create_column
            schema_editor.sql_create_column = template.replace(
                "ADD COLUMN", "ADD COLUMN IF NOT EXISTS"
            )
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            schema_editor.sql_create_column = template
        elif not self._column_exists(app_label, schema_editor, to_state):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            template = schema_editor.sql_delete_column
            schema_editor.sql_delete_column = template.replace(
                "DROP COLUMN", "DROP COLUMN IF EXISTS"
            )
            super().database_backwards(app_label, schema_editor, from_state, to_state)
            schema_editor.sql_delete_column = template
        elif self._column_exists(app_label, schema_editor, from_state):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def describe(self) -> str:
        return f"{super().describe()} where it is missing"

    def _column_exists(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: Any
    ) -> bool:
        model = state.apps.get_model(app_label, self.model_name)
        connection = schema_editor.connection
        with connection.cursor() as cursor:
            columns = connection.introspection.get_table_description(
                cursor, model._meta.db_table
            )
        column = model._meta.get_field(self.name).column
        return column in {description.name for description in columns}


class _AlterFieldInSteps(AlterField):
    """An AlterField with steps of its own on PostgreSQL."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            model = to_state.apps.get_model(app_label, self.model_name)
            field = model._meta.get_field(self.name)
            old = from_state.apps.get_model(app_label, self.model_name)
            steps = self.forwards(
                schema_editor, model, field, old._meta.get_field(self.name)
            )
            perform(schema_editor, *steps)
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _is_postgresql(schema_editor):
            model = to_state.apps.get_model(app_label, self.model_name)
            field = model._meta.get_field(self.name)
            new = from_state.apps.get_model(app_label, self.model_name)
            steps = self.backwards(
                schema_editor, model, field, new._meta.get_field(self.name)
            )
            perform(schema_editor, *steps)
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def forwards(
        self, schema_editor: Any, model: Any, field: Any, old: Any
    ) -> Sequence[AnyStep]:
        raise NotImplementedError

    def backwards(
        self, schema_editor: Any, model: Any, field: Any, new: Any
    ) -> Sequence[AnyStep]:
        raise NotImplementedError


class ConvertToIdentity(_AlterFieldInSteps):
    """Number a key by an identity column in place of a ``serial`` default.

    Django's AlterField has nothing to do there. The next key follows the highest one,
    also where rows were inserted with keys of their own. The reverse makes it
    ``serial`` again.
    """

    def forwards(
        self, schema_editor: Any, model: Any, field: Any, old: Any
    ) -> Sequence[AnyStep]:
        table, column = model._meta.db_table, field.column
        sequence = f"{table}_{column}_seq"
        return [
            Step(
                statements=(
                    f'ALTER TABLE "{table}" ALTER COLUMN "{column}" DROP DEFAULT',
                    f'ALTER SEQUENCE "{sequence}" OWNED BY NONE',
                    f'ALTER SEQUENCE "{sequence}" RENAME TO "{sequence}_old"',
                    f'ALTER TABLE "{table}" ALTER COLUMN "{column}" '
                    "ADD GENERATED BY DEFAULT AS IDENTITY "
                    f'(SEQUENCE NAME "{sequence}")',
                    _carry_on(table, column, f"{sequence}_old", sequence),
                    f'DROP SEQUENCE "{sequence}_old"',
                )
            )
        ]

    def backwards(
        self, schema_editor: Any, model: Any, field: Any, new: Any
    ) -> Sequence[AnyStep]:
        table, column = model._meta.db_table, field.column
        sequence = f"{table}_{column}_seq"
        return [
            Step(
                statements=(
                    f'LOCK TABLE "{table}" IN ACCESS EXCLUSIVE MODE',
                    f'CREATE SEQUENCE "{sequence}_new" AS integer',
                    _carry_on(table, column, sequence, f"{sequence}_new"),
                    f'ALTER TABLE "{table}" ALTER COLUMN "{column}" DROP IDENTITY',
                    f'ALTER SEQUENCE "{sequence}_new" RENAME TO "{sequence}"',
                    f'ALTER TABLE "{table}" ALTER COLUMN "{column}" '
                    f"SET DEFAULT nextval('\"{sequence}\"')",
                    f'ALTER SEQUENCE "{sequence}" OWNED BY "{table}"."{column}"',
                )
            )
        ]

    def describe(self) -> str:
        return f"Number {self.model_name}.{self.name} by an identity column"


def _carry_on(table: str, column: str, from_sequence: str, to_sequence: str) -> str:
    highest = f'(SELECT coalesce(max("{column}"), 0) FROM "{table}")'
    return (
        f"SELECT setval('\"{to_sequence}\"', greatest(last_value, {highest}), "
        f'is_called OR {highest} >= last_value) FROM "{from_sequence}"'
    )


class ConvertToTimestampWithZone(_AlterFieldInSteps):
    """Turn a UTC time without zone into one with; no row is written.

    Where the operator says by NAIVE_TIMES_ZONE that the times are of another zone, the
    table is written anew. The reverse gives the times of that zone back.
    """

    def forwards(
        self, schema_editor: Any, model: Any, field: Any, old: Any
    ) -> Sequence[AnyStep]:
        return [_retype(model._meta.db_table, field.column, "timestamp with time zone")]

    def backwards(
        self, schema_editor: Any, model: Any, field: Any, new: Any
    ) -> Sequence[AnyStep]:
        return [
            _retype(model._meta.db_table, field.column, "timestamp without time zone")
        ]

    def describe(self) -> str:
        return f"Give {self.model_name}.{self.name} its time zone"


def _retype(table: str, column: str, type_: str) -> Step:
    zone = settings.NAIVE_TIMES_ZONE or "UTC"
    using = "" if zone == "UTC" else f" USING \"{column}\" AT TIME ZONE '{zone}'"
    return Step(
        statements=(
            # In a session of UTC PostgreSQL knows that the values stay the same.
            "SET LOCAL TIME ZONE 'UTC'",
            f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE {type_}{using}',
        )
    )


class FillAndRequire(_AlterFieldInSteps):
    """Fill the NULLs of a column and make it NOT NULL.

    ``fill`` is the SQL expression of the value. The keys of the filled rows are
    archived: the reverse gives NULL back to those that still have the value.
    """

    def __init__(
        self, model_name: str, name: str, field: models.Field, *, fill: str
    ) -> None:
        self.fill = fill
        super().__init__(model_name, name, field)

    def deconstruct(self) -> Any:
        name, args, kwargs = super().deconstruct()
        return name, args, {**kwargs, "fill": self.fill}

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if not _is_postgresql(schema_editor):
            model = to_state.apps.get_model(app_label, self.model_name)
            field = model._meta.get_field(self.name)
            table, key = model._meta.db_table, model._meta.pk.column
            schema_editor.execute(NULLS_TABLE, None)
            for statement in NULLS.fill(table, key, field.column, self.fill):
                schema_editor.execute(statement, None)
        super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        super().database_backwards(app_label, schema_editor, from_state, to_state)
        if not _is_postgresql(schema_editor):
            model = to_state.apps.get_model(app_label, self.model_name)
            column = model._meta.get_field(self.name).column
            table, key = model._meta.db_table, model._meta.pk.column
            restored = NULLS.restorable(table, key, column)
            schema_editor.execute(
                f'UPDATE "{table}" SET "{column}" = NULL WHERE {restored}',
                None,
            )
            schema_editor.execute(NULLS.forget(table, column), None)

    def forwards(
        self, schema_editor: Any, model: Any, field: Any, old: Any
    ) -> Sequence[AnyStep]:
        table, key, column = model._meta.db_table, model._meta.pk.column, field.column
        required = _is_required(table, column)
        name = f"{table}_{column}_required"
        fill = Batches(
            table=table,
            key=key,
            todo=f'"{column}" IS NULL',
            statement=NULLS.fill_batch(table, key, column, self.fill),
        )
        steps: list[AnyStep] = [Step(statements=(NULLS_TABLE,))]
        if field.has_db_default() and not old.has_db_default():
            default, parameters = schema_editor.db_default_sql(field)
            default %= tuple(map(schema_editor.quote_value, parameters))
            steps.append(
                Step(
                    statements=(
                        f'ALTER TABLE "{table}" ALTER COLUMN "{column}" '
                        f"SET DEFAULT {default}",
                    )
                )
            )
        prove, validate = _require(table, column, done=required)
        return [
            *steps,
            # Before the constraint, which would refuse any change of a row with NULL;
            # and after it, for the rows that came in between.
            fill,
            prove,
            fill,
            validate,
            Step(
                statements=(
                    f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET NOT NULL',
                    f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{name}"',
                ),
                done=required,
            ),
        ]

    def backwards(
        self, schema_editor: Any, model: Any, field: Any, new: Any
    ) -> Sequence[AnyStep]:
        table, key, column = model._meta.db_table, model._meta.pk.column, field.column
        statements = [f'ALTER TABLE "{table}" ALTER COLUMN "{column}" DROP NOT NULL']
        if new.has_db_default() and not field.has_db_default():
            statements.append(
                f'ALTER TABLE "{table}" ALTER COLUMN "{column}" DROP DEFAULT'
            )
        return [
            Step(statements=tuple(statements)),
            Batches(
                table=table,
                key=key,
                todo=NULLS.restorable(table, key, column),
                statement=f'UPDATE "{table}" SET "{column}" = NULL WHERE {{rows}}',
            ),
            Step(statements=(NULLS.forget(table, column),)),
        ]

    def describe(self) -> str:
        return f"Fill {self.model_name}.{self.name} and make it NOT NULL"


class ConvertToJSONB(Operation):
    """Turn the ``json`` columns of a table into ``jsonb`` while others use it.

    ``jsonb`` keeps neither the order of keys nor doubled ones nor white space: the text
    as it was written is archived, and the reverse gives it back to rows that have not
    changed since. A new column is filled beside the old one, by a trigger and in
    batches, and takes its place.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, model_name: str, fields: Mapping[str, models.Field]) -> None:
        self.model_name = model_name
        self.fields = fields

    def deconstruct(self) -> Any:
        kwargs = {"model_name": self.model_name, "fields": self.fields}
        return self.__class__.__qualname__, [], kwargs

    @property
    def _alterations(self) -> list[AlterField]:
        return [
            AlterField(self.model_name, name, field)
            for name, field in self.fields.items()
        ]

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        for alteration in self._alterations:
            alteration.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._convert(app_label, schema_editor, from_state, to_state, "jsonb")

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        self._convert(app_label, schema_editor, from_state, to_state, "json")

    def _convert(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
        type_: str,
    ) -> None:
        if not _is_postgresql(schema_editor):
            for alteration in self._alterations:
                alteration.database_forwards(
                    app_label, schema_editor, from_state, to_state
                )
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        columns = {
            field.column: field.null
            for field in map(model._meta.get_field, self.fields)
        }
        table, key = model._meta.db_table, model._meta.pk.column
        perform(schema_editor, *_convert_json(table, key, columns, type_))

    def rules(
        self, app_label: str, state: ProjectState, schema_editor: Any
    ) -> list[DataRule]:
        model = state.apps.get_model(app_label, self.model_name)
        return [
            DataRule(
                name=f"{model._meta.db_table}.{field.column}.jsonb",
                table=model._meta.db_table,
                key=model._meta.pk.column,
                problem=(
                    f"{field.column} has what jsonb cannot hold: the character "
                    "\\u0000, half of a surrogate pair, or a number out of range"
                ),
                where=f'pg_temp.tradebot_no_jsonb("{field.column}")',
                setup=(
                    "CREATE OR REPLACE FUNCTION pg_temp.tradebot_no_jsonb(json) "
                    "RETURNS boolean LANGUAGE plpgsql AS "
                    "'BEGIN PERFORM $1::jsonb; RETURN false; "
                    "EXCEPTION WHEN data_exception THEN RETURN true; END'"
                ),
                repair=(
                    f'"{field.column}" = regexp_replace("{field.column}"::text, '
                    "'\\\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})', '\\\\ufffd', 'g')"
                    "::json"
                ),
                repaired="replaces the characters by the replacement character",
                show=(field.column,),
                only="postgresql",
            )
            for field in map(model._meta.get_field, self.fields)
        ]

    def describe(self) -> str:
        return f"Turn {', '.join(self.fields)} of {self.model_name} into jsonb"


def _convert_json(
    table: str, key: str, columns: Mapping[str, bool], type_: str
) -> list[AnyStep]:
    """Return the steps from json to jsonb or back.

    ``columns`` says for each whether it may be NULL.
    """
    suffix = f"__{type_}"
    trigger = f"tradebot_{table}_json"
    archive = json_archive(table)
    done = _type_is(table, next(iter(columns)), type_)
    names = ", ".join(f'"{column}"' for column in columns)
    if type_ == "jsonb":
        kept = "".join(f', "{column}" json' for column in columns)
        prepare = (
            f'CREATE TABLE IF NOT EXISTS "{archive}" (key integer PRIMARY KEY{kept})'
        )
        excluded = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
        values = ", ".join(f'NEW."{column}"' for column in columns)
        body = "".join(
            f'NEW."{column}{suffix}" := NEW."{column}"::jsonb; ' for column in columns
        ) + (
            f'INSERT INTO "{archive}" (key, {names}) '
            f'VALUES (NEW."{key}", {values}) '
            f"ON CONFLICT (key) DO UPDATE SET {excluded}; "
        )
    else:
        prepare = ""
        body = "".join(
            f'NEW."{column}{suffix}" := coalesce((SELECT "{column}" FROM "{archive}" '
            f'WHERE key = NEW."{key}" AND "{column}"::jsonb = NEW."{column}"), '
            f'NEW."{column}"::json); '
            for column in columns
        )
    required = [column for column, null in columns.items() if not null]
    first = next(iter(columns))
    return [
        *([Step(statements=(prepare,), done=done)] if prepare else []),
        Step(
            statements=tuple(
                f'ALTER TABLE "{table}" ADD COLUMN IF NOT EXISTS '
                f'"{column}{suffix}" {type_}'
                for column in columns
            ),
            done=done,
        ),
        Step(
            statements=(
                f'CREATE OR REPLACE FUNCTION "{trigger}"() RETURNS trigger '
                f"LANGUAGE plpgsql AS $$BEGIN {body}RETURN NEW; END$$",
                f'CREATE OR REPLACE TRIGGER "{trigger}" BEFORE INSERT OR UPDATE '
                f'ON "{table}" FOR EACH ROW EXECUTE FUNCTION "{trigger}"()',
            ),
            done=done,
        ),
        Batches(
            table=table,
            key=key,
            todo=" OR ".join(
                f'("{column}" IS NOT NULL AND "{column}{suffix}" IS NULL)'
                for column in columns
            ),
            # The trigger does it.
            statement=f'UPDATE "{table}" SET "{first}" = "{first}" WHERE {{rows}}',
            done=done,
        ),
        *(
            step
            for column in required
            for step in _require(table, f"{column}{suffix}", done=done)
        ),
        Step(
            statements=(
                f'DROP TRIGGER "{trigger}" ON "{table}"',
                f'DROP FUNCTION "{trigger}"()',
                *(
                    f'ALTER TABLE "{table}" DROP COLUMN "{column}"'
                    for column in columns
                ),
                *(
                    f'ALTER TABLE "{table}" RENAME COLUMN "{column}{suffix}" '
                    f'TO "{column}"'
                    for column in columns
                ),
                *(
                    f'ALTER TABLE "{table}" ALTER COLUMN "{column}" SET NOT NULL'
                    for column in required
                ),
                *(
                    f'ALTER TABLE "{table}" DROP CONSTRAINT '
                    f'"{table}_{column}{suffix}_required"'
                    for column in required
                ),
                *(() if prepare else (f'DROP TABLE IF EXISTS "{archive}"',)),
            ),
            done=done,
        ),
    ]
