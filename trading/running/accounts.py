"""Where a bot's orders go: its account on an exchange, simulated or not."""

from __future__ import annotations

import datetime as dt
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext

from apikeys import crypto
from apikeys.models import APIKey, Environment
from bots.models import BotConfig
from trading.exchanges.base import Exchange
from trading.exchanges.environments import live_permit
from trading.exchanges.paper import PaperExchange
from trading.running.feed import Feed
from trading.running.rules import BotRefusedError, Plan

_KEPT = 100  # connections to exchanges, each for one bot


class Accounts:
    """The accounts of the bots of this process; connections are kept between looks."""

    def __init__(self, feed: Feed, clock: Callable[[], dt.datetime]) -> None:
        self._feed, self._clock = feed, clock
        self._kept: OrderedDict[int, tuple[Any, Exchange]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, bot: BotConfig, plan: Plan) -> Exchange:
        """Return the account of a bot.

        Raises BotRefusedError where it has no key for its environment,
        LiveLockedError where one of the locks of the live exchange is closed, and
        DecryptionError for a key that cannot be read.
        """
        if bot.environment == Environment.PAPER:
            return PaperExchange(bot=bot, plan=plan, feed=self._feed, clock=self._clock)
        key = bot_key(bot)
        # All that the locks look at: whenever it changes, they are asked anew.
        wanted = (
            plan.market,
            bot.environment,
            bot.live_confirmed_at,
            key.pk,
            key.updated_at,
        )
        with self._lock:
            known, exchange = self._kept.pop(bot.pk, (None, None))
            if exchange is None or known != wanted:
                exchange = _connected(bot, plan.market, key)
            self._kept[bot.pk] = wanted, exchange
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return exchange


def bot_key(bot: BotConfig) -> APIKey:
    """Return the key that a bot trades with; raises BotRefusedError."""
    key = bot.api_key
    if key is None or key.user_id != bot.user_id:
        raise BotRefusedError(
            gettext(
                "The bot has no API key. Give it one that is valid for %(environment)s."
            )
            % {"environment": bot.environment}
        )
    if key.environment != bot.environment or key.is_valid is not True:
        raise BotRefusedError(
            gettext(
                "API key %(id)s has not been validated for %(environment)s. Validate "
                "it, or choose another one."
            )
            % {"id": key.pk, "environment": bot.environment}
        )
    return key


def _connected(bot: BotConfig, market: str, key: APIKey) -> Exchange:
    permit = None
    if bot.environment == Environment.LIVE:
        permit = live_permit(
            confirmed_at=bot.live_confirmed_at,
            key_environment=key.environment or "",
            key_is_valid=key.is_valid,
        )
    # ccxt comes with it: not for who has bots on paper alone.
    from trading.exchanges.binance import binance

    return binance(
        market,
        environment=bot.environment,
        api_key=crypto.decrypt(key.encrypted_api_key),
        secret=crypto.decrypt(key.encrypted_secret_key),
        permit=permit,
    )
