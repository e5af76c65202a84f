"""The base of the serializers of models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from django.db import models
from rest_framework import serializers

from tradebot.api import fields

Model = TypeVar("Model", bound=models.Model)
Columns = dict[str, tuple[str, Callable[[Any], Any] | None]]
"""By the name of a field: its path from the model, and how a value is answered."""

# Fields that answer with the value as it is.
_AS_STORED = (
    fields.BooleanField,
    fields.CharField,
    fields.ChoiceField,
    fields.DecimalField,
    fields.IntegerField,
    fields.OwnedPrimaryKeyField,
)


class ModelSerializer(serializers.ModelSerializer[Model]):
    """Shape a model with the fields of this API. Services write, not serializers."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.AutoField: fields.IntegerField,
        models.BooleanField: fields.BooleanField,
        models.CharField: fields.CharField,
        models.DateTimeField: fields.UTCDateTimeField,
        models.DecimalField: fields.DecimalField,
        models.IntegerField: fields.IntegerField,
        models.TextField: fields.CharField,
    }
    serializer_choice_field = fields.ChoiceField

    def to_internal_value(self, data: Any) -> Any:
        """Return what was sent, checked; what is stored like that already stays.

        Rows of the old program break some rules: with their values sent back as they
        are, the others can still be changed.
        """
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as error:
            kept = {name for name in map(str, error.detail) if self._holds(name, data)}
            if not kept:
                raise
        for name in kept:
            self.fields[name].required = False
        changed = {name: value for name, value in data.items() if name not in kept}
        return super().to_internal_value(changed)

    def _holds(self, name: str, data: Any) -> bool:
        field = self.fields.get(name)
        if self.instance is None or field is None or name not in data:
            return False
        if field.write_only or isinstance(field, fields.OwnedPrimaryKeyField):
            return False
        sent, stored = data[name], field.get_attribute(self.instance)
        if isinstance(stored, int | Decimal):
            return fields.parse_number(sent) == stored
        return type(sent) is type(stored) and sent == stored

    @classmethod
    @cache
    def columns(cls) -> Columns | None:
        """Return the columns that make up an answer; None where it takes more."""
        found: Columns = {}
        for name, field in cls().fields.items():
            if field.write_only:
                continue
            if field.source == "*":  # computed from the row as a whole
                return None
            found[name] = (
                "__".join(field.source_attrs),
                None if isinstance(field, _AS_STORED) else field.to_representation,
            )
        return found


def answer_rows(columns: Columns, rows: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return the answers that rows of these columns make."""
    converters = [
        (index, convert)
        for index, (_, convert) in enumerate(columns.values())
        if convert is not None
    ]
    answers = []
    for row in rows:
        values = list(row)
        for index, convert in converters:
            if values[index] is not None:
                values[index] = convert(values[index])
        answers.append(dict(zip(columns, values, strict=True)))
    return answers
