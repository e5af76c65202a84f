"""Columns that are added, filled, required or given another type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddField, AlterField
from django.db.migrations.state import ProjectState

from tradebot.operations.catalogue import is_required, require
from tradebot.schema.archive import NULLS, NULLS_TABLE
from tradebot.schema.steps import AnyStep, Batches, Step, perform


def _is_postgresql(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    return schema_editor.connection.vendor == "postgresql"


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
        required = is_required(table, column)
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
        prove, validate = require(table, column, done=required)
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
