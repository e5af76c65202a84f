"""Constraints that Django has not: the documented foreign keys."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.backends.ddl_references import Columns, Statement, Table


class ForeignKeyConstraint(models.BaseConstraint):
    """A foreign key with a name of our choice that is checked at each statement.

    Django's own constraint has a generated name and is DEFERRABLE INITIALLY DEFERRED.
    ``field`` names the ForeignKey, which is declared with ``db_constraint=False``; it
    also says which table the constraint refers to, and validates the value.
    """

    def __init__(self, *, field: str, name: str, **kwargs: Any) -> None:
        self.field = field
        super().__init__(name=name, **kwargs)

    def constraint_sql(self, model: Any, schema_editor: Any) -> str:
        quote = schema_editor.quote_name
        column, to_table, to_column = self._reference(model)
        return (
            f"CONSTRAINT {quote(self.name)} FOREIGN KEY ({quote(column)}) "
            f"REFERENCES {quote(to_table)} ({quote(to_column)})"
        )

    def create_sql(self, model: Any, schema_editor: Any) -> Any:
        quote = schema_editor.quote_name
        column, to_table, to_column = self._reference(model)
        return Statement(
            "ALTER TABLE %(table)s ADD CONSTRAINT %(name)s FOREIGN KEY (%(column)s) "
            "REFERENCES %(to_table)s (%(to_column)s)",
            table=Table(model._meta.db_table, quote),
            name=quote(self.name),
            column=Columns(model._meta.db_table, [column], quote),
            to_table=Table(to_table, quote),
            to_column=Columns(to_table, [to_column], quote),
        )

    def remove_sql(self, model: Any, schema_editor: Any) -> Any:
        quote = schema_editor.quote_name
        return Statement(
            "ALTER TABLE %(table)s DROP CONSTRAINT %(name)s",
            table=Table(model._meta.db_table, quote),
            name=quote(self.name),
        )

    def validate(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the ForeignKey itself checks that its target exists."""

    def _reference(self, model: Any) -> tuple[str, str, str]:
        """Return the column, the table that it refers to, and the column there."""
        field = model._meta.get_field(self.field)
        target = field.target_field
        return field.column, target.model._meta.db_table, target.column

    def deconstruct(self) -> Any:
        path, args, kwargs = super().deconstruct()
        return path, args, {**kwargs, "field": self.field}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ForeignKeyConstraint):
            return NotImplemented
        return (self.name, self.field) == (other.name, other.field)

    __hash__ = None  # type: ignore[assignment]  # like Django's own constraints

    def __repr__(self) -> str:
        return f"<ForeignKeyConstraint: field={self.field!r} name={self.name!r}>"
