"""The same on futures: the pair, what is prepared, liquidations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.fake_exchange import FakeBinance
from tests.trading.exchanges.orders import SYMBOL, found, order, stop, target
from trading.exchanges.base import (
    AmbiguousError,
    Exchange,
    RejectedError,
    ReportStatus,
    UnavailableError,
)

pytestmark = pytest.mark.sqlite


def position(futures: Exchange, side: str = "BUY") -> None:
    futures.prepare(SYMBOL, 10)
    futures.send(order("in", side))


def test_prepare_sets_what_differs_and_reads_it_back(
    futures: Exchange, fake: FakeBinance
) -> None:
    fake.futures.dual_side = True

    futures.prepare(SYMBOL, 7)

    state = fake.futures.position(SYMBOL)
    assert (state.leverage, state.margin_type) == (7, "ISOLATED")
    assert not fake.futures.dual_side
    assert fake.sent("POST") == 3
    futures.prepare(SYMBOL, 7)
    assert fake.sent("POST") == 3


def test_prepare_takes_no_need_to_change_for_done(
    futures: Exchange, fake: FakeBinance, hurry: Callable[[], None]
) -> None:
    hurry()
    # The answer to the first is lost; the second finds the margin isolated (-4046).
    fake.fault("POST /fapi/v1/marginType", "hang after", wait_s=0.6)

    futures.prepare(SYMBOL, 20)

    assert fake.sent("POST /fapi/v1/marginType") == 2
    assert fake.futures.position(SYMBOL).margin_type == "ISOLATED"


def test_prepare_refuses_leverage_that_does_not_hold(
    futures: Exchange, fake: FakeBinance
) -> None:
    with pytest.raises(RejectedError, match="Leverage 126 is not valid"):
        futures.prepare(SYMBOL, 126)

    fake.futures.post_leverage = lambda parameters: parameters.clear() or {}  # type: ignore
    fake._endpoints = fake._table()
    with pytest.raises(RejectedError, match="does not keep BTCUSDT at leverage 5"):
        futures.prepare(SYMBOL, 5)


def test_prepare_is_refused_while_a_position_is_open(
    futures: Exchange, fake: FakeBinance
) -> None:
    futures.send(order("in"))

    with pytest.raises(RejectedError) as caught:
        futures.prepare(SYMBOL, 20)

    assert caught.value.code == -4048


@pytest.mark.parametrize(("side", "held"), [("BUY", "1"), ("SELL", "-1")])
def test_futures_position_has_its_sign_and_its_margin(
    side: str, held: str, futures: Exchange
) -> None:
    position(futures, side)

    assert futures.held(SYMBOL) == Decimal(held)
    # 10,000 - 100 / 10 - 100 × 0.0005
    assert futures.free("USDT") == Decimal("9989.95")
    assert futures.free("BTC") == 0
    assert futures.price(SYMBOL) == 100


def test_flat_account_holds_nothing(futures: Exchange) -> None:
    assert futures.held(SYMBOL) == 0


@pytest.mark.parametrize(
    ("side", "close", "stop_price", "target_price"),
    [("BUY", "SELL", "90", "110"), ("SELL", "BUY", "110", "90")],
)
def test_futures_pair_is_a_stop_on_the_mark_and_a_limit(
    side: str,
    close: str,
    stop_price: str,
    target_price: str,
    futures: Exchange,
    fake: FakeBinance,
) -> None:
    position(futures, side)

    reports = futures.send_pair(
        stop(close, stop_price, reduce_only=True),
        target(close, target_price, reduce_only=True),
    )

    assert {report.status for report in reports} == {ReportStatus.OPEN}
    algo = fake.last_sent("POST /fapi/v1/algoOrder")
    assert (algo["type"], algo["workingType"]) == ("STOP_MARKET", "MARK_PRICE")
    assert (algo["triggerPrice"], algo["reduceOnly"]) == (stop_price, "true")
    assert "timestamp" in algo
    limit = fake.last_sent("POST /fapi/v1/order")
    assert (limit["type"], limit["price"]) == ("LIMIT", target_price)
    assert limit["reduceOnly"] == "true"
    # The last price alone triggers nothing, the mark price does.
    fake.futures.set_mark(SYMBOL, "100")
    fake.futures.set_price(SYMBOL, stop_price)
    assert found(futures, "stop").status is ReportStatus.OPEN
    fake.futures.set_mark(SYMBOL, stop_price)
    stopped = found(futures, "stop")
    assert stopped.status is ReportStatus.FILLED
    assert [fill.price for fill in stopped.fills] == [Decimal(stop_price)]
    assert stopped.order_id == reports[0].order_id
    assert futures.held(SYMBOL) == 0
    # The target is still there, to be canceled by whoever sent it.
    assert found(futures, "target").status is ReportStatus.OPEN
    futures.cancel(SYMBOL, "target")
    futures.cancel(SYMBOL, "stop")
    assert found(futures, "target").status is ReportStatus.CANCELED
    assert found(futures, "stop").status is ReportStatus.FILLED


def test_target_leaves_a_stop_that_closes_nothing(
    futures: Exchange, fake: FakeBinance
) -> None:
    position(futures)
    futures.send_pair(stop(reduce_only=True), target(reduce_only=True))

    fake.futures.path(SYMBOL, ["110", "89"])

    assert found(futures, "target").status is ReportStatus.FILLED
    assert found(futures, "stop").status is ReportStatus.REJECTED
    assert futures.held(SYMBOL) == 0


def test_target_that_is_refused_takes_the_stop_back(futures: Exchange) -> None:
    position(futures)

    with pytest.raises(RejectedError) as caught:
        futures.send_pair(
            stop(reduce_only=True), target(price="110.001", reduce_only=True)
        )

    assert caught.value.code == -1013
    assert found(futures, "stop").status is ReportStatus.CANCELED
    assert futures.find(SYMBOL, "target") is None


def test_stop_triggered_before_the_target_was_refused_is_not_called_refused(
    futures: Exchange, fake: FakeBinance
) -> None:
    position(futures)
    # The position is gone when the target comes.
    fake.before("POST /fapi/v1/order", lambda: fake.futures.set_price(SYMBOL, "90"))

    with pytest.raises(AmbiguousError, match="the stop has been triggered"):
        futures.send_pair(stop(reduce_only=True), target(reduce_only=True))

    assert found(futures, "stop").status is ReportStatus.FILLED
    assert futures.find(SYMBOL, "target") is None


def test_stop_that_cannot_be_taken_back_is_not_called_refused(
    futures: Exchange, fake: FakeBinance
) -> None:
    position(futures)
    fake.fault("POST /fapi/v1/order", "reject", code=-2022, message="ReduceOnly")
    fake.fault("DELETE /fapi/v1/algoOrder", "error before", times=9)

    with pytest.raises(AmbiguousError, match="is not known"):
        futures.send_pair(stop(reduce_only=True), target(reduce_only=True))

    assert found(futures, "stop").status is ReportStatus.OPEN


def test_stop_beyond_the_mark_price_is_rejected(futures: Exchange) -> None:
    position(futures)

    with pytest.raises(RejectedError) as caught:
        futures.send_pair(stop(price="101", reduce_only=True), target())

    assert caught.value.code == -2021
    assert futures.find(SYMBOL, "stop") is None


def test_order_that_only_reduces_opens_nothing(futures: Exchange) -> None:
    with pytest.raises(RejectedError) as caught:
        futures.send(order("out", "SELL", reduce_only=True))

    assert caught.value.code == -2022
    position(futures)
    report = futures.send(order("out", "SELL", quantity="3", reduce_only=True))
    assert report.status is ReportStatus.CANCELED
    assert [fill.quantity for fill in report.fills] == [1]
    assert futures.held(SYMBOL) == 0


def test_liquidation_is_reported_as_an_order_of_the_exchange(
    futures: Exchange, fake: FakeBinance
) -> None:
    since = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)
    position(futures)
    assert futures.liquidations(SYMBOL, since) == []

    fake.futures.set_price(SYMBOL, "90")

    (report,) = futures.liquidations(SYMBOL, since)
    assert report.client_id.startswith("autoclose-")
    assert report.status is ReportStatus.FILLED
    (fill,) = report.fills
    # (100 - 10) / (1 - 0.004), rounded up to a tick
    assert (fill.price, fill.quantity) == (Decimal("90.37"), Decimal(1))
    assert futures.held(SYMBOL) == 0
    assert futures.liquidations(SYMBOL, dt.datetime.now(dt.UTC)) == []


@pytest.mark.parametrize("days", [5, 6, 7, 80])
def test_fill_of_long_ago_is_found(
    days: int, futures: Exchange, fake: FakeBinance
) -> None:
    fake.futures.parts = 3
    sent = futures.send(order("in"))
    ago_ms = days * 24 * 60 * 60 * 1000
    for each in fake.futures.orders.values():
        each.time -= ago_ms
        each.updated -= ago_ms
    for trade in fake.futures.trades:
        trade["time"] -= ago_ms

    report = found(futures, "in")

    ids = [fill.trade_id for fill in report.fills]
    assert ids == [fill.trade_id for fill in sent.fills]


def test_triggered_stop_that_is_not_executed_yet_is_open(
    futures: Exchange, fake: FakeBinance
) -> None:
    position(futures)
    futures.send(stop(reduce_only=True))
    (conditional,) = fake.futures.conditionals.values()

    conditional.status = "TRIGGERING"

    assert found(futures, "stop").status is ReportStatus.OPEN
    # Over, and what it has become is not told.
    conditional.status = "FINISHED"
    with pytest.raises(UnavailableError, match="malformed"):
        futures.find(SYMBOL, "stop")
