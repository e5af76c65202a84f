"""Accounts on a fake Binance, asked through ccxt."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django.fixtures import Settings

from tests.fake_exchange import FakeBinance
from trading.exchanges import binance_client
from trading.exchanges.base import Exchange
from trading.exchanges.binance import binance

Connect = Callable[..., Exchange]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_client, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(binance_client, "LONGEST_WAIT_S", 0.05)
    monkeypatch.setattr(binance_client, "_hosts", binance_client._hosts.copy())
    binance_client._hosts.clear()


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Wait for answers no longer than a moment, from now on."""
    return lambda: monkeypatch.setattr(binance_client, "READ_TIMEOUT_S", 0.3)


@pytest.fixture
def fake(settings: Settings) -> Iterator[FakeBinance]:
    fake = FakeBinance()
    with fake.serving():
        settings.BINANCE_TESTNET_SPOT_URL = fake.url
        settings.BINANCE_TESTNET_FUTURES_URL = fake.url
        fake.spot.deposit("USDT", "10000")
        fake.futures.deposit("10000")
        yield fake


@pytest.fixture
def connect(fake: FakeBinance) -> Iterator[Connect]:
    """Make accounts on the fake exchange."""
    made: list[Exchange] = []

    def connect(market: str, api_key: str = "key", **key: str) -> Exchange:
        secret = key.get("secret", "secret")
        made.append(
            binance(market, environment="testnet", api_key=api_key, secret=secret)
        )
        return made[-1]

    yield connect
    for exchange in made:
        exchange.close()


@pytest.fixture
def spot(connect: Connect) -> Exchange:
    return connect("spot")


@pytest.fixture
def futures(connect: Connect) -> Exchange:
    return connect("futures")
