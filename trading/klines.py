"""Candles as Binance tells them to everybody, asked for through ccxt.

Asked without anybody's keys, and as Binance sends them: ccxt's own candles are floats.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django.conf import settings

from bots.models import PositionType
from tradebot.errors import TradeBotError
from trading.candles import (
    EPOCH,
    NUMBERS,
    BadCandleError,
    CandleRow,
    Period,
    candle_row,
)
from trading.exchange_info import ExchangeUnavailableError, cause_of, seconds
from trading.models import CandleSeries

PAGE = 1000  # candles in one answer; more cost a multiple of it
TIMEOUT_S = 10

_MILLISECOND = dt.timedelta(milliseconds=1)
_SHOWN = 300  # characters of what the exchange says


class ExchangeRefusedError(TradeBotError):
    """The exchange does not do what was asked, however often: the message says why."""


class Klines:
    """One market of Binance. Every question may raise ExchangeUnavailableError, after
    which the same may be asked again, and ExchangeRefusedError.
    """

    def __init__(self, market: str) -> None:
        # Here, because it takes 0.4 s and 70 MB, which nobody else should pay.
        import ccxt

        self._errors = ccxt
        options = {"timeout": TIMEOUT_S * 1000}
        if market == PositionType.FUTURES:
            self._client = ccxt.binanceusdm(options)
            self._client.urls["api"]["fapiPublic"] = (
                f"{settings.BINANCE_FUTURES_URL}/fapi/v1"
            )
            self._time = self._client.fapiPublicGetTime
            self._klines = self._client.fapiPublicGetKlines
            self._price = self._client.fapiPublicGetTickerPrice
        else:
            self._client = ccxt.binance(options)
            self._client.urls["api"]["public"] = f"{settings.BINANCE_SPOT_URL}/api/v3"
            self._time = self._client.publicGetTime
            self._klines = self._client.publicGetKlines
            self._price = self._client.publicGetTickerPrice

    def close(self) -> None:
        self._client.session.close()

    def now(self) -> dt.datetime:
        """Return the time by the clock of the exchange."""
        answer = self._ask(self._time, {})
        try:
            return EPOCH + int(answer["serverTime"]) * _MILLISECOND
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise _malformed(answer) from error

    def price(self, symbol: str) -> Decimal:
        """Return the last price of a symbol, in its quote asset."""
        answer = self._ask(self._price, {"symbol": symbol})
        try:
            price = Decimal(answer["price"])
        except (KeyError, TypeError, ArithmeticError) as error:
            raise _malformed(answer) from error
        if not (price.is_finite() and price > 0):
            raise _malformed(answer)
        return price

    def page(
        self, series: CandleSeries, period: Period, *, now: dt.datetime
    ) -> list[CandleRow]:
        """Return the first candles of a period, all of which have closed by ``now``.

        PAGE of them at most, the oldest first; fewer are all that there are.
        """
        answer = self._ask(
            self._klines,
            {
                "symbol": series.symbol,
                "interval": series.interval,
                "startTime": (period.start - EPOCH) // _MILLISECOND,
                "endTime": (period.end - EPOCH) // _MILLISECOND - 1,
                "limit": PAGE,
            },
        )
        rows: list[CandleRow] = []
        earliest = period.start
        try:
            for open_time, *numbers in answer:
                row = candle_row(
                    EPOCH + int(open_time) * _MILLISECOND,
                    numbers[: len(NUMBERS)],
                    length=series.length,
                    now=now,
                )
                if not earliest <= row.open_time < period.end:
                    raise BadCandleError("it is out of order or was not asked for")
                earliest = row.open_time + series.length
                rows.append(row)
        except (BadCandleError, TypeError, ValueError, OverflowError) as error:
            raise _malformed(error) from error
        return rows

    def _ask(self, question: Any, parameters: dict[str, Any]) -> Any:
        self._client.last_response_headers = None
        try:
            return question(parameters)
        except self._errors.NetworkError as error:
            headers = self._client.last_response_headers or {}
            cause = cause_of(error)
            raise ExchangeUnavailableError(
                f"Binance does not answer: {str(error)[:_SHOWN]}"
                + (f": {cause}." if cause else ""),
                retry_after_s=seconds(headers.get("Retry-After", "")),
            ) from error
        except self._errors.BaseError as error:
            raise ExchangeRefusedError(
                f"Binance refuses it: {str(error)[:_SHOWN]}"
            ) from error


def _malformed(what: Any) -> ExchangeUnavailableError:
    return ExchangeUnavailableError(
        f"Binance's answer is malformed: {str(what)[:_SHOWN]}"
    )
