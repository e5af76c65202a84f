"""Let a user log in again whose account others have tried to get into."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.models import User
from accounts.services import user_unlock
from tradebot.management.base import DataCommand


class Command(DataCommand):
    help = (
        "Forgets the wrong log-ins and the requested reset mails of an account, so "
        "that its owner need not wait for an hour. The limits of clients stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="The e-mail address of the user.")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.with_email(options["email"]).first()
        if user is None:
            raise CommandError(
                f"There is no user {options['email']}. Give the e-mail address that "
                "they log in with."
            )
        if user_unlock(user=user):
            self.stdout.write(f"{user.email} can log in again.")
        else:
            self.stdout.write(f"{user.email} was not locked; nothing was changed.")
