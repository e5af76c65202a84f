"""Download candles from Binance."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from tradebot.errors import TradeBotError
from tradebot.management.base import DataCommand
from tradebot.management.progress import Progress
from trading.downloads import Download, candles_download
from trading.exchange_info import ExchangeUnavailableError
from trading.management.arguments import (
    add_period_arguments,
    add_series_arguments,
    period_of,
    series_of,
)
from trading.models import CandleSeries, CandleSource


class Command(DataCommand):
    help = (
        "Downloads closed candles from Binance, without anybody's keys: those of a "
        "period that are not stored yet. Can be stopped and run again. Exits with 1 "
        "where the exchange does not answer or other values are stored; what came "
        "before stays. What the exchange does not have is told, and is no failure."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_series_arguments(parser)
        add_period_arguments(parser)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="Ask for what is stored too, and take what the exchange says now.",
        )
        parser.add_argument("--json", action="store_true", help="Print JSON.")

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        period = period_of(options, now=now)
        wanted = series_of(options, source=CandleSource.EXCHANGE)
        total = (period.end - period.start) // wanted.length
        try:
            with Progress(self.stderr, str(wanted), total) as progress:
                download = candles_download(
                    wanted,
                    period,
                    replace=options["replace"],
                    now=now,
                    follow=lambda done, total: progress.update(done, done, total),
                )
        except ExchangeUnavailableError as error:
            when = f" in {error.retry_after_s} s" if error.retry_after_s else " later"
            raise CommandError(
                f"{error} What came before is stored: the same command goes on from "
                f"there{when}."
            ) from error
        except TradeBotError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt as error:
            raise CommandError(
                "Stopped. What came before is stored: the same command goes on."
            ) from error
        self._report(wanted, download, as_json=options["json"])

    def _report(
        self, wanted: CandleSeries, download: Download, *, as_json: bool
    ) -> None:
        stored, period = download.stored, download.period
        if as_json:
            report = {
                "series": str(wanted),
                "from": period.start.isoformat(),
                "to": period.end.isoformat(),
                "added": stored.added,
                "unchanged": stored.unchanged,
                "replaced": stored.replaced,
                "missing": [
                    [time.isoformat() for time in hole] for hole in download.holes
                ],
            }
            self.stdout.write(json.dumps(report, indent=2))
            return
        self.stdout.write(
            f"{wanted}, {period}: {stored.added:,} stored, "
            f"{stored.replaced:,} replaced."
        )
        for hole in download.holes:
            self.stderr.write(f"Binance has no candles from {hole}.")
