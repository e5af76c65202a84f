"""Indexes that are built and dropped while others read and write the table."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddIndex, RemoveIndex
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tradebot.schema.steps import Step, perform


def build_index(schema_editor: Any, name: str, create: Any) -> Step:
    """Return the step that builds an index whatever a crash has left of it.

    A build that was cut off leaves an index that is not valid, which IF NOT EXISTS
    would take for good.
    """
    quoted = schema_editor.quote_name(name)
    return Step(
        statements=(f"DROP INDEX CONCURRENTLY IF EXISTS {quoted}", str(create)),
        done=(
            "SELECT EXISTS (SELECT FROM pg_index WHERE indisvalid "
            f"AND indexrelid = to_regclass('{quoted}'))"
        ),
        transactional=False,
    )


def drop_index(schema_editor: Any, name: str) -> Step:
    """Return the step that drops an index, if it is there."""
    quoted = schema_editor.quote_name(name)
    return Step(
        statements=(f"DROP INDEX CONCURRENTLY IF EXISTS {quoted}",), transactional=False
    )


def _build(schema_editor: Any, model: type[models.Model], index: models.Index) -> None:
    if schema_editor.connection.vendor == "postgresql":
        create = index.create_sql(model, schema_editor, concurrently=True)
        perform(schema_editor, build_index(schema_editor, index.name, create))
    else:
        schema_editor.add_index(model, index)


def _drop(schema_editor: Any, model: type[models.Model], index: models.Index) -> None:
    if schema_editor.connection.vendor == "postgresql":
        perform(schema_editor, drop_index(schema_editor, index.name))
    else:
        schema_editor.remove_index(model, index)


class BuildIndexConcurrently(AddIndex):
    """Add an index without holding up writers. The reverse drops it likewise."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        _build(schema_editor, model, self.index)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        _drop(schema_editor, model, self.index)

    def describe(self) -> str:
        return f"Build index {self.index.name} of {self.model_name} concurrently"


class DropIndexConcurrently(RemoveIndex):
    """Drop an index without holding up anybody. The reverse builds it likewise."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        state = from_state.models[app_label, self.model_name_lower]
        _drop(schema_editor, model, state.get_index_by_name(self.name))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        state = to_state.models[app_label, self.model_name_lower]
        _build(schema_editor, model, state.get_index_by_name(self.name))

    def describe(self) -> str:
        return f"Drop index {self.name} of {self.model_name} concurrently"


class ReindexOnSQLite(Operation):
    """Build an index anew, since a function in it has come to answer otherwise.

    Nothing is done on PostgreSQL, and nothing backwards.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(self, name: str) -> None:
        self.name = name

    def deconstruct(self) -> Any:
        return self.__class__.__qualname__, [], {"name": self.name}

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Do nothing: the index stays what it is."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor == "sqlite":
            schema_editor.execute(f'REINDEX "{self.name}"')

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Do nothing: the code that goes back has the same function."""

    def describe(self) -> str:
        return f"Build index {self.name} anew on SQLite"
