"""Questions to Binance through ccxt: where to, how often, and what has gone wrong.

What is asked is up to ``binance.py``. Loads ccxt, which takes half a second and 76 MB:
to be imported where it is used.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import ccxt
from requests import exceptions as http
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from trading.exchange_info import cause_of, seconds
from trading.exchanges.base import (
    ACCEPTED_FOR,
    AmbiguousError,
    AuthenticationError,
    RejectedError,
    UnavailableError,
)

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
# How often and how long a question is asked anew, and the longest waits in between.
ATTEMPTS = 4
REPEAT_FOR_S = 25.0
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 4.0
LEFT_ALONE_S = 60  # where it does not say for how long it wants to be

# Binance takes what is up to a second ahead of its own clock: with that second it is
# ACCEPTED_FOR by ours, whichever of them is wrong.
RECV_WINDOW = ACCEPTED_FOR - dt.timedelta(seconds=1)

_MILLISECOND = dt.timedelta(milliseconds=1)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SHOWN = 300  # characters of what the exchange says
_MALFORMED_KEY = "The API key or its secret is malformed."

# The codes of https://developers.binance.com/docs/binance-spot-api-docs/errors and of
# its page on futures. What is in none of these sets is a refusal for good.
_NOT_NOW = {-1003, -1008, -1015, -1016}
_WRONG_TIME = {-1021, -5028}
_NOT_KNOWN = {-1000, -1001, -1006, -1007}
_WRONG_KEY = {-1002, -1022, -2014, -2015}
_DUPLICATE = {-4116, -20132}
_BLOCKED = {403, 451}


class _WrongTimeError(UnavailableError):
    """The two clocks differ, or the request was under way for too long."""


@dataclass
class _Host:
    """What this process knows of a host, whichever account asks it."""

    clock_ahead_ms: int = 0  # of ours
    left_alone_until: float = 0  # by the monotonic clock
    no_questions_until: float = 0


_hosts: dict[str, _Host] = defaultdict(_Host)


class _Adapter(HTTPAdapter):
    """Connections with time-outs of their own for connecting and for an answer."""

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        options["timeout"] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().send(request, *args, **options)


class Client:
    """One account on one host. Raises the errors of ``base`` alone: AuthenticationError
    at once, where a key cannot be one.

    ``sections`` are those of ccxt's endpoints that exist for it, with their paths, and
    ``reachable`` what its addresses have to begin with: whatever ccxt would be told to
    do, no connection to another address can be made. ``weight_limit`` is how much a
    minute may weigh.
    """

    def __init__(
        self,
        host: str,
        sections: Mapping[str, str],
        *,
        api_key: str,
        secret: str,
        time_endpoint: str,
        weight_limit: int,
        reachable: Iterable[str],
    ) -> None:
        self._ccxt = ccxt.binance(
            {"apiKey": api_key, "secret": secret, "enableRateLimit": False}
        )
        self._ccxt.urls = {
            "api": {section: f"{host}{path}" for section, path in sections.items()}
        }
        self._ccxt.handle_errors = self._judge
        self._check(api_key, next(name for name in sections if "ublic" not in name))
        session = self._ccxt.session
        session.max_redirects = 0
        session.adapters.clear()
        for path in reachable:
            session.mount(f"{host}{path}", _Adapter())
        self._address = host
        self._host = _hosts[host]
        self._time_endpoint = time_endpoint
        self._weight_limit = weight_limit

    def close(self) -> None:
        self._ccxt.session.close()

    def read(self, endpoint: str, *, urgent: bool = False, **parameters: Any) -> Any:
        """Return the answer to a question that changes nothing, asked anew for a while.

        Raises UnavailableError where there is none. What is not ``urgent`` leaves the
        last tenth of a minute's weight to what is.
        """
        if not urgent:
            _refuse_until(self._host.no_questions_until)
        try:
            return self.repeat(endpoint, **parameters)
        except AmbiguousError as error:
            raise UnavailableError(str(error)) from error

    def repeat(self, endpoint: str, **parameters: Any) -> Any:
        """Ask for something of which twice is no more than once."""
        until = time.monotonic() + REPEAT_FOR_S
        for attempt in itertools.count(1):
            try:
                return self.once(endpoint, **parameters)
            except (UnavailableError, AmbiguousError) as error:
                wait = max(backoff(attempt), getattr(error, "retry_after_s", 0))
                if attempt == ATTEMPTS or time.monotonic() + wait > until:
                    raise
                time.sleep(wait)

    def once(
        self, endpoint: str, *, signed_at: dt.datetime | None = None, **parameters: Any
    ) -> Any:
        """Ask for something a single time.

        One that is ``signed_at`` a time is refused by Binance ACCEPTED_FOR later.
        """
        _refuse_until(self._host.left_alone_until)
        if "ublic" not in endpoint:
            now = signed_at or dt.datetime.now(dt.UTC)
            parameters["timestamp"] = (
                now - _EPOCH
            ) // _MILLISECOND + self._host.clock_ahead_ms
            parameters["recvWindow"] = RECV_WINDOW // _MILLISECOND
        try:
            return getattr(self._ccxt, endpoint)(parameters)
        except _WrongTimeError:
            self._set_clock()
            raise
        except (ccxt.NetworkError, ccxt.ExchangeError) as error:
            raise self._undelivered(error) from error

    def _undelivered(self, error: Exception) -> Exception:
        """Return what it means that there is no answer."""
        cause = error.__cause__
        first = cause.args[0] if cause and cause.args else None
        told = cause_of(error) or type(cause or error).__name__
        if isinstance(cause, http.ConnectTimeout) or isinstance(
            getattr(first, "reason", None), NewConnectionError
        ):
            return UnavailableError(
                f"Binance cannot be reached at {self._address}: {told}."
            )
        return AmbiguousError(f"Binance has not answered at {self._address}: {told}.")

    def _check(self, api_key: str, section: str) -> None:
        """Raise AuthenticationError for a key that cannot sign.

        Later it would not be known whether something was sent before it failed.
        """
        try:
            self._ccxt.sign("", [section])
            signs = re.fullmatch("[!-~]+", api_key) is not None
        except Exception as error:
            raise AuthenticationError(_MALFORMED_KEY) from error
        if not signs:
            raise AuthenticationError(_MALFORMED_KEY)

    def _set_clock(self) -> None:
        before = time.time()
        try:
            server = int(getattr(self._ccxt, self._time_endpoint)()["serverTime"])
        except (
            ccxt.BaseError,
            UnavailableError,
            AmbiguousError,
            RejectedError,
            KeyError,
            TypeError,
            ValueError,
        ):
            return  # the next that is refused will try again
        ours = (before + time.time()) / 2
        self._host.clock_ahead_ms = server - round(ours * 1000)

    def _judge(
        self,
        status: int,
        reason: str,
        url: str,
        method: str,
        headers: Mapping[str, str],
        body: str,
        answer: Any,
        *sent: Any,
    ) -> None:
        """Raise what an answer means, in place of ccxt, which goes by its words."""
        self._weigh(headers)
        code = _code(answer)
        if code is None and status < 400:
            if answer is None:
                raise AmbiguousError("Binance's answer is malformed: it is no JSON.")
            return
        # What is no JSON is the page of something on the way.
        said = f": {answer.get('msg', '')}" if code is not None else f" {reason}."
        message = f"Binance answers {status}{said[:_SHOWN]}"
        if status in {418, 429}:
            wait = seconds(headers.get("Retry-After", "")) or LEFT_ALONE_S
            self._host.left_alone_until = time.monotonic() + wait
            raise UnavailableError(message, retry_after_s=wait)
        raise _error(status, code, message)

    def _weigh(self, headers: Mapping[str, str]) -> None:
        used = seconds(headers.get("X-MBX-USED-WEIGHT-1M", ""))
        if used > self._weight_limit * 0.9:
            self._host.no_questions_until = time.monotonic() + 60 - time.time() % 60


def backoff(attempt: int) -> float:
    """Return how many seconds to wait after an attempt: any up to a doubling bound, so
    that those who failed together do not come back together.
    """
    bound = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
    return random.uniform(0, bound)  # noqa: S311  # nothing secret


def _refuse_until(then: float) -> None:
    left = math.ceil(then - time.monotonic())
    if left > 0:
        raise UnavailableError(
            f"Binance wants to be left alone for {left} s.", retry_after_s=left
        )


def _code(answer: Any) -> int | None:
    """Return the number of an error; one that succeeds may have 200."""
    try:
        code = int(answer["code"])
    except (KeyError, TypeError, ValueError):
        return None
    return code if code < 0 else None


def _error(status: int, code: int | None, message: str) -> Exception:
    if code in _WRONG_TIME:
        return _WrongTimeError(message)
    if code in _NOT_NOW or status in _BLOCKED:
        return UnavailableError(message)
    if code in _WRONG_KEY or status == 401:
        return AuthenticationError(message)
    # Whoever gets that has sent it once: something on the way has doubled it.
    if code in _DUPLICATE or (code == -2010 and "uplicate" in message):
        return AmbiguousError(message)
    if code is None or code in _NOT_KNOWN or status >= 500:
        return AmbiguousError(message)
    return RejectedError(message, code=code)
