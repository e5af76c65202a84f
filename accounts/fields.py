"""The column that the old program and Django share for passwords."""

from __future__ import annotations

from typing import Any

from django.db import models

_DJANGO_PREFIX = "bcrypt$"


class PasswordHashField(models.CharField):
    """A password hash, stored the way passlib writes it and read the way Django does.

    The column holds the raw ``$2b$12$…``; Django wants the algorithm in front
    (``bcrypt$$2b$12$…``) and silently rejects a hash without it. Hashes of other
    algorithms pass through unchanged.
    """

    def from_db_value(self, value: str | None, *args: Any) -> str | None:
        if value is not None and value.startswith("$2"):
            return _DJANGO_PREFIX + value
        return value

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        if isinstance(value, str):
            return value.removeprefix(_DJANGO_PREFIX)
        return value
