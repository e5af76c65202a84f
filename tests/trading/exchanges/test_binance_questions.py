"""Every fault of an exchange with what may be asked again: questions, cancelling."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_exchange import FakeBinance
from tests.trading.exchanges.conftest import Connect
from tests.trading.exchanges.orders import SYMBOL, order, stop, target
from trading.exchanges.base import (
    AmbiguousError,
    Exchange,
    ReportStatus,
    UnavailableError,
)

pytestmark = pytest.mark.sqlite

QUESTIONS: dict[str, tuple[str, str, Callable[[Exchange], Any]]] = {
    "spot find": (
        "spot",
        "GET /api/v3/order",
        lambda exchange: exchange.find(SYMBOL, "in"),
    ),
    "spot held": (
        "spot",
        "GET /api/v3/account",
        lambda exchange: exchange.held(SYMBOL),
    ),
    "spot base": (
        "spot",
        "GET /api/v3/exchangeInfo",
        lambda exchange: exchange.held(SYMBOL),
    ),
    "spot price": (
        "spot",
        "GET /api/v3/ticker/price",
        lambda exchange: exchange.price(SYMBOL),
    ),
    "futures find": (
        "futures",
        "GET /fapi/v1/order",
        lambda exchange: exchange.find(SYMBOL, "in"),
    ),
    "futures find a stop": (
        "futures",
        "GET /fapi/v1/algoOrder",
        lambda exchange: exchange.find(SYMBOL, "stop"),
    ),
    "futures held": (
        "futures",
        "GET /fapi/v3/positionRisk",
        lambda exchange: exchange.held(SYMBOL),
    ),
    "futures free": (
        "futures",
        "GET /fapi/v3/balance",
        lambda exchange: exchange.free("USDT"),
    ),
    "futures price": (
        "futures",
        "GET /fapi/v2/ticker/price",
        lambda exchange: exchange.price(SYMBOL),
    ),
    "futures liquidations": (
        "futures",
        "GET /fapi/v1/forceOrders",
        lambda exchange: exchange.liquidations(
            SYMBOL, dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
        ),
    ),
    "futures configuration": (
        "futures",
        "GET /fapi/v1/symbolConfig",
        lambda exchange: exchange.prepare(SYMBOL, 20),
    ),
}


@pytest.fixture(params=QUESTIONS)
def question(
    request: pytest.FixtureRequest,
    connect: Connect,
    fake: FakeBinance,
) -> tuple[str, Callable[[], Any]]:
    """An endpoint and what asks it, of an account that has an order and a stop."""
    market, endpoint, ask = QUESTIONS[request.param]
    exchange = connect(market)
    if market == "futures":
        exchange.prepare(SYMBOL, 20)
        exchange.send(order("in"))
        exchange.send(stop(reduce_only=True))
    else:
        connect("spot").send(order("in"))
    return endpoint, lambda: ask(exchange)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("hang before", {"wait_s": 0.6}),
        ("error before", {"status": 500}),
        ("error before", {"status": 503, "code": -1008}),
        ("reject", {"code": -1021, "message": "Timestamp"}),
        ("reset before", {}),
        ("repeat", {}),
    ],
)
def test_question_is_asked_again_until_it_is_answered(
    kind: str,
    values: dict[str, Any],
    question: tuple[str, Callable[[], Any]],
    fake: FakeBinance,
    hurry: Callable[[], None],
) -> None:
    endpoint, ask = question
    expected = ask()
    if "wait_s" in values:
        hurry()
    fake.fault(endpoint, kind, times=2, **values)

    assert ask() == expected


def test_question_is_given_up_after_some_attempts(
    question: tuple[str, Callable[[], Any]], fake: FakeBinance
) -> None:
    endpoint, ask = question
    fake.fault(endpoint, "error before", times=99)
    before = fake.sent(endpoint)

    with pytest.raises(UnavailableError, match="503"):
        ask()

    assert fake.sent(endpoint) == before + 4


def test_answer_that_is_none_is_no_answer(
    question: tuple[str, Callable[[], Any]], fake: FakeBinance
) -> None:
    endpoint, ask = question
    fake.fault(endpoint, "malformed", times=99)

    with pytest.raises(UnavailableError, match="malformed"):
        ask()


def test_long_ban_is_told_at_once_and_kept_by_everybody(
    connect: Connect, fake: FakeBinance
) -> None:
    fake.fault("GET /api/v3/account", "error before", status=418, retry_after_s=120)

    with pytest.raises(UnavailableError) as caught:
        connect("spot").free("USDT")
    assert caught.value.retry_after_s == 120
    for ask in (
        lambda: connect("spot").price(SYMBOL),
        lambda: connect("spot").send(order("in")),
    ):
        with pytest.raises(UnavailableError, match="left alone") as caught:
            ask()
        assert 110 < caught.value.retry_after_s <= 120

    assert len(fake.requests) == 1


def test_short_limit_is_waited_for(connect: Connect, fake: FakeBinance) -> None:
    fake.fault("GET /api/v3/ticker/price", "error before", status=429, retry_after_s=1)
    before = time.monotonic()

    assert connect("spot").price(SYMBOL) == 100

    assert time.monotonic() - before > 0.9
    assert len(fake.requests) == 2


def test_last_tenth_of_the_weight_is_for_orders(
    connect: Connect, fake: FakeBinance
) -> None:
    fake.weight["/fapi"] = 2_161  # of 2,400 a minute
    futures = connect("futures")
    assert futures.price(SYMBOL) == 100

    with pytest.raises(UnavailableError, match="left alone") as caught:
        futures.free("USDT")

    assert 0 < caught.value.retry_after_s <= 60
    assert futures.send(order("in")).status is ReportStatus.FILLED
    futures.send(stop(reduce_only=True))
    futures.cancel(SYMBOL, "stop")


# --- Cancelling -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("market", "endpoint", "client_id"),
    [
        ("spot", "DELETE /api/v3/order", "target"),
        ("futures", "DELETE /fapi/v1/order", "target"),
        ("futures", "DELETE /fapi/v1/algoOrder", "stop"),
    ],
)
@pytest.mark.parametrize("kind", ["hang after", "error after", "reset after"])
def test_lost_answer_to_a_cancel_is_asked_for_again(
    market: str,
    endpoint: str,
    client_id: str,
    kind: str,
    connect: Connect,
    fake: FakeBinance,
    hurry: Callable[[], None],
) -> None:
    exchange = connect(market)
    exchange.send(order("in", quantity="1.01"))
    is_futures = market == "futures"
    exchange.send_pair(stop(reduce_only=is_futures), target(reduce_only=is_futures))
    if kind == "hang after":
        hurry()
    fake.fault(endpoint, kind, wait_s=0.6)

    exchange.cancel(SYMBOL, client_id)

    report = exchange.find(SYMBOL, client_id)
    assert report is not None
    assert report.status is ReportStatus.CANCELED


def test_cancel_that_is_never_answered_is_ambiguous(
    connect: Connect, fake: FakeBinance
) -> None:
    spot = connect("spot")
    spot.send(order("in", "BUY", "LIMIT", price="95"))
    fake.fault("DELETE /api/v3/order", "error before", times=99)

    with pytest.raises(AmbiguousError):
        spot.cancel(SYMBOL, "in")

    assert fake.spot.locked["USDT"] == Decimal(95)
