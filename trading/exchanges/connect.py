"""Logging in to an exchange with stored credentials."""

from __future__ import annotations

from tradebot.errors import TradeBotError
from trading.exchanges.base import Exchange, Permissions


class NotConnectedError(TradeBotError):
    """This version does not log in to an exchange."""


def permissions_ask(*, api_key: str, secret_key: str, environment: str) -> Permissions:
    """Ask what a key may do; raises AuthenticationError, UnavailableError."""
    raise NotConnectedError(NotConnectedError.__doc__)


def account_open(
    *, api_key: str, secret_key: str, environment: str, market: str
) -> Exchange:
    """Return the account of a key on a market."""
    raise NotConnectedError(NotConnectedError.__doc__)
