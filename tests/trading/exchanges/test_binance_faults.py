"""Every fault of an exchange with every kind of order: what is raised, and what is
found afterwards. What was taken was taken once; what was not never will be.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from tests.fake_exchange import FakeBinance
from tests.trading.exchanges.conftest import Connect
from tests.trading.exchanges.orders import SYMBOL, order, stop, target
from trading.exchanges.base import (
    ACCEPTED_FOR,
    AmbiguousError,
    AuthenticationError,
    Exchange,
    ExchangeError,
    OrderReport,
    RejectedError,
    ReportStatus,
    UnavailableError,
)

pytestmark = pytest.mark.sqlite


@dataclass(frozen=True)
class Sending:
    """Something that is sent: by what request, and what orders that makes.

    ``left`` are those that other requests have made before, and where they stand when
    this one was not taken.
    """

    market: str
    endpoint: str
    send: Callable[..., Any]
    makes: Collection[str]
    left: dict[str, ReportStatus] = field(default_factory=dict)
    fills: bool = False
    opens: bool = False  # needs no position before


def _pair(exchange: Exchange, **values: Any) -> Any:
    reduce_only = "reduce_only" in values
    values.pop("reduce_only", None)
    options = {"reduce_only": reduce_only, **values}
    return exchange.send_pair(stop(**options), target(**options))


SENDINGS = {
    "spot market": Sending(
        "spot",
        "POST /api/v3/order",
        lambda exchange, **values: exchange.send(order("market", **values)),
        ["market"],
        fills=True,
        opens=True,
    ),
    "spot limit": Sending(
        "spot",
        "POST /api/v3/order",
        lambda exchange, **values: exchange.send(target(**values)),
        ["target"],
    ),
    "spot stop": Sending(
        "spot",
        "POST /api/v3/order",
        lambda exchange, **values: exchange.send(stop(**values)),
        ["stop"],
    ),
    "spot pair": Sending(
        "spot", "POST /api/v3/orderList/oco", _pair, ["stop", "target"]
    ),
    "futures market": Sending(
        "futures",
        "POST /fapi/v1/order",
        lambda exchange, **values: exchange.send(order("market", **values)),
        ["market"],
        fills=True,
        opens=True,
    ),
    "futures close": Sending(
        "futures",
        "POST /fapi/v1/order",
        lambda exchange, **values: exchange.send(
            order("market", "SELL", reduce_only=True, **values)
        ),
        ["market"],
        fills=True,
    ),
    "futures limit": Sending(
        "futures",
        "POST /fapi/v1/order",
        lambda exchange, **values: exchange.send(target(reduce_only=True, **values)),
        ["target"],
    ),
    "futures stop": Sending(
        "futures",
        "POST /fapi/v1/algoOrder",
        lambda exchange, **values: exchange.send(stop(reduce_only=True, **values)),
        ["stop"],
    ),
    "futures pair, at its stop": Sending(
        "futures",
        "POST /fapi/v1/algoOrder",
        lambda exchange, **values: _pair(exchange, reduce_only=True, **values),
        ["stop"],
    ),
    "futures pair, at its target": Sending(
        "futures",
        "POST /fapi/v1/order",
        lambda exchange, **values: _pair(exchange, reduce_only=True, **values),
        ["target"],
        left={"stop": ReportStatus.CANCELED},
    ),
}


@dataclass(frozen=True)
class Case:
    """A fault, the error that it raises, and if what was sent is there all the same."""

    kind: str
    error: type[ExchangeError]
    taken: bool
    values: dict[str, Any] = field(default_factory=dict)


def _code(status: int, code: int) -> dict[str, Any]:
    return {"status": status, "code": code, "message": "Not this time."}


FAULTS = {
    "rejected": Case("reject", RejectedError, False, _code(400, -1013)),
    "refused by the book": Case("reject", RejectedError, False, _code(400, -2010)),
    "not for this key": Case("reject", AuthenticationError, False, _code(401, -2015)),
    "no time to answer": Case("hang before", AmbiguousError, False, {"wait_s": 0.6}),
    "no answer": Case("hang after", AmbiguousError, True, {"wait_s": 0.6}),
    "502 before": Case("error before", AmbiguousError, False, {"status": 502}),
    "503 before": Case("error before", AmbiguousError, False),
    "503 after": Case("error after", AmbiguousError, True),
    "-1006": Case("error after", AmbiguousError, True, _code(400, -1006)),
    "-1007": Case("error after", AmbiguousError, True, _code(408, -1007)),
    "overloaded": Case("error before", UnavailableError, False, _code(503, -1008)),
    "blocked": Case("error before", UnavailableError, False, {"status": 403}),
    "too late": Case("reject", UnavailableError, False, _code(400, -1021)),
    "reset before": Case("reset before", AmbiguousError, False),
    "reset after": Case("reset after", AmbiguousError, True),
    "malformed": Case("malformed", AmbiguousError, True),
    "repeated": Case("repeat", AmbiguousError, True),
    "too many": Case(
        "error before", UnavailableError, False, {"status": 429, "retry_after_s": 1}
    ),
    "banned": Case(
        "error before", UnavailableError, False, {"status": 418, "retry_after_s": 1}
    ),
}


def started(sending: Sending, connect: Connect) -> Exchange:
    """Connect, and hold something where what is sent closes it."""
    exchange = connect(sending.market)
    if not sending.opens:
        exchange.send(order("in", quantity="1.01"))
    return exchange


def market_of(sending: Sending, fake: FakeBinance) -> Any:
    return fake.spot if sending.market == "spot" else fake.futures


def assert_there(sending: Sending, exchange: Exchange, fake: FakeBinance) -> None:
    """Check that what was sent is there once, with all that was executed of it."""
    for client_id in sending.makes:
        assert len(market_of(sending, fake).by_client_id(client_id)) == 1
        report = exchange.find(SYMBOL, client_id)
        assert report is not None
        filled = sum(fill.quantity for fill in report.fills)
        if sending.fills:
            assert (report.status, filled) == (ReportStatus.FILLED, 1)
        else:
            assert (report.status, filled) == (ReportStatus.OPEN, 0)


def assert_not_there(sending: Sending, exchange: Exchange, fake: FakeBinance) -> None:
    for client_id in sending.makes:
        assert not market_of(sending, fake).by_client_id(client_id)
        assert exchange.find(SYMBOL, client_id) is None


@pytest.mark.parametrize("name", SENDINGS)
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_raises_what_it_means_and_leaves_what_was_taken(
    name: str,
    fault: str,
    connect: Connect,
    fake: FakeBinance,
    hurry: Callable[[], None],
) -> None:
    sending, case = SENDINGS[name], FAULTS[fault]
    exchange = started(sending, connect)
    if "wait_s" in case.values:
        hurry()
    fake.fault(sending.endpoint, case.kind, **case.values)
    before = fake.sent(sending.endpoint)

    with pytest.raises(case.error) as caught:
        sending.send(exchange)

    # Whatever became of it, it was sent a single time.
    assert fake.sent(sending.endpoint) == before + 1
    assert "secret" not in str(caught.value)
    assert "signature" not in str(caught.value)
    if case.taken:
        assert_there(sending, exchange, fake)
    else:
        assert_not_there(sending, exchange, fake)
    kept = case.error is AmbiguousError
    for client_id, status in sending.left.items():
        report = exchange.find(SYMBOL, client_id)
        assert report is not None
        assert report.status is (ReportStatus.OPEN if kept else status)


@pytest.mark.parametrize("name", SENDINGS)
def test_exchange_that_is_down_has_taken_nothing(
    name: str, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    exchange.close()  # nor is there a connection from before
    fake.down()

    with pytest.raises(UnavailableError, match="cannot be reached"):
        sending.send(exchange)
    with pytest.raises(UnavailableError):
        exchange.find(SYMBOL, "in")

    fake.up()
    assert_not_there(sending, exchange, fake)
    sending.send(exchange)
    assert_there(sending, exchange, fake)


@pytest.mark.parametrize("name", SENDINGS)
def test_order_that_is_held_up_is_never_taken(
    name: str,
    connect: Connect,
    fake: FakeBinance,
    hurry: Callable[[], None],
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    hurry()
    fake.fault(sending.endpoint, "held up", wait_s=0.6)
    # It would be refused 0.4 s from now, and comes in 0.6 s.
    signed_at = dt.datetime.now(dt.UTC) - ACCEPTED_FOR + dt.timedelta(seconds=1.4)

    with pytest.raises(AmbiguousError):
        sending.send(exchange, signed_at=signed_at)

    time.sleep(0.8)
    assert fake.sent(sending.endpoint) >= 1
    assert_not_there(sending, exchange, fake)


@pytest.mark.parametrize("name", SENDINGS)
def test_order_signed_too_long_ago_is_not_taken(
    name: str, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)

    with pytest.raises(UnavailableError, match="recvWindow"):
        sending.send(exchange, signed_at=dt.datetime.now(dt.UTC) - ACCEPTED_FOR)

    assert_not_there(sending, exchange, fake)


@pytest.mark.parametrize("ahead_ms", [-60_000, 60_000])
@pytest.mark.parametrize("name", SENDINGS)
def test_order_with_a_wrong_clock_is_taken_the_next_time(
    name: str, ahead_ms: int, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    fake.clock_offset_ms = ahead_ms

    with pytest.raises(UnavailableError):
        sending.send(exchange)

    assert_not_there(sending, exchange, fake)
    sending.send(exchange)
    assert_there(sending, exchange, fake)


@pytest.mark.parametrize("name", SENDINGS)
def test_order_that_lags_is_found_a_little_later(
    name: str, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    fake.fault(sending.endpoint, "lag", wait_s=3_600)

    if sending.fills:  # and its trades are not there in time
        with pytest.raises(AmbiguousError, match="all trades"):
            sending.send(exchange)
    else:
        sending.send(exchange)

    assert all(exchange.find(SYMBOL, each) is None for each in sending.makes)
    fake.catch_up()
    assert_there(sending, exchange, fake)


@pytest.mark.parametrize("name", SENDINGS)
def test_order_filled_in_parts_is_all_there(
    name: str, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    market_of(sending, fake).parts = 3

    sending.send(exchange)

    assert_there(sending, exchange, fake)


@pytest.mark.parametrize("name", [name for name in SENDINGS if SENDINGS[name].fills])
@pytest.mark.parametrize(
    ("kind", "times"),
    [
        ("hang before", 2),
        ("error before", 3),
        ("reset before", 3),
        ("malformed", 3),
        ("repeat", 99),
    ],
)
def test_fills_are_read_again_and_told_once(
    name: str,
    kind: str,
    times: int,
    connect: Connect,
    fake: FakeBinance,
    hurry: Callable[[], None],
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    market_of(sending, fake).parts = 3
    if kind == "hang before":
        hurry()
    trades = {"spot": "GET /api/v3/myTrades", "futures": "GET /fapi/v1/userTrades"}
    fake.fault(trades[sending.market], kind, times=times, wait_s=0.6)

    report: OrderReport = sending.send(exchange)

    assert sum(fill.quantity for fill in report.fills) == 1
    assert len(report.fills) == 3


@pytest.mark.parametrize("name", [name for name in SENDINGS if SENDINGS[name].fills])
def test_order_whose_fills_cannot_be_read_is_not_called_unavailable(
    name: str, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    trades = {"spot": "GET /api/v3/myTrades", "futures": "GET /fapi/v1/userTrades"}
    fake.fault(trades[sending.market], "error before", times=4)

    with pytest.raises(AmbiguousError, match="The order was taken"):
        sending.send(exchange)

    assert_there(sending, exchange, fake)


# --- Questions --------------------------------------------------------------------

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
    _pair(exchange, **({"reduce_only": True} if market == "futures" else {}))
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
