"""Constraints that are added to a table while others write to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.migrations import AddConstraint, AlterField, RemoveConstraint
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.sql import Query

from tradebot.operations.catalogue import has_constraint
from tradebot.operations.indexes import build_index, drop_index
from tradebot.schema.rules import DataRule
from tradebot.schema.steps import AnyStep, Step, perform


def _add(table: str, name: str, create: str) -> list[AnyStep]:
    """Return the steps that add a constraint for new rows, then check the old ones."""
    return [
        Step(statements=(f"{create} NOT VALID",), done=has_constraint(table, name)),
        Step(
            statements=(f'ALTER TABLE "{table}" VALIDATE CONSTRAINT "{name}"',),
            done=has_constraint(table, name, valid=True),
        ),
    ]


def _drop(table: str, name: str) -> Step:
    return Step(
        statements=(f'ALTER TABLE "{table}" DROP CONSTRAINT IF EXISTS "{name}"',)
    )


def _columns(model: Any, expression: Any) -> tuple[str, ...]:
    """Return the columns that an expression is about."""
    references = {name for name, *_ in model._get_expr_references(expression)}
    return tuple(model._meta.get_field(name).column for name in sorted(references))


class _Repairable(AddConstraint):
    """A constraint that knows how to bring rows into line that break it.

    ``repair`` is what an UPDATE of them would set, ``repaired`` says it in words.
    """

    constraint: Any

    def __init__(
        self, model_name: str, constraint: Any, *, repair: str, repaired: str
    ) -> None:
        super().__init__(model_name, constraint)
        self.repair, self.repaired = repair, repaired

    def deconstruct(self) -> Any:
        name, args, kwargs = super().deconstruct()
        kwargs |= {"repair": self.repair, "repaired": self.repaired}
        return name, args, kwargs

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            model = to_state.apps.get_model(app_label, self.model_name)
            create = str(self.constraint.create_sql(model, schema_editor))
            perform(schema_editor, *self.add(schema_editor, model, create))
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor == "postgresql":
            model = to_state.apps.get_model(app_label, self.model_name)
            perform(schema_editor, self.drop(schema_editor, model))
        else:
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def add(self, schema_editor: Any, model: Any, create: str) -> Sequence[AnyStep]:
        raise NotImplementedError

    def drop(self, schema_editor: Any, model: Any) -> Step:
        raise NotImplementedError


class AddCheck(_Repairable):
    """Add a CHECK for new rows, then read the old ones. The reverse drops it."""

    def add(self, schema_editor: Any, model: Any, create: str) -> Sequence[AnyStep]:
        return _add(model._meta.db_table, self.constraint.name, create)

    def drop(self, schema_editor: Any, model: Any) -> Step:
        return _drop(model._meta.db_table, self.constraint.name)

    def rules(
        self, app_label: str, state: ProjectState, schema_editor: Any
    ) -> list[DataRule]:
        model = state.apps.get_model(app_label, self.model_name)
        check = self.constraint._get_check_sql(model, schema_editor)
        columns = _columns(model, self.constraint.condition)
        return [
            DataRule(
                name=self.constraint.name,
                table=model._meta.db_table,
                key=model._meta.pk.column,
                problem=str(self.constraint.violation_error_message),
                where=f"({check}) IS FALSE",
                repair=self.repair,
                repaired=self.repaired,
                show=columns,
            )
        ]


class AddUniqueIndex(_Repairable):
    """Add a UniqueConstraint that is an index, built while others write.

    It is on one expression. The reverse drops it.
    """

    def add(self, schema_editor: Any, model: Any, create: str) -> Sequence[AnyStep]:
        concurrently = create.replace("UNIQUE INDEX", "UNIQUE INDEX CONCURRENTLY", 1)
        return [build_index(schema_editor, self.constraint.name, concurrently)]

    def drop(self, schema_editor: Any, model: Any) -> Step:
        return drop_index(schema_editor, self.constraint.name)

    def rules(
        self, app_label: str, state: ProjectState, schema_editor: Any
    ) -> list[DataRule]:
        model: Any = state.apps.get_model(app_label, self.model_name)
        table, key = model._meta.db_table, model._meta.pk.column
        query = Query(model, alias_cols=False)
        compiler = query.get_compiler(connection=schema_editor.connection)
        expression, _ = compiler.compile(
            self.constraint.expressions[0].resolve_expression(query)
        )
        return [
            DataRule(
                name=self.constraint.name,
                table=table,
                key=key,
                problem=str(self.constraint.violation_error_message),
                # All but the oldest of those that are alike.
                where=(
                    f'"{key}" IN (SELECT "{key}" FROM (SELECT "{key}", row_number() '
                    f'OVER (PARTITION BY {expression} ORDER BY "{key}") AS nth '
                    f'FROM "{table}") AS numbered WHERE nth > 1)'
                ),
                repair=self.repair,
                repaired=self.repaired,
                show=_columns(model, self.constraint.expressions[0]),
            )
        ]


class ConvertToDjangoForeignKey(Operation):
    """Replace a foreign key with a name of its own by the one that Django makes.

    ``field`` is the ForeignKey as it will be, ``old_name`` the name of the
    ForeignKeyConstraint. The new one is there before the old one goes.
    """

    reduces_to_sql = True
    reversible = True

    def __init__(
        self, model_name: str, name: str, field: models.ForeignKey, *, old_name: str
    ) -> None:
        self.model_name = model_name
        self.name = name
        self.field = field
        self.old_name = old_name

    def deconstruct(self) -> Any:
        kwargs = {
            "model_name": self.model_name,
            "name": self.name,
            "field": self.field,
            "old_name": self.old_name,
        }
        return self.__class__.__qualname__, [], kwargs

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        for operation in self._operations:
            operation.state_forwards(app_label, state)

    @property
    def _operations(self) -> Sequence[Operation]:
        return (
            RemoveConstraint(self.model_name, self.old_name),
            AlterField(self.model_name, self.name, self.field),
        )

    def database_forwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            before = from_state
            for operation in self._operations:
                after = before.clone()
                operation.state_forwards(app_label, after)
                operation.database_forwards(app_label, schema_editor, before, after)
                before = after
            return
        old, new = self._names_and_statements(
            app_label, schema_editor, from_state, to_state
        )
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        perform(schema_editor, *_add(table, *new), _drop(table, old[0]))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: Any,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            states = [to_state]
            for operation in self._operations:
                after = states[-1].clone()
                operation.state_forwards(app_label, after)
                states.append(after)
            for operation in reversed(self._operations):
                current = states.pop()
                operation.database_backwards(
                    app_label, schema_editor, current, states[-1]
                )
            return
        old, new = self._names_and_statements(
            app_label, schema_editor, to_state, from_state
        )
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        perform(schema_editor, *_add(table, *old), _drop(table, new[0]))

    def _names_and_statements(
        self,
        app_label: str,
        schema_editor: Any,
        before: ProjectState,
        after: ProjectState,
    ) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return name and statement of the old constraint and of the new one."""
        old_state = before.models[app_label, self.model_name.lower()]
        old = old_state.get_constraint_by_name(self.old_name)
        old_model = before.apps.get_model(app_label, self.model_name)
        model: Any = after.apps.get_model(app_label, self.model_name)
        new = schema_editor._create_fk_sql(
            model, model._meta.get_field(self.name), "_fk_%(to_table)s_%(to_column)s"
        )
        return (
            (self.old_name, str(old.create_sql(old_model, schema_editor))),
            (str(new.parts["name"]).strip('"'), str(new)),
        )

    def rules(
        self, app_label: str, state: ProjectState, schema_editor: Any
    ) -> list[DataRule]:
        model: Any = state.apps.get_model(app_label, self.model_name)
        field = model._meta.get_field(self.name)
        table, target = model._meta.db_table, field.target_field
        to_table = target.model._meta.db_table
        return [
            DataRule(
                name=f"{table}.{field.column}",
                table=table,
                key=model._meta.pk.column,
                problem=f"{field.column} names a row of {to_table} that is not there",
                where=(
                    f'"{field.column}" IS NOT NULL AND NOT EXISTS (SELECT 1 FROM '
                    f'"{to_table}" AS target WHERE target."{target.column}" = '
                    f'"{table}"."{field.column}")'
                ),
                repair=f'"{field.column}" = NULL' if field.null else None,
                repaired=(
                    f"sets {field.column} to NULL" if field.null else "deletes the row"
                ),
                show=(field.column,),
            )
        ]

    def describe(self) -> str:
        return f"Make {self.model_name}.{self.name} a foreign key of Django's"
