"""What can be traded: the public ``exchangeInfo`` of Binance, fetched and checked.

Asked without the keys of a user. What is stored of it is up to ``trading.symbols``.
"""

from __future__ import annotations

import re
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from decimal import Decimal
from http.client import HTTPException, HTTPResponse
from typing import Any

import msgspec
from django.conf import settings

from bots.models import PositionType
from tradebot.errors import TemporaryError
from trading.models import Symbol

TIMEOUT_S = 10
MAX_BYTES = 64 * 2**20  # unpacked; the whole spot market is a quarter of that

_QUOTE_ASSET = "USDT"
_MAX_DIGITS = 30  # on either side of the decimal point
# Letters of any script: some assets have Chinese names.
_NAME = re.compile(r"[\w.-]{1,64}")


class ExchangeUnavailableError(TemporaryError):
    """The exchange did not answer, or not as it should.

    ``retry_after_s`` is for how many seconds it wants to be left alone, if it said so.
    """

    def __init__(self, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class _Filter(msgspec.Struct, rename="camel", frozen=True):
    filter_type: str
    tick_size: Decimal | None = None
    step_size: Decimal | None = None
    min_qty: Decimal | None = None
    min_notional: Decimal | None = None  # spot
    notional: Decimal | None = None  # futures


class _Pair(msgspec.Struct, rename="camel", frozen=True):
    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    filters: list[_Filter]
    contract_type: str | None = None  # futures


class _ExchangeInfo(msgspec.Struct, frozen=True):
    symbols: list[_Pair]


_decoder = msgspec.json.Decoder(_ExchangeInfo)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Leave a redirect what it is, an answer other than 200."""

    def redirect_request(self, *args: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


def fetch_symbols(market: str) -> list[Symbol]:
    """Return what is traded against USDT on a market at the moment, not stored.

    Raises ExchangeUnavailableError where there is no answer, or one of which anything
    is not as documented: half a list would look like the whole.
    """
    body = _fetch(address(market))
    try:
        pairs = _decoder.decode(body).symbols
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExchangeUnavailableError(
            f"The {market} exchangeInfo is malformed: {error}"
        ) from error
    symbols = [_symbol(market, pair) for pair in pairs if _is_wanted(market, pair)]
    if not symbols:
        raise ExchangeUnavailableError(
            f"The {market} exchangeInfo has nothing that is traded against USDT."
        )
    if len({symbol.symbol for symbol in symbols}) < len(symbols):
        raise ExchangeUnavailableError(f"The {market} exchangeInfo repeats a symbol.")
    return symbols


def address(market: str) -> str:
    """Return where the exchangeInfo of a market is."""
    if market == PositionType.FUTURES:
        return f"{settings.BINANCE_FUTURES_URL}/fapi/v1/exchangeInfo"
    return f"{settings.BINANCE_SPOT_URL}/api/v3/exchangeInfo"


def _fetch(url: str) -> bytes:
    until = time.monotonic() + TIMEOUT_S
    request = urllib.request.Request(  # noqa: S310  # the settings allow https only
        url, headers={"Accept-Encoding": "gzip", "User-Agent": "TradeBot"}
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_S) as response:
            return _read(response, until)
    except urllib.error.HTTPError as error:
        with error:
            raise ExchangeUnavailableError(
                f"{url} answered {error.code} {error.reason}.",
                retry_after_s=seconds(error.headers.get("Retry-After", "")),
            ) from error
    except (OSError, HTTPException, zlib.error) as error:
        cause = cause_of(error) or str(error)
        raise ExchangeUnavailableError(f"{url} cannot be read: {cause}.") from error


def _read(response: HTTPResponse, until: float) -> bytes:
    """Return a body, unpacked; raises OSError for one that is too large or too slow."""
    unpack: Callable[[bytes, int], bytes] = lambda chunk, limit: chunk  # noqa: E731
    if response.headers.get("Content-Encoding") == "gzip":
        unpack = zlib.decompressobj(wbits=31).decompress
    body = bytearray()
    while chunk := response.read1(2**16):
        body += unpack(chunk, MAX_BYTES - len(body) + 1)
        if len(body) > MAX_BYTES:
            raise OSError(f"the answer has more than {MAX_BYTES} bytes")
        # The timeout of the socket begins anew with each part.
        if time.monotonic() > until:
            raise TimeoutError(f"the answer took more than {TIMEOUT_S} s")
    return bytes(body)


def cause_of(error: BaseException) -> str:
    """Return why nothing was answered in the words of the system; "" without any.

    Not in those of a library for HTTP, which have the whole address in them, with what
    was signed.
    """
    chain = [error]
    for each in chain:  # grows meanwhile
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"the certificate is not accepted: {each.verify_message}"
        if isinstance(each, OSError) and not _is_of_a_library(each):
            text = each.strerror or (each.args[0] if each.args else None)
            if isinstance(text, str):
                return text
        inner = (each.__cause__, each.__context__, getattr(each, "reason", None))
        chain += [
            one
            for one in (*inner, *each.args)
            if isinstance(one, BaseException) and one not in chain
        ]
    return ""


def _is_of_a_library(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] in {"requests", "urllib3", "ccxt"}


def seconds(text: str) -> int:
    """Return the seconds of a Retry-After header; 0 where it has none."""
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else 0


def _is_wanted(market: str, pair: _Pair) -> bool:
    return (
        pair.status == "TRADING"
        and pair.quote_asset == _QUOTE_ASSET
        and (market != PositionType.FUTURES or pair.contract_type == "PERPETUAL")
    )


def _symbol(market: str, pair: _Pair) -> Symbol:
    if not (_NAME.fullmatch(pair.symbol) and _NAME.fullmatch(pair.base_asset)):
        raise ExchangeUnavailableError(
            f"The {market} exchangeInfo has a name that is none: {pair.symbol!r:.80}."
        )
    none = _Filter("")
    filters = {each.filter_type: each for each in pair.filters}
    lot = filters.get("LOT_SIZE", none)
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL", none)
    return Symbol(
        market=market,
        symbol=pair.symbol,
        base_asset=pair.base_asset,
        quote_asset=pair.quote_asset,
        status=pair.status,
        tick_size=_rule(filters.get("PRICE_FILTER", none).tick_size),
        step_size=_rule(lot.step_size),
        min_quantity=_rule(lot.min_qty),
        min_notional=_rule(notional.min_notional or notional.notional),
    )


def _rule(value: Decimal | None) -> Decimal | None:
    """Return the number of a rule; zero switches it off."""
    if not value:
        return None
    exponent = value.as_tuple().exponent
    if (
        not isinstance(exponent, int)  # NaN or infinity
        or value < 0
        or value.adjusted() >= _MAX_DIGITS
        or exponent < -_MAX_DIGITS
    ):
        raise ExchangeUnavailableError(
            "The exchangeInfo has a rule that is no positive number."
        )
    return value
