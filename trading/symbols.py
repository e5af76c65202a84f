"""The symbols of each market as they are stored, and how they are kept up to date.

Whichever process needs them fetches them, one at a time: who may is decided by an
update of the row of the list. A list that has grown old is served while it is fetched.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import threading
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from django.db import DatabaseError, connections, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from bots.models import PositionType
from trading.exchange_info import ExchangeUnavailableError, fetch_symbols
from trading.models import Symbol, SymbolList

logger = logging.getLogger(__name__)

FRESH_FOR = dt.timedelta(minutes=10)
# A try that is older was cut off: longer than one takes.
TRY_FOR = dt.timedelta(seconds=20)
# How long the exchange is left alone after a failure, at least.
RETRY_AFTER = dt.timedelta(seconds=30)
# For those who come while the symbols are fetched for the first time.
FIRST_FETCH_S = 2

# Base assets that come first, in this order.
_PRIORITY = ("BTC", "ETH", "BNB", "SOL", "ADA", "AVAX", "DOT", "MATIC", "LINK", "UNI")
_RANKS = {
    PositionType.SPOT: {base: rank for rank, base in enumerate(_PRIORITY)},
    PositionType.FUTURES: {base: rank for rank, base in enumerate(_PRIORITY[:8])},
}


class Pair(NamedTuple):
    """A symbol as the model has it; a filter that is None is no rule."""

    symbol: str
    base_asset: str
    quote_asset: str
    status: str
    tick_size: Decimal | None
    step_size: Decimal | None
    min_quantity: Decimal | None
    min_notional: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols:
    """The pairs of a market, the best known first; at least one."""

    pairs: list[Pair]
    age: dt.timedelta


def symbols_read(*, market: str) -> Symbols:
    """Return the symbols of a market, those that are stored.

    Where they are stale, a thread is fetching them afterwards. Where there are none
    yet they are fetched here; raises ExchangeUnavailableError where that fails, or
    where somebody else does it: nobody who waits holds a thread.
    """
    row = SymbolList.objects.filter(market=market).first()
    if row is None or row.fetched_at is None:
        row = _first_fetched(market)
    age = _age(row)
    if age >= FRESH_FOR and (claim := symbols_claim(market=market)):
        # Nothing is lost where the process ends before it.
        threading.Thread(
            target=_refresh_beside,
            args=(market, claim),
            name=f"{market} symbols",
            daemon=True,
        ).start()
    ranks = _RANKS[PositionType(market)]
    rows = Symbol.objects.filter(market=market).values_list(*Pair._fields)
    pairs = sorted(
        map(Pair._make, rows),
        key=lambda pair: (ranks.get(pair.base_asset, len(ranks)), pair.symbol),
    )
    return Symbols(pairs=pairs, age=age)


def symbols_claim(*, market: str) -> dt.datetime | None:
    """Take the right to fetch a market for a short time.

    None where another has it, or where the exchange is to be left alone.
    """
    now = timezone.now()
    free = (
        Q(tried_at=None) | Q(tried_at__lte=now - TRY_FOR),
        Q(retry_at=None) | Q(retry_at__lte=now),
    )
    # Looked at first: an update would wait for its turn to write.
    found = SymbolList.objects.filter(*free, market=market)
    if not found.exists() or not found.update(tried_at=now, retry_at=None):
        return None
    return now


def symbols_refresh(*, market: str, claim: dt.datetime) -> None:
    """Fetch the symbols of a market and replace those that are stored, all or none.

    Raises ExchangeUnavailableError; the exchange is left alone for a while then.
    """
    try:
        symbols = fetch_symbols(market)
    except ExchangeUnavailableError as error:
        wait = max(RETRY_AFTER, dt.timedelta(seconds=error.retry_after_s))
        _claimed(market, claim).update(retry_at=timezone.now() + wait)
        raise
    with transaction.atomic():
        # None where this took so long that another began: theirs are newer.
        if _claimed(market, claim).update(fetched_at=timezone.now()):
            Symbol.objects.filter(market=market).delete()
            Symbol.objects.bulk_create(symbols)


def symbol_list_create(*, market: str) -> None:
    """Store that there is a market, once."""
    SymbolList.objects.bulk_create([SymbolList(market=market)], ignore_conflicts=True)


def _claimed(market: str, claim: dt.datetime) -> QuerySet[SymbolList]:
    return SymbolList.objects.filter(market=market, tried_at=claim)


def _first_fetched(market: str) -> SymbolList:
    """Fetch the symbols of a market for the first time, where nobody else does."""
    symbol_list_create(market=market)
    if claim := symbols_claim(market=market):
        try:
            symbols_refresh(market=market, claim=claim)
        except ExchangeUnavailableError as error:
            logger.warning("The symbols cannot be fetched: %s", error)
    row = SymbolList.objects.get(market=market)
    if row.fetched_at is not None:
        return row
    wait_s = float(FIRST_FETCH_S)
    if row.retry_at is not None:
        wait_s = (row.retry_at - timezone.now()).total_seconds()
    raise ExchangeUnavailableError(
        "The exchange has not told its symbols yet.",
        retry_after_s=max(math.ceil(wait_s), 1),
    )


def _refresh_beside(market: str, claim: dt.datetime) -> None:
    try:
        symbols_refresh(market=market, claim=claim)
    except ExchangeUnavailableError as error:
        logger.warning("The symbols stay as they are: %s", error)
    except DatabaseError:
        logger.exception("The symbols of the %s market cannot be stored", market)
    finally:
        connections.close_all()  # those of this thread


def _age(row: SymbolList) -> dt.timedelta:
    assert row.fetched_at is not None  # noqa: S101  # the callers have looked
    # The clock of the process that fetched them may be ahead.
    return max(timezone.now() - row.fetched_at, dt.timedelta())
