"""Make up candles."""

from __future__ import annotations

from argparse import ArgumentTypeError
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from tradebot.errors import ConflictError
from tradebot.management.base import DataCommand
from trading.management.arguments import (
    add_period_arguments,
    add_series_arguments,
    period_of,
    seed,
    series_of,
)
from trading.models import CandleSource
from trading.synthetic import candles_make, check_base_price


class Command(DataCommand):
    help = (
        "Makes up candles from a seed. They are a series of their own, marked as "
        "synthetic, and are never taken for real ones; the same command makes the same "
        "candles. A later --to goes on with a series."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_series_arguments(parser)
        add_period_arguments(parser)
        parser.add_argument("--seed", type=seed, required=True)
        parser.add_argument(
            "--base-price",
            type=_base_price,
            required=True,
            help="What the first candle opens at, in the quote asset.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        period = period_of(options, now=now)
        wanted = series_of(
            options,
            source=CandleSource.SYNTHETIC,
            seed=options["seed"],
            base_price=options["base_price"],
        )
        try:
            stored = candles_make(wanted, period, now=now)
        except ConflictError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{wanted}, up to {period.end:%Y-%m-%d %H:%M} UTC: {stored.added:,} made, "
            f"{stored.unchanged:,} were there."
        )


def _base_price(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not check_base_price(value):
        raise ArgumentTypeError(
            f"{text!r:.40} is no base price; expected one from 1e-9 to 1e9, as 40000"
        )
    return value
