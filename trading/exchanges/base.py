"""What a bot asks of an exchange, whichever it is, and how an exchange may fail.

One object is one account on one market. Quantities are in the base asset, prices in
the quote asset; both are Decimal, and multiples of what the symbol's filters ask for.
Times are UTC.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from tradebot.errors import TemporaryError, TradeBotError

# How long after ``Order.signed_at`` an exchange may still take an order. One that comes
# later is refused, whatever has held it up: so one that is not there by then never will
# be. Binance calls it recvWindow.
ACCEPTED_FOR = dt.timedelta(seconds=5)


class Side(StrEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class OrderKind(StrEnum):
    """What makes an order execute."""

    MARKET = "MARKET"  # at once, at what the market pays
    STOP = "STOP"  # a market order once the price has come to the trigger
    LIMIT = "LIMIT"  # in the book, at its price or better


class ReportStatus(StrEnum):
    """What has become of an order, as the exchange tells."""

    OPEN = "OPEN"  # in the book, perhaps filled in part
    FILLED = "FILLED"
    CANCELED = "CANCELED"  # perhaps filled in part
    REJECTED = "REJECTED"  # nothing of it was filled


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """An order as it is sent. ``client_id`` is ours, 36 characters at most.

    ``price`` is the trigger of a STOP, the limit of a LIMIT, None for MARKET. A
    ``reduce_only`` order can close a position on futures and never opens one.
    """

    client_id: str
    symbol: str
    side: Side
    kind: OrderKind
    quantity: Decimal
    price: Decimal | None = None
    reduce_only: bool = False
    signed_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReport:
    """One execution of an order, or of a part of it."""

    trade_id: str  # of the exchange; once per order
    price: Decimal
    quantity: Decimal
    commission: Decimal
    commission_asset: str
    filled_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """An order as the exchange knows it, with all its executions so far."""

    client_id: str
    order_id: str  # of the exchange
    status: ReportStatus
    fills: Sequence[FillReport] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """What an API key may do, as the exchange tells."""

    can_trade_spot: bool
    can_trade_futures: bool
    can_withdraw: bool
    is_ip_restricted: bool


class Exchange(Protocol):
    """An account on one market. Every question may raise an ExchangeError.

    A question may be asked again. An order may not: after AmbiguousError it is looked
    for by its client id.
    """

    def send(self, order: OrderRequest) -> OrderReport:
        """Send an order; return what became of it so far.

        Raises RejectedError where it was refused, AmbiguousError where it may have been
        taken.
        """

    def send_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        """Send two orders that close one position; what executes first cancels the
        other. Raises like ``send``; both are taken, or none.

        On futures the exchange does not couple them: whoever sent them cancels the one
        that is left.
        """

    def find(self, symbol: str, client_id: str) -> OrderReport | None:
        """Return an order, open or not; None where it never arrived."""

    def cancel(self, symbol: str, client_id: str) -> None:
        """Cancel an order, and on spot the other one of its pair.

        Nothing happens where it is not open any more; ``find`` tells why.
        """

    def held(self, symbol: str) -> Decimal:
        """Return what there is of a symbol: base coins, free or not, on spot; the
        position on futures, negative for a short.
        """

    def free(self, asset: str) -> Decimal:
        """Return what can be spent of an asset."""

    def price(self, symbol: str) -> Decimal:
        """Return the last price."""

    def liquidations(self, symbol: str, since: dt.datetime) -> Sequence[OrderReport]:
        """Return the orders by which the exchange itself closed a position since then.

        There are none on spot.
        """

    def prepare(self, symbol: str, leverage: int) -> None:
        """Set leverage, isolated margin and one-way mode on futures, and read them
        back; nothing on spot. Raises RejectedError where they do not hold.
        """

    def close(self) -> None:
        """Let go of connections."""


class ExchangeError(TradeBotError):
    """An exchange did not do what it was asked; the message says what it told.

    The message may be shown to the owner of the account and holds no secret.
    """


class UnavailableError(ExchangeError, TemporaryError):
    """It did not answer, or not now: nothing has happened there.

    ``retry_after_s`` is for how many seconds it wants to be left alone.
    """

    def __init__(self, message: str, *, retry_after_s: int = 0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class AmbiguousError(ExchangeError, TemporaryError):
    """It is not known whether an order was taken."""


class RejectedError(ExchangeError):
    """It refused; the same again would be refused again. ``code`` is its number."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class AuthenticationError(ExchangeError):
    """It does not accept the key: unknown, expired, not for this address, or not for
    what was asked.
    """
