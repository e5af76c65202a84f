"""The fake Binance keeps to the rules that the other tests rely on."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
import time
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from hypothesis import given, settings, strategies
from pytest_django.fixtures import Settings

from tests.fake_exchange import FakeBinance
from tests.fake_exchange.market import Refusal
from tests.processes import ROOT
from tests.trading.exchanges.conftest import Connect
from tests.trading.exchanges.orders import SYMBOL, found, order, stop, target
from trading.exchanges.base import ReportStatus
from trading.exchanges.binance import binance

pytestmark = pytest.mark.sqlite

BUY = {"symbol": SYMBOL, "side": "BUY", "quantity": "1"}
MARKET = {**BUY, "type": "MARKET", "newClientOrderId": "in"}
LIMIT = {**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": "95"}


def ask(
    fake: FakeBinance,
    request: str,
    parameters: dict[str, Any] | None = None,
    *,
    key: tuple[str | None, str] = ("key", "secret"),
) -> Any:
    """Ask as a client would, signed; return the answer or the number of its error."""
    method, path = request.split()
    query = urlencode({"timestamp": fake.now(), **(parameters or {})})
    signed = hmac.new(key[1].encode(), query.encode(), hashlib.sha256)
    query += f"&signature={signed.hexdigest()}"
    response = requests.request(
        method,
        f"{fake.url}{path}",
        **{"data" if method == "POST" else "params": query},  # type: ignore[arg-type]
        headers={} if key[0] is None else {"X-MBX-APIKEY": key[0]},
        timeout=5,
    )
    answer = response.json()
    return answer if response.ok else answer.get("code", response.status_code)


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"timestamp": 1}, -1021),
        ({"timestamp": int(time.time() * 1000) + 3_600_000}, -1021),
        ({"recvWindow": 60_001}, -1131),
        ({"quantity": "1e0"}, -1100),
        ({"quantity": "0"}, -1013),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"newClientOrderId": ""}, -1102),
        ({"symbol": "BTC/USDT"}, -1121),
        ({"unknown": "1"}, -1104),
    ],
)
def test_request_that_is_wrong_is_refused(
    wrong: dict[str, Any], code: int, fake: FakeBinance
) -> None:
    assert ask(fake, "POST /api/v3/order", {**MARKET, **wrong}) == code
    assert ask(fake, "POST /api/v3/order", MARKET)["status"] == "FILLED"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ((None, "secret"), -2014),
        (("other", "secret"), -2015),
        (("key", "other"), -1022),
    ],
)
def test_signature_that_is_wrong_is_refused(
    key: tuple[str | None, str], code: int, fake: FakeBinance
) -> None:
    assert ask(fake, "GET /api/v3/account", key=key) == code


@pytest.mark.parametrize(
    ("path", "code"), [("/api/v3/order", -2010), ("/fapi/v1/order", -4116)]
)
def test_client_id_is_unique_among_open_orders_only(
    path: str, code: int, fake: FakeBinance
) -> None:
    limit = {**LIMIT, "newClientOrderId": "in"}
    first = ask(fake, f"POST {path}", limit)
    assert ask(fake, f"POST {path}", limit) == code

    named = {"symbol": SYMBOL, "origClientOrderId": "in"}
    ask(fake, f"DELETE {path}", named)
    second = ask(fake, f"POST {path}", limit)

    assert second["orderId"] != first["orderId"]
    assert ask(fake, f"GET {path}", named)["orderId"] == second["orderId"]


def test_conditional_order_has_an_endpoint_of_its_own(fake: FakeBinance) -> None:
    values = {**BUY, "type": "STOP_MARKET", "newClientOrderId": "in"}
    assert ask(fake, "POST /fapi/v1/order", values) == -4120


def test_fault_concerns_the_calls_that_it_names(fake: FakeBinance) -> None:
    fake.fault("GET /api/v3/account", "error before", call=2, times=2)

    answers = [ask(fake, "GET /api/v3/account") for _ in range(4)]

    assert [isinstance(answer, dict) for answer in answers] == [
        True,
        False,
        False,
        True,
    ]
    fake.fault("*", "error before", times=9)
    assert ask(fake, "GET /fapi/v3/balance") == 503
    fake.no_faults()
    assert isinstance(ask(fake, "GET /fapi/v3/balance"), list)


def test_state_outlives_the_server_and_its_clients(
    fake: FakeBinance, connect: Connect
) -> None:
    spot = connect("spot")
    spot.send(order("in", quantity="1.01"))
    fake.down()
    fake.up()

    assert found(connect("spot"), "in").status is ReportStatus.FILLED
    assert found(spot, "in").status is ReportStatus.FILLED


def test_exchange_in_a_process_of_its_own_is_controlled_over_http(
    settings: Settings,
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fake_exchange"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        settings.BINANCE_TESTNET_FUTURES_URL = url

        def control(path: str, *args: Any) -> Any:
            call = {"path": path, "args": args}
            return requests.post(f"{url}/control", json=call, timeout=5).json()

        control("futures.deposit", "1000")
        futures = binance(
            "futures", environment="testnet", api_key="key", secret="secret"
        )
        futures.send(order("in"))
        futures.send_pair(stop(reduce_only=True), target(reduce_only=True))
        control("futures.set_price", SYMBOL, "111")

        assert found(futures, "target").status is ReportStatus.FILLED
        # 1000 + 10 - 100 × 0.0005 - 110 × 0.0002
        assert futures.free("USDT") == Decimal("1009.928")
        assert control("sent", "POST /fapi") == 3
        futures.close()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


PRICES = strategies.integers(8_000, 12_000).map(lambda cents: Decimal(cents) / 100)
STEPS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["price", "MARKET", "LIMIT", "stop", "pair", "cancel"]),
        strategies.sampled_from(["BUY", "SELL"]),
        strategies.integers(1, 500_000).map(lambda steps: Decimal(steps) / 100_000),
        PRICES,
    ),
    max_size=30,
)


def _order(kind: str, side: str, quantity: Decimal, price: Decimal, name: str) -> Any:
    values = {"symbol": SYMBOL, "side": side, "quantity": str(quantity), "type": kind}
    if kind == "LIMIT":
        values |= {"timeInForce": "GTC", "price": str(price)}
    return {**values, "newClientOrderId": name}


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, parts=strategies.integers(1, 4))
def test_spot_balances_are_what_the_trades_have_made_of_them(
    steps: list[tuple[str, str, Decimal, Decimal]], parts: int
) -> None:
    spot = FakeBinance().spot
    spot.balances["USDT"], spot.balances["BTC"] = Decimal(500), Decimal(5)
    spot.parts = parts
    for number, (kind, side, quantity, price) in enumerate(steps):
        name = f"n{number}"
        try:
            if kind == "price":
                spot.set_price(SYMBOL, price)
            elif kind == "cancel":
                spot.delete_order({"symbol": SYMBOL, "origClientOrderId": "n0"})
            elif kind == "stop":
                values = _order("STOP_LOSS", side, quantity, price, name)
                spot.post_order({**values, "stopPrice": str(price)})
            elif kind == "pair":
                spot.post_oco(
                    {
                        "symbol": SYMBOL,
                        "side": "SELL",
                        "quantity": str(quantity),
                        "listClientOrderId": name,
                        "aboveType": "LIMIT_MAKER",
                        "abovePrice": str(price + 5),
                        "aboveClientOrderId": f"a{number}",
                        "belowType": "STOP_LOSS",
                        "belowStopPrice": str(price - 5),
                        "belowClientOrderId": f"b{number}",
                    }
                )
            else:
                spot.post_order(_order(kind, side, quantity, price, name))
        except Refusal:
            pass

        expected = {"USDT": Decimal(500), "BTC": Decimal(5)}
        for trade in spot.trades:
            sign = 1 if trade["side"] == "BUY" else -1
            expected["BTC"] += sign * Decimal(trade["qty"])
            expected["USDT"] -= sign * Decimal(trade["quoteQty"])
            expected[trade["commissionAsset"]] -= Decimal(trade["commission"])
        assert {name: spot.balances[name] for name in expected} == expected
        locked = {"USDT": Decimal(0), "BTC": Decimal(0)}
        for each in spot.orders.values():
            if each.is_open:
                locked["USDT" if each.side == "BUY" else "BTC"] += each.reserved
            else:
                assert each.reserved == 0
        assert {name: spot.locked[name] for name in locked} == locked
        assert spot.free("BTC") >= 0


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, parts=strategies.integers(1, 4))
def test_futures_position_is_what_the_trades_have_made_of_it(
    steps: list[tuple[str, str, Decimal, Decimal]], parts: int
) -> None:
    futures = FakeBinance().futures
    futures.deposit("1000")
    futures.parts = parts
    futures.post_margin_type({"symbol": SYMBOL, "marginType": "ISOLATED"})
    for number, (kind, side, quantity, price) in enumerate(steps):
        values = _order(kind, side, quantity, price, f"n{number}")
        try:
            if kind == "price":
                futures.set_price(SYMBOL, price)
            elif kind in {"MARKET", "LIMIT"}:
                futures.post_order(values)
            else:
                del values["newClientOrderId"]
                values |= {"type": "STOP_MARKET", "algoType": "CONDITIONAL"}
                values |= {"workingType": "MARK_PRICE", "triggerPrice": str(price)}
                values |= {"clientAlgoId": f"n{number}", "reduceOnly": "true"}
                futures.post_algo_order(values)
        except Refusal:
            pass

        held = cash = Decimal(0)
        for trade in futures.trades:
            sign = 1 if trade["side"] == "BUY" else -1
            held += sign * Decimal(trade["qty"])
            cash -= sign * Decimal(trade["quoteQty"]) + Decimal(trade["commission"])
        position = futures.position(SYMBOL)
        assert position.amount == held
        # What was paid in and out is in the wallet, or in the position at its entry.
        worth = futures.wallet - 1000 + position.entry * -position.amount
        assert abs(worth - cash) < Decimal("1e-18")
        assert (position.margin > 0) == bool(held)
