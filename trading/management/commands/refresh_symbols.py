"""Fetch the symbols of the markets: before the first start, and from cron."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from bots.models import PositionType
from tradebot.management.base import DataCommand
from trading.exchange_info import ExchangeUnavailableError, address
from trading.models import Symbol, SymbolList
from trading.symbols import symbol_list_create, symbols_claim, symbols_refresh

_TIME = "%Y-%m-%d %H:%M:%S"


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
            raise CommandError(
                f"Not fetched: {', '.join(failed)}. See above for why. If it is not "
                "the exchange, check the network, BINANCE_SPOT_URL and "
                "BINANCE_FUTURES_URL."
            )

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
                f"{market}: {address(market)} was asked at {row.tried_at:{_TIME}} UTC "
                "and did not answer as it should; whoever asked has logged why. It is "
                f"left alone until {row.retry_at:{_TIME}} UTC: try again then."
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
