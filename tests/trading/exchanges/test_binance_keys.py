"""API keys: those that are none, and what the others may do."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fake_exchange import FakeBinance, Key
from tests.processes import ROOT, SECRETS, environment
from tests.trading.exchanges.conftest import Connect
from tests.trading.exchanges.orders import order
from trading.exchanges.base import (
    AuthenticationError,
)
from trading.exchanges.binance import permissions

pytestmark = pytest.mark.sqlite


@pytest.mark.parametrize("market", ["spot", "futures"])
@pytest.mark.parametrize(
    ("key", "secret", "message"),
    [
        ("unknown", "secret", "Invalid API-key"),
        ("key", "wrong", "Signature for this request"),
    ],
)
def test_wrong_key_is_told_at_once(
    market: str,
    key: str,
    secret: str,
    message: str,
    connect: Connect,
    fake: FakeBinance,
) -> None:
    exchange = connect(market, api_key=key, secret=secret)

    with pytest.raises(AuthenticationError, match=message):
        exchange.free("USDT")
    with pytest.raises(AuthenticationError, match=message):
        exchange.send(order("in"))

    assert len(fake.requests) == 2


@pytest.mark.parametrize("market", ["spot", "futures"])
@pytest.mark.parametrize(
    ("key", "secret"),
    [
        ("", "secret"),
        ("key", ""),
        ("kéy", "secret"),
        ("key…", "secret"),
        ("key\n", "secret"),
        ("key", "-----BEGIN PRIVATE KEY-----"),
    ],
)
def test_malformed_key_makes_no_account(
    market: str, key: str, secret: str, connect: Connect, fake: FakeBinance
) -> None:
    with pytest.raises(AuthenticationError, match="malformed"):
        connect(market, api_key=key, secret=secret)
    with pytest.raises(AuthenticationError, match="malformed"):
        permissions(environment="testnet", api_key=key, secret=secret)

    assert not fake.requests


@pytest.mark.parametrize(("may_spot", "may_futures"), [(True, False), (False, True)])
def test_testnet_key_is_good_for_the_market_that_knows_it(
    may_spot: bool, may_futures: bool, fake: FakeBinance
) -> None:
    fake.keys["one"] = Key("secret", spot=may_spot, futures=may_futures)

    found = permissions(environment="testnet", api_key="one", secret="secret")

    assert (found.can_trade_spot, found.can_trade_futures) == (may_spot, may_futures)
    assert not found.can_withdraw
    assert fake.sent("GET") == len(fake.requests) == 2


def test_testnet_key_that_no_market_knows_is_refused(fake: FakeBinance) -> None:
    with pytest.raises(AuthenticationError, match="Invalid API-key"):
        permissions(environment="testnet", api_key="none", secret="secret")


def test_log_has_neither_key_nor_signature() -> None:
    code = (
        "import django; django.setup(); from trading.exchanges.binance import binance; "
        "exchange = binance('spot', environment='testnet', api_key='my-key', "
        "secret='my-secret')\n"
        "try: exchange.free('USDT')\n"
        "except Exception as error: print(error)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(
            **SECRETS,
            LOG_LEVEL="DEBUG",
            DJANGO_SETTINGS_MODULE="tradebot.settings",
            BINANCE_TESTNET_SPOT_URL="http://127.0.0.1:1",
        ),
        capture_output=True,
        text=True,
        check=True,
    )

    assert "cannot be reached at http://127.0.0.1:1: Connection refused" in done.stdout
    for secret in ("my-key", "my-secret", "signature"):
        assert secret not in done.stdout + done.stderr
