"""Create the first administrator of a new installation."""

from __future__ import annotations

import os
import secrets
import string
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from accounts.emails import normalize_address
from accounts.models import User
from tradebot.management.base import DataCommand


class Command(DataCommand):
    help = (
        "Creates an administrator if there is none, with the e-mail address "
        "DJANGO_SUPERUSER_EMAIL or admin@example.com and the password "
        "DJANGO_SUPERUSER_PASSWORD or one that is generated and shown this once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--promote",
            action="store_true",
            help="If the address is that of a user, make them the administrator.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if User.objects.filter(is_superuser=True).exists():
            return
        email = os.environ.get("DJANGO_SUPERUSER_EMAIL") or "admin@example.com"
        given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        password = given or generate_password()
        try:
            email = normalize_address(email)
        except ValidationError as error:
            raise CommandError(f"DJANGO_SUPERUSER_EMAIL: {error.messages[0]}") from None
        try:
            validate_password(password)
        except ValidationError as error:
            problems = " ".join(error.messages)
            raise CommandError(f"DJANGO_SUPERUSER_PASSWORD: {problems}") from None
        user = User.objects.filter(email__iexact=email).first()
        if user is not None and options["promote"]:
            user.is_staff = user.is_superuser = user.is_active = True
            user.save()
            self.stdout.write(f"{user.email} is the administrator now.")
            return
        if user is not None:
            raise CommandError(
                f"There is no administrator, and {email} is a user who is none. Set "
                "DJANGO_SUPERUSER_EMAIL to another address, or make this user the "
                "administrator: create_first_admin --promote"
            )
        User.objects.create_superuser(email, password)
        shown = (
            "the one in DJANGO_SUPERUSER_PASSWORD"
            if given
            else f"{password} (shown only now)"
        )
        self.stdout.write(
            "Created the first administrator.\n"
            f"  E-mail:   {email}\n"
            f"  Password: {shown}\n"
            f"  Change it: {sys.executable} manage.py changepassword {email}"
        )


def generate_password() -> str:
    """Return 20 random letters and digits in groups, which the policy accepts."""
    while True:
        groups = (
            "".join(
                secrets.choice(string.ascii_letters + string.digits) for _ in "12345"
            )
            for _ in "1234"
        )
        password = "-".join(groups)
        try:
            validate_password(password)
        except ValidationError:
            continue  # no digit, most likely: draw again
        return password
