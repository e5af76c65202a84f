"""A fake exchange for running bots, and clients that do not wait for it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest
import time_machine
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.fake_exchange import FakeBinance
from tests.trading.running.exchange import World
from trading.exchanges import binance_client


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binance_client, "READ_TIMEOUT_S", 0.2)
    monkeypatch.setattr(binance_client, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(binance_client, "LONGEST_WAIT_S", 0.05)
    binance_client._hosts.clear()


@pytest.fixture(params=["spot", "futures"])
def market(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(market: str, settings: Settings) -> Iterator[World]:
    with (
        FakeBinance().serving() as fake,
        time_machine.travel(timezone.now()) as clock,
    ):
        settings.BINANCE_TESTNET_SPOT_URL = fake.url
        settings.BINANCE_TESTNET_FUTURES_URL = fake.url
        fake.spot.balances["USDT"] = fake.futures.wallet = Decimal(10_000)
        yield World(fake, market, clock)
