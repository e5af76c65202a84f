"""Stop all bots at once, and let them be started again."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from tradebot.management.base import DataCommand
from trading.halts import Halted, trading_halt, trading_lift


class Command(DataCommand):
    help = (
        "Halts trading: switches all bots off, refuses to start any, and has their "
        "orders canceled, those that protect positions too. Until --lift."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--close", action="store_true", help="Close all positions at the market."
        )
        what.add_argument(
            "--keep-protection",
            action="store_true",
            help="Leave the stops and targets behind positions where they are.",
        )
        what.add_argument(
            "--lift",
            action="store_true",
            help="End the halt. Bots stay switched off until they are started.",
        )
        parser.add_argument("--reason", default="", help="Why, for those who ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        by = getpass.getuser()
        if options["lift"]:
            if not trading_lift(by=by):
                raise CommandError("Trading is not halted.")
            self.stdout.write(
                "Lifted. The bots are still switched off: their owners start them."
            )
            return
        halted = trading_halt(
            by=by,
            reason=options["reason"],
            close=options["close"],
            keep_protection=options["keep_protection"],
        )
        for line in told(halted, close=options["close"]):
            self.stdout.write(line)


def told(halted: Halted, *, close: bool) -> list[str]:
    """Say what a halt did, and what is left to whom."""
    lines = [f"Trading is halted. Bots switched off: {halted.stopped}."]
    if not halted.positions:
        return [*lines, "No bot has an open position."]
    if close:
        lines.append("Runners are closing these positions at the market:")
    elif halted.halt.keeps_protection:
        lines.append("These positions are kept, with the orders that protect them:")
    else:
        lines.append("These positions are kept WITHOUT A STOP:")
    lines += [
        f"  {position} ({position.environment}), bot {position.bot_id} "
        f"{position.bot.name!r} of {position.bot.user}"
        for position in halted.positions
    ]
    lines.append(
        "Orders are canceled, and positions closed, as a runner looks at each bot; "
        "where none runs: manage.py runbots."
    )
    return lines
