"""Which exchange is real: the environments, their hosts, and the lock on the live one.

The only place that knows a host to which orders go. Every client of an account asks
``host`` for its own, and can reach no other.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from django.conf import settings
from django.utils.translation import gettext

from bots.models import PositionType
from tradebot.errors import RefusedError


class Environment(StrEnum):
    TESTNET = "testnet"  # real orders with money that is none
    LIVE = "live"


_LIVE_HOSTS = {
    PositionType.SPOT: "https://api.binance.com",
    PositionType.FUTURES: "https://fapi.binance.com",
}


class LiveLockedError(RefusedError):
    """Real money is locked away; the message says what is missing."""


class LivePermit:
    """Leave to send orders for real money. Only ``live_permit`` makes one."""

    __slots__ = ()

    def __init__(self) -> None:
        raise TypeError("A LivePermit is given by live_permit() alone.")


def live_permit(
    *, confirmed_at: dt.datetime | None, key_environment: str, key_is_valid: bool
) -> LivePermit:
    """Return leave to trade live for a bot and its key.

    ``confirmed_at`` is when the owner confirmed it on that bot, the other two are what
    the validation of the key has found. Raises LiveLockedError where one of the three
    locks is closed: the server's switch, the owner's confirmation, the key.
    """
    check_switch()
    if confirmed_at is None:
        raise LiveLockedError(
            gettext(
                "The bot trades for real money only after its owner has confirmed that."
            )
        )
    if key_environment != Environment.LIVE or key_is_valid is not True:
        raise LiveLockedError(
            gettext(
                "The bot trades for real money only with an API key validated as live."
            )
        )
    return object.__new__(LivePermit)


def check_switch() -> None:
    """Raise LiveLockedError where this server has nothing to do with real money."""
    if settings.LIVE_TRADING_ENABLED is not True:
        raise LiveLockedError(
            gettext(
                "This server does not trade for real money: LIVE_TRADING_ENABLED is "
                "off."
            )
        )


def host(market: str, environment: str, permit: LivePermit | None) -> str:
    """Return the scheme and host to which orders of a market go.

    Raises LiveLockedError for the live one without a permit.
    """
    if Environment(environment) is Environment.TESTNET:
        if market == PositionType.FUTURES:
            return settings.BINANCE_TESTNET_FUTURES_URL
        return settings.BINANCE_TESTNET_SPOT_URL
    if type(permit) is not LivePermit:
        raise LiveLockedError("Nothing is sent to the live exchange without a permit.")
    check_switch()
    return _LIVE_HOSTS[PositionType(market)]


def host_for_validation(market: str, environment: str) -> str:
    """Return the host that is asked what a key may do.

    A live key cannot be valid before: the server's switch is enough, for questions
    about the key alone.
    """
    if Environment(environment) is Environment.TESTNET:
        return host(market, environment, None)
    check_switch()
    return _LIVE_HOSTS[PositionType(market)]
