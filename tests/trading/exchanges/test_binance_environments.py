"""No request reaches the live exchange without all three locks open."""

from __future__ import annotations

import datetime as dt
import itertools
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from tests.fake_exchange import FakeBinance, Key
from tests.trading.exchanges.orders import SYMBOL, order, stop, target
from trading.exchanges import environments
from trading.exchanges.base import Exchange, ExchangeError, UnavailableError
from trading.exchanges.binance import binance, permissions
from trading.exchanges.environments import (
    LiveLockedError,
    LivePermit,
    host,
    live_permit,
)

pytestmark = pytest.mark.sqlite

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LIVE_HOSTS = {"spot": "api.binance.com", "futures": "fapi.binance.com"}
MARKETS = pytest.mark.parametrize("market", sorted(LIVE_HOSTS))

# All methods of the protocol that ask something.
METHODS: dict[str, Callable[[Exchange], Any]] = {
    "send": lambda exchange: exchange.send(order("in")),
    "send_pair": lambda exchange: exchange.send_pair(stop(), target()),
    "find": lambda exchange: exchange.find(SYMBOL, "in"),
    "cancel": lambda exchange: exchange.cancel(SYMBOL, "in"),
    "held": lambda exchange: exchange.held(SYMBOL),
    "free": lambda exchange: exchange.free("USDT"),
    "price": lambda exchange: exchange.price(SYMBOL),
    "liquidations": lambda exchange: exchange.liquidations(SYMBOL, NOW),
    "prepare": lambda exchange: exchange.prepare(SYMBOL, 5),
}
SILENT = {("spot", "liquidations"), ("spot", "prepare")}


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every host to which this process wants to connect; it cannot, but to itself."""
    hosts: list[str] = []
    look_up = socket.getaddrinfo

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        hosts.append(name)
        if name == "127.0.0.1":
            return look_up(name, *args, **options)
        raise socket.gaierror("no test leaves this machine")

    def connect(*args: Any) -> None:
        raise AssertionError(f"a connection without a look-up: {args}")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", connect)
    return hosts


def test_methods_are_all_of_the_protocol() -> None:
    public = {name for name in vars(Exchange) if not name.startswith("_")}
    assert set(METHODS) == public - {"close"}


@MARKETS
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(
    ("switch", "confirmed", "validated"),
    list(itertools.product([False, True], repeat=3)),
)
def test_live_exchange_is_reached_with_all_three_alone(
    market: str,
    name: str,
    switch: bool,
    confirmed: bool,
    validated: bool,
    settings: Settings,
    looked_up: list[str],
) -> None:
    settings.LIVE_TRADING_ENABLED = switch
    # What is only public data elsewhere, or a testnet, changes nothing here.
    settings.BINANCE_SPOT_URL = settings.BINANCE_FUTURES_URL = "http://127.0.0.1:1"
    permit = None
    with suppress(LiveLockedError):
        permit = live_permit(
            confirmed_at=NOW if confirmed else None,
            key_environment="live" if validated else "testnet",
            key_is_valid=True,
        )

    try:
        exchange = binance(
            market, environment="live", api_key="k", secret="s", permit=permit
        )
    except LiveLockedError:
        assert not (switch and confirmed and validated)
        assert permit is None
    else:
        assert switch
        assert confirmed
        assert validated
        with suppress(ExchangeError):
            METHODS[name](exchange)
        exchange.close()

    reached = switch and confirmed and validated and (market, name) not in SILENT
    assert set(looked_up) == ({LIVE_HOSTS[market]} if reached else set())


@MARKETS
@pytest.mark.parametrize("name", METHODS)
def test_testnet_client_reaches_the_testnet_alone(
    market: str, name: str, settings: Settings, looked_up: list[str]
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    settings.BINANCE_TESTNET_SPOT_URL = "https://testnet.binance.vision"
    settings.BINANCE_TESTNET_FUTURES_URL = "https://demo-fapi.binance.com"
    exchange = binance(market, environment="testnet", api_key="k", secret="s")

    with suppress(ExchangeError):
        METHODS[name](exchange)

    exchange.close()
    testnet = {"spot": "testnet.binance.vision", "futures": "demo-fapi.binance.com"}
    silent = (market, name) in SILENT
    assert set(looked_up) == (set() if silent else {testnet[market]})


@pytest.mark.parametrize(
    ("key_environment", "key_is_valid"),
    [("testnet", True), ("paper", True), ("", True), ("live", False), ("live", 1)],
)
def test_permit_needs_a_key_validated_as_live(
    key_environment: str, key_is_valid: bool, settings: Settings
) -> None:
    settings.LIVE_TRADING_ENABLED = True

    with pytest.raises(LiveLockedError, match="validated as live"):
        live_permit(
            confirmed_at=NOW,
            key_environment=key_environment,
            key_is_valid=key_is_valid,
        )


def test_permit_is_made_nowhere_else(settings: Settings) -> None:
    settings.LIVE_TRADING_ENABLED = True

    class Forged(LivePermit):
        def __init__(self) -> None:
            pass

    with pytest.raises(TypeError, match="live_permit"):
        LivePermit()
    for forged in (None, True, object(), Forged()):
        with pytest.raises(LiveLockedError):
            host("spot", "live", forged)  # type: ignore[arg-type]


def test_permit_ends_with_the_switch(settings: Settings) -> None:
    settings.LIVE_TRADING_ENABLED = True
    permit = live_permit(confirmed_at=NOW, key_environment="live", key_is_valid=True)
    assert host("spot", "live", permit) == "https://api.binance.com"

    settings.LIVE_TRADING_ENABLED = False

    with pytest.raises(LiveLockedError, match="LIVE_TRADING_ENABLED is off"):
        host("spot", "live", permit)


def test_unknown_environment_has_no_host() -> None:
    for environment in ("paper", "LIVE", ""):
        with pytest.raises(ValueError, match="is not a valid Environment"):
            host("spot", environment, None)


def test_live_is_off_unless_it_is_switched_on(settings: Settings) -> None:
    assert settings.LIVE_TRADING_ENABLED is False


@MARKETS
def test_no_call_of_ccxt_leads_from_the_testnet_to_another_host(
    market: str, fake: FakeBinance, looked_up: list[str]
) -> None:
    exchange: Any = binance(
        market, environment="testnet", api_key="key", secret="secret"
    )
    ccxt = exchange._client._ccxt
    calls: list[Callable[[], Any]] = [
        lambda: ccxt.sapiPostAssetTransfer({"asset": "USDT", "amount": 1}),
        lambda: ccxt.sapiPostCapitalWithdrawApply({"coin": "USDT", "amount": 1}),
        lambda: ccxt.transfer("USDT", 1, "spot", "future"),
        lambda: ccxt.withdraw("USDT", 1, "address"),
        lambda: ccxt.fetch_balance(),
        lambda: ccxt.dapiPrivatePostOrder({}),
        lambda: ccxt.papiPostUmOrder({}),
        lambda: ccxt.set_sandbox_mode(False),
        lambda: ccxt.set_sandbox_mode(True),
        lambda: ccxt.enable_demo_trading(True),
        lambda: ccxt.enable_demo_trading(False),
        lambda: ccxt.fetch("https://api.binance.com/api/v3/account"),
        lambda: ccxt.fetch("https://api.binance.com/api/v3/order", "POST"),
        lambda: ccxt.fetch(f"{fake.url}.example.com/api/v3/account"),
        lambda: ccxt.fetch(f"{fake.url}/sapi/v1/account/apiRestrictions"),
        lambda: ccxt.privatePostOrder({"symbol": SYMBOL}),
        lambda: ccxt.fapiPrivatePostOrder({"symbol": SYMBOL}),
    ]
    for call in calls:
        with suppress(Exception):
            call()

    exchange.close()
    assert set(looked_up) <= {"127.0.0.1"}
    assert fake.sent("POST /sapi") == fake.sent("GET /sapi") == 0


def test_redirect_is_not_followed(
    connect: Callable[[str], Exchange], fake: FakeBinance, looked_up: list[str]
) -> None:
    spot = connect("spot")
    fake.redirect("GET /api/v3/account", "https://api.binance.com/api/v3/account")

    with pytest.raises(UnavailableError, match="TooManyRedirects"):
        spot.free("USDT")

    assert set(looked_up) == {"127.0.0.1"}


# --- Keys before they are valid ---------------------------------------------------


@pytest.mark.parametrize("switch", [False, True])
def test_live_key_is_asked_about_with_the_switch_alone(
    switch: bool, settings: Settings, looked_up: list[str]
) -> None:
    settings.LIVE_TRADING_ENABLED = switch

    with pytest.raises(UnavailableError if switch else LiveLockedError):
        permissions(environment="live", api_key="k", secret="s")

    assert set(looked_up) == ({"api.binance.com"} if switch else set())


@pytest.fixture
def live(
    fake: FakeBinance, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> FakeBinance:
    """The fake in place of the live exchange, on a server that trades live."""
    settings.LIVE_TRADING_ENABLED = True
    settings.BINANCE_TESTNET_SPOT_URL = settings.BINANCE_TESTNET_FUTURES_URL = ""
    hosts = dict.fromkeys(environments._LIVE_HOSTS, fake.url)
    monkeypatch.setattr(environments, "_LIVE_HOSTS", hosts)
    return fake


@pytest.mark.parametrize("withdraw", [False, True])
@pytest.mark.parametrize("restricted", [False, True])
@pytest.mark.parametrize(("spot", "futures"), [(True, False), (False, True)])
def test_live_key_may_what_its_restrictions_say(
    spot: bool, futures: bool, restricted: bool, withdraw: bool, live: FakeBinance
) -> None:
    live.keys["one"] = Key(
        "secret",
        spot=spot,
        futures=futures,
        withdraw=withdraw,
        ip_restricted=restricted,
    )

    found = permissions(environment="live", api_key="one", secret="secret")

    assert (found.can_trade_spot, found.can_trade_futures) == (spot, futures)
    assert (found.can_withdraw, found.is_ip_restricted) == (withdraw, restricted)
    requests = [request for request, _ in live.requests]
    assert requests == ["GET /sapi/v1/account/apiRestrictions"]


def test_live_key_with_a_clock_that_is_wrong_is_asked_about_again(
    live: FakeBinance,
) -> None:
    live.clock_offset_ms = -60_000

    found = permissions(environment="live", api_key="key", secret="secret")

    assert found.can_trade_spot
    assert {request for request, _ in live.requests} == {
        "GET /sapi/v1/account/apiRestrictions",
        "GET /api/v3/time",
    }


@MARKETS
def test_live_orders_go_to_the_live_exchange(market: str, live: FakeBinance) -> None:
    permit = live_permit(confirmed_at=NOW, key_environment="live", key_is_valid=True)
    exchange = binance(
        market, environment="live", api_key="key", secret="secret", permit=permit
    )

    exchange.send(order("in"))

    exchange.close()
    assert live.sent("POST") == 1
