"""Unique constraints that give way to ones that demand less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.migrations import AddConstraint, RemoveConstraint
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from tradebot.operations.catalogue import has_constraint
from tradebot.operations.indexes import build_index
from tradebot.schema.steps import AnyStep, Batches, Step, perform


class RelaxUnique(Operation):
    """Replace the UniqueConstraint ``old_name`` on one text column by ``constraint``.

    That one is on the same column and others, so that no row is in its way. The reverse
    puts ``@`` and the key behind values that only it allows, all but the oldest;
    forwards they lose it again where there is no other row like that meanwhile.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self, model_name: str, old_name: str, constraint: models.UniqueConstraint
    ) -> None:
        self.model_name = model_name
        self.old_name = old_name
        self.constraint = constraint

    def deconstruct(self) -> Any:
        kwargs = {
            "model_name": self.model_name,
            "old_name": self.old_name,
            "constraint": self.constraint,
        }
        return self.__class__.__qualname__, [], kwargs

    @property
    def _operations(self) -> Sequence[Operation]:
        return (
            RemoveConstraint(self.model_name, self.old_name),
            AddConstraint(self.model_name, self.constraint),
        )

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        for operation in self._operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        old, model = self._old(app_label, from_state), self._model(app_label, to_state)
        self._replace(schema_editor, model, old, self.constraint)
        perform(schema_editor, self._shorten(model, old))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        old, model = self._old(app_label, to_state), self._model(app_label, to_state)
        perform(schema_editor, self._tell_apart(model, old))
        self._replace(schema_editor, model, self.constraint, old)

    def describe(self) -> str:
        return f"Replace {self.old_name} by {self.constraint.name}"

    def _old(self, app_label: str, state: ProjectState) -> models.UniqueConstraint:
        model = state.models[app_label, self.model_name.lower()]
        constraint: models.UniqueConstraint = model.get_constraint_by_name(
            self.old_name
        )
        return constraint

    def _model(self, app_label: str, state: ProjectState) -> Any:
        return state.apps.get_model(app_label, self.model_name)

    def _replace(
        self,
        schema_editor: Any,
        model: Any,
        old: models.UniqueConstraint,
        new: models.UniqueConstraint,
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            perform(schema_editor, *_replace(schema_editor, model, old, new))
        else:
            # Writes the table anew, with the constraints that the model has.
            schema_editor.add_constraint(model, new)

    def _tell_apart(self, model: Any, old: models.UniqueConstraint) -> AnyStep:
        table, key, column = _names(model, old)
        return Batches(
            table=table,
            key=key,
            todo=(
                f'EXISTS (SELECT 1 FROM "{table}" AS older '
                f'WHERE older."{column}" = "{table}"."{column}" '
                f'AND older."{key}" < "{table}"."{key}")'
            ),
            statement=(
                f'UPDATE "{table}" SET "{column}" = "{column}" || {_mark(table, key)} '
                "WHERE {rows}"
            ),
        )

    def _shorten(self, model: Any, old: models.UniqueConstraint) -> AnyStep:
        table, key, column = _names(model, old)
        whole, mark = f'"{table}"."{column}"', _mark(table, key)
        shorter = f"substr({whole}, 1, length({whole}) - length({mark}))"
        others = {model._meta.get_field(name).column for name in self.constraint.fields}
        alike = " AND ".join(
            f'other."{name}" = "{table}"."{name}"' for name in sorted(others - {column})
        )
        return Batches(
            table=table,
            key=key,
            todo=(
                f"{whole} LIKE '%' || {mark} AND NOT EXISTS (SELECT 1 FROM "
                f'"{table}" AS other WHERE other."{column}" = {shorter} AND {alike})'
            ),
            statement=f'UPDATE "{table}" SET "{column}" = {shorter} WHERE {{rows}}',
        )


def _mark(table: str, key: str) -> str:
    return f'(\'@\' || "{table}"."{key}")'


def _names(model: Any, old: models.UniqueConstraint) -> tuple[str, str, str]:
    """Return the table, its key and the column that was unique alone."""
    (name,) = old.fields
    column = model._meta.get_field(name).column
    return model._meta.db_table, model._meta.pk.column, column


def _replace(
    schema_editor: Any,
    model: Any,
    old: models.UniqueConstraint,
    new: models.UniqueConstraint,
) -> list[AnyStep]:
    """Return the steps that build the new index, then put it in the old one's place."""
    table, name = model._meta.db_table, new.name
    columns = ", ".join(
        f'"{model._meta.get_field(field).column}"' for field in new.fields
    )
    create = f'CREATE UNIQUE INDEX CONCURRENTLY "{name}" ON "{table}" ({columns})'
    return [
        build_index(schema_editor, name, create),
        Step(
            statements=(
                f'ALTER TABLE "{table}" ADD CONSTRAINT "{name}" '
                f'UNIQUE USING INDEX "{name}"',
                f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{old.name}"',
            ),
            done=has_constraint(table, name),
        ),
    ]
