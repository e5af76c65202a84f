"""Every fault of an exchange with every kind of order: what is raised, and what is
found afterwards. What was taken was taken once; what was not never will be.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
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

# All of it takes a while; running/test_faults.py has the worst of it in the short form.
pytestmark = [pytest.mark.long, pytest.mark.sqlite]


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


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("502 before", r"Binance answers 502 Bad Gateway\.$"),
        ("not for this key", r"Binance answers 401: Not this time\.$"),
        ("reset before", r"has not answered at http://127.+: Connection reset by peer"),
    ],
)
def test_fault_is_told_with_what_came_and_no_page(
    fault: str, told: str, connect: Connect, fake: FakeBinance
) -> None:
    sending, case = SENDINGS["spot market"], FAULTS[fault]
    exchange = connect("spot")
    fake.fault(sending.endpoint, case.kind, **case.values)

    with pytest.raises(case.error, match=told):
        sending.send(exchange)


@pytest.mark.parametrize("name", SENDINGS)
def test_exchange_that_is_down_has_taken_nothing(
    name: str, connect: Connect, fake: FakeBinance
) -> None:
    sending = SENDINGS[name]
    exchange = started(sending, connect)
    exchange.close()  # nor is there a connection from before
    fake.down()

    with pytest.raises(UnavailableError, match=f"{fake.url}: Connection refused"):
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
