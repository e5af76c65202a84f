"""Which fields of a row a request changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models


def assign(instance: models.Model, values: Mapping[str, Any]) -> list[str]:
    """Set the values and return the names of the fields that are not as before."""
    before = {name: instance.serializable_value(name) for name in values}
    for name, value in values.items():
        setattr(instance, name, value)
    # repr() tells 4.10 from 4.1, which are equal but not the same digits.
    return [
        name
        for name in values
        if repr(instance.serializable_value(name)) != repr(before[name])
    ]
