"""Migration operations that Django has not."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState


class AddFieldIfMissing(migrations.AddField):
    """Add a column unless the table has one of that name; the reverse likewise."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _offline(schema_editor) or not self._column_exists(
            app_label, schema_editor, to_state
        ):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if _offline(schema_editor) or self._column_exists(
            app_label, schema_editor, from_state
        ):
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


def _offline(schema_editor: BaseDatabaseSchemaEditor) -> bool:
    """Say whether the statements are only collected: there may be no table to ask."""
    return bool(schema_editor.collect_sql)


class BuildIndexConcurrently(AddIndexConcurrently):
    """Add an index without holding up writers, and again after a crash.

    The migration needs ``atomic = False``. A build that was cut off leaves an index
    that is not valid: it is dropped and built anew. One that was finished but not
    recorded stays. (IF NOT EXISTS would take the invalid one for good.) The reverse
    drops the index likewise. On SQLite it is an index like any other.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        valid = _index_validity(schema_editor, model, self.index.name)
        if valid:
            return
        if valid is False:
            schema_editor.remove_index(model, self.index, concurrently=True)  # type: ignore[call-arg]  # PostgreSQL has it
        _editing(schema_editor, schema_editor.add_index, model, self.index)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if _index_validity(schema_editor, model, self.index.name) is not None:
            _editing(schema_editor, schema_editor.remove_index, model, self.index)


def _editing(
    schema_editor: BaseDatabaseSchemaEditor,
    edit: Any,
    model: type[models.Model],
    index: models.Index,
) -> None:
    options = (
        {"concurrently": True}
        if schema_editor.connection.vendor == "postgresql"
        else {}
    )
    edit(model, index, **options)


def _index_validity(
    schema_editor: BaseDatabaseSchemaEditor, model: type[models.Model], name: str
) -> bool | None:
    """Return whether the index of this name is valid; None where there is none."""
    connection = schema_editor.connection
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            there = connection.introspection.get_constraints(
                cursor, model._meta.db_table
            )
            return True if name in there else None
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)",
            [schema_editor.quote_name(name)],
        )
        row = cursor.fetchone()
    return None if row is None else bool(row[0])
