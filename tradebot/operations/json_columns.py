"""JSON columns that are given the type that can be searched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.migrations import AlterField
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tradebot.operations.catalogue import require, type_is
from tradebot.schema.archive import json_archive
from tradebot.schema.rules import DataRule
from tradebot.schema.steps import AnyStep, Batches, Step, perform


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
        if schema_editor.connection.vendor != "postgresql":
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
                # As text: a run that was cut off may have converted it already.
                where=f'pg_temp.tradebot_no_jsonb("{field.column}"::text)',
                setup=(
                    "CREATE OR REPLACE FUNCTION pg_temp.tradebot_no_jsonb(text) "
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
    done = type_is(table, next(iter(columns)), type_)
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
            for step in require(table, f"{column}{suffix}", done=done)
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
