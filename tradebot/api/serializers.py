"""The base of the serializers of models."""

from __future__ import annotations

from typing import TypeVar

from django.db import models
from rest_framework import serializers

from tradebot.api import fields

Model = TypeVar("Model", bound=models.Model)


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
