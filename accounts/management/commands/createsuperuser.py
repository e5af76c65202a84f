"""Django's createsuperuser, with the project's rules for addresses and passwords."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

from accounts.emails import normalize_address
from tradebot.management.base import DataCommand


class Command(DataCommand, createsuperuser.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if not options["interactive"]:
            try:
                validate_password(os.environ.get("DJANGO_SUPERUSER_PASSWORD", ""))
            except ValidationError as error:
                problems = " ".join(error.messages)
                raise CommandError(f"DJANGO_SUPERUSER_PASSWORD: {problems}") from None
        super().handle(*args, **options)

    def _validate_username(
        self, username: str, verbose_field_name: str, database: str
    ) -> str | None:
        # Before the password is asked for; and as it will be stored, or a name around
        # an address that is taken would hide it.
        try:
            username = username and normalize_address(username)
        except ValidationError as error:
            return f"Error: {error.messages[0]}"
        problem: str | None = super()._validate_username(  # type: ignore[misc]  # Django has it
            username, verbose_field_name, database
        )
        return problem
