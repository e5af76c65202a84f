"""Make a user with bots that trade on paper, on candles that are made up."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from accounts.management.commands.create_first_admin import generate_password
from accounts.models import User
from backtests.demo import EMAIL, demo_create, demo_delete, demo_is_whole, demo_user
from tradebot.errors import ConflictError
from tradebot.management.base import DataCommand

HOURS = 6


class Command(DataCommand):
    help = (
        f"Makes the user {EMAIL} with bots that have traded on paper for some hours, "
        "on candles made up from seeds, and with backtests; sets a new password and "
        "shows it. Where they are there already, only the password is new."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reset", action="store_true", help="Remove the user and all of it again."
        )
        parser.add_argument(
            "--hours",
            type=int,
            default=HOURS,
            help=f"How long the bots have traded (default: {HOURS}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["hours"] <= 72:
            raise CommandError("--hours: expected 1 to 72.")
        try:
            user = demo_user()
        except ConflictError as error:
            raise CommandError(str(error)) from error
        if options["reset"]:
            removed = demo_delete(user)
            self.stdout.write(
                "The demo is removed." if removed else "There is no demo."
            )
            return
        if user is not None and demo_is_whole(user):
            self.stdout.write("The demo is there already.")
        else:
            demo_delete(user)  # where it was cut off while it was made
            user = self._create(options["hours"])
        password = generate_password()
        user.set_password(password)
        user.save()
        self.stdout.write(
            "Its candles are made up: no price in it is real. manage.py runbots lets "
            "its bots go on.\n"
            f"  E-mail:   {EMAIL}\n"
            f"  Password: {password} (shown only now)"
        )

    def _create(self, hours: int) -> User:
        told = 0

        def follow(progress: float) -> None:
            nonlocal told
            if (percent := int(progress * 100)) >= told + 10:
                told = percent
                self.stdout.write(f"The bots trade: {percent} %")

        return demo_create(now=timezone.now(), hours=hours, follow=follow)
