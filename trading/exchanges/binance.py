"""Accounts at Binance, and what their keys may do.

Which host that is, and whether it may be asked, is up to ``environments``; what is
asked, to ``binance_spot`` and ``binance_futures``; how, to ``binance_client``, which
loads ccxt: import this where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from bots.models import PositionType
from trading.exchanges.base import (
    AuthenticationError,
    Exchange,
    Permissions,
    UnavailableError,
)
from trading.exchanges.binance_account import understood
from trading.exchanges.binance_client import Client
from trading.exchanges.binance_futures import BinanceFutures
from trading.exchanges.binance_spot import BinanceSpot
from trading.exchanges.environments import (
    Environment,
    LivePermit,
    host,
    host_for_validation,
)

# The sections of ccxt's endpoints that a client has, with their paths.
_SPOT = {"public": "/api/v3", "private": "/api/v3"}
_FUTURES = {
    "fapiPublic": "/fapi/v1",
    "fapiPublicV2": "/fapi/v2",
    "fapiPrivate": "/fapi/v1",
    "fapiPrivateV3": "/fapi/v3",
}
# What is asked for a balance.
_FREE = {
    PositionType.SPOT: ["/api/v3/time", "/api/v3/account"],
    PositionType.FUTURES: ["/fapi/v1/time", "/fapi/v3/balance"],
}
_WEIGHT_LIMITS = {PositionType.SPOT: 6000, PositionType.FUTURES: 2400}  # a minute


def binance(
    market: str,
    *,
    environment: str,
    api_key: str,
    secret: str,
    permit: LivePermit | None = None,
) -> Exchange:
    """Return an account on a market (a PositionType).

    Raises LiveLockedError where the environment is live and there is no permit, and
    AuthenticationError for a key or a secret that cannot be one.
    """
    address = host(market, environment, permit)
    is_futures = market == PositionType.FUTURES
    sections = _FUTURES if is_futures else _SPOT
    client = _client(address, market, sections, api_key=api_key, secret=secret)
    return BinanceFutures(client) if is_futures else BinanceSpot(client)


def permissions(*, environment: str, api_key: str, secret: str) -> Permissions:
    """Return what a key may do, for its validation; it changes nothing.

    A live key is asked about where the server's switch is on (LiveLockedError). Raises
    AuthenticationError for one that Binance does not know, and what a question raises.
    """
    if Environment(environment) is Environment.LIVE:
        return _live_permissions(api_key=api_key, secret=secret)
    # The two markets have different keys there, and no withdrawals.
    accounts = {
        PositionType.SPOT: (_SPOT, "privateGetAccount"),
        PositionType.FUTURES: (_FUTURES, "fapiPrivateGetAccountConfig"),
    }
    may: dict[str, bool] = {}
    refused: AuthenticationError | None = None
    for market, (sections, endpoint) in accounts.items():
        address = host_for_validation(market, environment)
        client = _client(address, market, sections, api_key=api_key, secret=secret)
        try:
            with understood(UnavailableError):
                may[market] = client.read(endpoint)["canTrade"] is True
        except AuthenticationError as error:
            refused = error
        finally:
            client.close()
    if not may and refused:
        raise refused
    return Permissions(
        can_trade_spot=may.get(PositionType.SPOT, False),
        can_trade_futures=may.get(PositionType.FUTURES, False),
        can_withdraw=False,
        is_ip_restricted=False,
    )


def free(
    market: str, *, environment: str, api_key: str, secret: str, asset: str
) -> Decimal:
    """Return what can be spent of an asset on a market, by a connection for that alone.

    A live account is asked where the server's switch is on (LiveLockedError).
    """
    address = host_for_validation(market, environment)
    is_futures = market == PositionType.FUTURES
    sections = _FUTURES if is_futures else _SPOT
    client = _client(
        address,
        market,
        sections,
        api_key=api_key,
        secret=secret,
        reachable=_FREE[PositionType(market)],
    )
    account = BinanceFutures(client) if is_futures else BinanceSpot(client)
    try:
        return account.free(asset)
    finally:
        account.close()


def _live_permissions(*, api_key: str, secret: str) -> Permissions:
    address = host_for_validation(PositionType.SPOT, Environment.LIVE)
    client = _client(
        address,
        PositionType.SPOT,
        {"public": "/api/v3", "sapi": "/sapi/v1"},
        api_key=api_key,
        secret=secret,
        reachable=["/api/v3/time", "/sapi/v1/account/apiRestrictions"],
    )
    try:
        with understood(UnavailableError):
            row = client.read("sapiGetAccountApiRestrictions")
            return Permissions(
                can_trade_spot=row["enableSpotAndMarginTrading"] is True,
                can_trade_futures=row["enableFutures"] is True,
                can_withdraw=row["enableWithdrawals"] is not False,
                is_ip_restricted=row["ipRestrict"] is True,
            )
    finally:
        client.close()


def _client(
    address: str,
    market: str,
    sections: dict[str, str],
    *,
    api_key: str,
    secret: str,
    reachable: Sequence[str] = (),
) -> Client:
    is_futures = market == PositionType.FUTURES
    return Client(
        address,
        sections,
        api_key=api_key,
        secret=secret,
        time_endpoint="fapiPublicGetTime" if is_futures else "publicGetTime",
        weight_limit=_WEIGHT_LIMITS[PositionType(market)],
        reachable=reachable or [f"{path}/" for path in sections.values()],
    )
