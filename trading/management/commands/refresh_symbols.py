"""Fetch the symbols of the markets: before the first start, and from cron."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from bots.models import PositionType
from tradebot.management.base import DataCommand
from trading.exchange_info import ExchangeUnavailableError
from trading.models import Symbol, SymbolList
from trading.symbols import symbol_list_create, symbols_claim, symbols_refresh


class Command(DataCommand):
    help = (
        "Fetches the symbols of both markets from Binance, without anybody's keys. "
        "Exits with 1 where one cannot be fetched; what is stored stays then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--market",
            choices=PositionType.values,
            help="Only this one.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = options["market"]
        failed = [
            market
            for market in ([chosen] if chosen else PositionType.values)
            if not self._refresh(market)
        ]
        if failed:
            raise CommandError(f"Not fetched: {', '.join(failed)}. See above for why.")

    def _refresh(self, market: str) -> bool:
        symbol_list_create(market=market)
        claim = symbols_claim(market=market)
        if claim is None:
            row = SymbolList.objects.get(market=market)
            if row.retry_at is None:
                self.stdout.write(
                    f"{market}: another process is fetching it, or has just done so."
                )
                return True
            self.stderr.write(
                f"{market}: the last try failed; the exchange is asked again from "
                f"{row.retry_at:%Y-%m-%d %H:%M:%S} UTC on."
            )
            return False
        try:
            symbols_refresh(market=market, claim=claim)
        except ExchangeUnavailableError as error:
            self.stderr.write(f"{market}: {error}")
            return False
        count = Symbol.objects.filter(market=market).count()
        self.stdout.write(f"{market}: {count} symbols.")
        return True
