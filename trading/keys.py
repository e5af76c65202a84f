"""What an exchange says of stored keys: what they may do, and what is in the account.

It is asked outside of transactions, for as long as it takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext

from accounts.models import User
from apikeys import crypto, services
from apikeys.models import APIKey, Environment
from bots.models import PositionType
from tradebot.errors import ConflictError, RefusedError, TemporaryError
from trading.exchanges import connect
from trading.exchanges.base import AuthenticationError, Permissions

CURRENCY = "USDT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What can be spent, in CURRENCY: 0 where the key is not for a market."""

    spot: Decimal
    futures: Decimal
    markets: list[str]
    """Those that the key is for."""


def api_key_create(
    *, user: User, values: Mapping[str, Any]
) -> tuple[APIKey, TemporaryError | None]:
    """Store a key that the exchange accepts; one for paper is not shown to it.

    Where it cannot be asked now, the key is stored and is not valid until it has been
    asked; why is returned as well. Raises RefusedError, and ConflictError as
    ``apikeys.services`` does.
    """
    environment = values.get("environment", Environment.TESTNET)
    words = fault = None
    if environment != Environment.PAPER:
        try:
            words = _accepted(values["api_key"], values["secret_key"], environment)
        except TemporaryError as error:  # it can be asked later
            fault = error
    key = services.api_key_create(user=user, values=values)
    if words is not None:
        key = services.api_key_accept(api_key=key, permissions=words)
    return key, fault


def api_key_validate(*, api_key: APIKey) -> APIKey:
    """Ask the exchange about a key and store what it says.

    Raises RefusedError where it does not accept the key, or where the key may do what
    no bot needs; it is not valid then. Raises ExchangeError where the exchange cannot
    be asked, ConflictError where the key was changed meanwhile or cannot be read.
    """
    if api_key.environment not in (Environment.TESTNET, Environment.LIVE):
        raise RefusedError(
            gettext(
                "Only keys for testnet or live are shown to the exchange. Set the "
                "environment of this one first."
            )
        )
    try:
        words = _accepted(*_credentials(api_key), api_key.environment)
    except RefusedError:
        services.api_key_accept(api_key=api_key, permissions=None)
        raise
    return services.api_key_accept(api_key=api_key, permissions=words)


def balance_read(*, api_key: APIKey) -> Balance:
    """Return what the account of a key has to spend.

    Raises RefusedError for a key for paper, ConflictError for one that cannot be read,
    and ExchangeError.
    """
    if api_key.environment == Environment.PAPER:
        raise RefusedError(
            gettext(
                "This API key is for paper: there is no account behind it. Bots on "
                "paper have what their initial_capital says."
            )
        )
    public, secret = _credentials(api_key)
    free = dict.fromkeys(PositionType.values, Decimal(0))
    known = api_key.permissions
    markets = [market for market in free if known is None or market in known]
    for market in markets:
        free[market] = connect.free_ask(
            api_key=public,
            secret_key=secret,
            environment=api_key.environment or Environment.TESTNET,
            market=market,
            asset=CURRENCY,
        )
    return Balance(**free, markets=markets)


def _accepted(api_key: str, secret_key: str, environment: str) -> list[str]:
    """Return what a key may do, in words; raises RefusedError, ExchangeError."""
    try:
        told = connect.permissions_ask(
            api_key=api_key, secret_key=secret_key, environment=environment
        )
    except AuthenticationError as error:
        raise RefusedError(
            gettext(
                "The API key is invalid: the exchange does not accept it for "
                "%(environment)s. Check that it was copied whole, that it is for this "
                "environment, and from which addresses it may be used."
            )
            % {"environment": environment}
        ) from error
    if told.can_withdraw:
        raise RefusedError(
            gettext(
                "This API key may withdraw funds, which no bot needs. Take that right "
                "away from it at the exchange, or make another key."
            )
        )
    words = _words(told)
    if not {"spot", "futures"}.intersection(words):
        raise RefusedError(
            gettext(
                "This API key may not trade. Give it that right at the exchange, or "
                "make another key."
            )
        )
    return words


def _words(told: Permissions) -> list[str]:
    """Return permissions as they are stored; markets by their names."""
    return [
        word
        for word, holds in (
            (PositionType.SPOT.value, told.can_trade_spot),
            (PositionType.FUTURES.value, told.can_trade_futures),
            ("ip_restricted", told.is_ip_restricted),
        )
        if holds
    ]


def _credentials(key: APIKey) -> tuple[str, str]:
    try:
        return (
            crypto.decrypt(key.encrypted_api_key),
            crypto.decrypt(key.encrypted_secret_key),
        )
    except crypto.DecryptionError as error:
        raise ConflictError(
            gettext(
                "This server cannot read the API key any more. Store it anew, or ask "
                "the operator, who finds it with manage.py rotate_keys --dry-run."
            )
        ) from error
