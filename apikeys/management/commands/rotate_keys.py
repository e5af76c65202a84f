"""Encrypt the stored secrets with the first of FERNET_KEYS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apikeys.rotation import BATCH, Progress, delete_unreadable, look, rotate
from tradebot.management.base import DataCommand


class Command(DataCommand):
    help = (
        "Encrypts all stored exchange credentials, and the secrets of webhooks, with "
        "the first of FERNET_KEYS, so that the others can be removed. Can be stopped "
        "and run again. Exits with 1 where some cannot be read with any of them: these "
        "stay as they are."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Count, and change nothing."
        )
        parser.add_argument(
            "--delete",
            nargs="+",
            type=int,
            metavar="ID",
            help="Delete exchange keys that cannot be read, because their key is lost. "
            "Their bots stay, stopped and without a key.",
        )
        parser.add_argument(
            "--batch",
            type=int,
            default=BATCH,
            metavar="ROWS",
            help=f"How many rows are changed in one transaction (default {BATCH}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise CommandError("--batch must be 1 or more.")
        if options["delete"]:
            self._delete(options["delete"])
            return
        run = look if options["dry_run"] else rotate
        progress = self._follow(run(batch=options["batch"]))
        for state, count in progress.counts.items():
            self.stdout.write(f"{state.value}: {count:,}")
        if progress.unreadable:
            ids = "; ".join(
                f"{table}: {', '.join(map(str, keys))}"
                for table, keys in progress.unreadable.items()
            )
            raise CommandError(
                "These secrets cannot be read with any of FERNET_KEYS, by table and "
                f"id: {ids}. Add the key that they have, behind the others. If it is "
                "lost, their owners have to store them anew; rotate_keys --delete ID … "
                "deletes api_keys, the admin webhooks."
            )
        if not options["dry_run"]:
            self.stdout.write(
                "All secrets have the first of FERNET_KEYS; the others can be "
                "removed once every server has been started with it."
            )

    def _follow(self, run: Iterator[Progress]) -> Progress:
        progress = Progress()
        for progress in run:
            seen = sum(progress.counts.values())
            self.stdout.write(f"{seen:,} seen, {progress.rotated:,} rotated")
            self.stdout.flush()
        return progress

    def _delete(self, ids: list[int]) -> None:
        deleted = [pk for pk in ids if delete_unreadable(pk=pk)]
        self.stdout.write(f"Deleted: {', '.join(map(str, deleted)) or 'none'}.")
        if kept := [str(pk) for pk in ids if pk not in deleted]:
            raise CommandError(
                f"Not deleted: {', '.join(kept)}. They can be read, or there are none "
                "with these ids."
            )
