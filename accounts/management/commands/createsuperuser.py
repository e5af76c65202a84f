"""Django's createsuperuser, which holds --noinput to the password policy too."""

from __future__ import annotations

import os
from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError

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
