"""Asking an exchange about a key outside of trading: what it may do, what there is.

Nothing here can send an order: the connections reach no such address. ccxt, which takes
half a second and 76 MB, is loaded with the first question.
"""

from __future__ import annotations

from decimal import Decimal

from trading.exchanges.base import Permissions


def permissions_ask(*, api_key: str, secret_key: str, environment: str) -> Permissions:
    """Ask what a key may do; raises AuthenticationError, UnavailableError, and
    LiveLockedError for a live key on a server that has nothing to do with real money.
    """
    from trading.exchanges.binance import permissions

    return permissions(environment=environment, api_key=api_key, secret=secret_key)


def free_ask(
    *, api_key: str, secret_key: str, environment: str, market: str, asset: str
) -> Decimal:
    """Ask what can be spent of an asset; raises like ``permissions_ask``."""
    from trading.exchanges.binance import free

    return free(
        market, environment=environment, api_key=api_key, secret=secret_key, asset=asset
    )
