"""What Binance is sent on spot and what it answers, where all goes well."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from tests.fake_exchange import FakeBinance
from tests.trading.exchanges.conftest import Connect
from tests.trading.exchanges.orders import SYMBOL, found, order, stop, target
from trading.exchanges.base import (
    Exchange,
    OrderReport,
    RejectedError,
    ReportStatus,
)

pytestmark = pytest.mark.sqlite


def test_market_order_is_reported_with_its_exact_fill(
    spot: Exchange, fake: FakeBinance
) -> None:
    before = dt.datetime.now(dt.UTC)
    fake.spot.set_price(SYMBOL, "100.07")

    report = spot.send(order("in", quantity="0.12345"))

    assert (report.client_id, report.status) == ("in", ReportStatus.FILLED)
    (fill,) = report.fills
    assert (fill.price, fill.quantity) == (Decimal("100.07"), Decimal("0.12345"))
    # A thousandth of what was bought, in BTC.
    assert (fill.commission, fill.commission_asset) == (Decimal("0.00012345"), "BTC")
    assert abs(fill.filled_at - before) < dt.timedelta(seconds=5)
    assert found(spot, "in") == report
    assert spot.held(SYMBOL) == Decimal("0.12345") - Decimal("0.00012345")
    # 10,000 - 0.12345 × 100.07
    assert spot.free("USDT") == Decimal("9987.6463585")
    assert spot.free("ETH") == 0
    assert spot.price(SYMBOL) == Decimal("100.07")


@pytest.mark.parametrize(
    ("quantity", "sent"),
    [("1E-5", "0.00001"), ("1E+3", "1000"), ("0.10", "0.10"), ("12.5", "12.5")],
)
def test_numbers_are_sent_in_plain_digits(
    quantity: str, sent: str, spot: Exchange, fake: FakeBinance
) -> None:
    fake.spot.add_symbol(SYMBOL, "1", base="BTC", min_notional="0.000001")

    spot.send(order("in", quantity=quantity))

    assert fake.last_sent("POST /api/v3/order")["quantity"] == sent


def test_order_carries_our_id_and_the_time_after_which_it_is_refused(
    spot: Exchange, fake: FakeBinance
) -> None:
    signed_at = dt.datetime.now(dt.UTC)

    spot.send(order("in", signed_at=signed_at))

    sent = fake.last_sent("POST /api/v3/order")
    assert sent["newClientOrderId"] == "in"
    assert int(sent["timestamp"]) == int(signed_at.timestamp() * 1000)
    assert sent["recvWindow"] == "4000"


def test_commission_in_bnb_is_told_as_such(spot: Exchange, fake: FakeBinance) -> None:
    fake.spot.balances["BNB"] = Decimal(1)
    fake.spot.bnb_price = Decimal(500)

    (fill,) = spot.send(order("in")).fills

    # 100 × 0.001 × 0.75 / 500
    assert (fill.commission, fill.commission_asset) == (Decimal("0.00015"), "BNB")
    assert spot.held(SYMBOL) == 1


@pytest.mark.parametrize("market", ["spot", "futures"])
def test_order_filled_in_parts_has_all_of_them(
    market: str, connect: Connect, fake: FakeBinance
) -> None:
    (fake.futures if market == "futures" else fake.spot).parts = 3

    report = connect(market).send(order("in"))

    assert [(fill.price, fill.quantity) for fill in report.fills] == [
        (Decimal(100), Decimal("0.33333")),
        (Decimal("100.01"), Decimal("0.33333")),
        (Decimal("100.02"), Decimal("0.33334")),
    ]
    assert len({fill.trade_id for fill in report.fills}) == 3


def test_more_trades_than_one_answer_holds_are_all_read(
    spot: Exchange, fake: FakeBinance
) -> None:
    fake.spot.parts = 2_500

    report = spot.send(order("in"))

    assert len(report.fills) == 2_500
    assert sum(fill.quantity for fill in report.fills) == 1


def test_limit_order_fills_bit_by_bit_at_its_price(
    spot: Exchange, fake: FakeBinance
) -> None:
    fake.spot.parts = 2
    sent = spot.send(order("in", "BUY", "LIMIT", price="95"))
    assert (sent.status, list(sent.fills)) == (ReportStatus.OPEN, [])

    fake.spot.set_price(SYMBOL, "94")
    half = found(spot, "in")
    fake.spot.set_price(SYMBOL, "93")
    whole = found(spot, "in")

    assert (half.status, len(half.fills)) == (ReportStatus.OPEN, 1)
    assert (whole.status, len(whole.fills)) == (ReportStatus.FILLED, 2)
    assert {fill.price for fill in whole.fills} == {Decimal(95)}


def test_order_canceled_in_part_keeps_its_fill(
    spot: Exchange, fake: FakeBinance
) -> None:
    fake.spot.parts = 2
    spot.send(order("in", "BUY", "LIMIT", price="95"))
    fake.spot.set_price(SYMBOL, "94")

    spot.cancel(SYMBOL, "in")
    spot.cancel(SYMBOL, "in")
    spot.cancel(SYMBOL, "none")

    report = found(spot, "in")
    assert (report.status, len(report.fills)) == (ReportStatus.CANCELED, 1)
    assert spot.free("USDT") == 10_000 - Decimal("47.5")


def pair_on_spot(spot: Exchange) -> tuple[OrderReport, OrderReport]:
    spot.send(order("in", quantity="1.01"))
    return spot.send_pair(stop(), target())


def test_pair_is_an_oco_with_the_target_above_and_the_stop_below(
    spot: Exchange, fake: FakeBinance
) -> None:
    reports = pair_on_spot(spot)

    assert [report.client_id for report in reports] == ["stop", "target"]
    assert {report.status for report in reports} == {ReportStatus.OPEN}
    sent = fake.last_sent("POST /api/v3/orderList/oco")
    assert (sent["aboveType"], sent["abovePrice"]) == ("LIMIT_MAKER", "110")
    assert (sent["belowType"], sent["belowStopPrice"]) == ("STOP_LOSS", "90")
    # What is locked for the list is locked once, and held all the same.
    assert spot.free("BTC") == Decimal("0.00899")
    assert spot.held(SYMBOL) == Decimal("1.00899")


@pytest.mark.parametrize(
    ("price", "filled", "other", "at"),
    [("89.5", "stop", "target", "89.5"), ("111", "target", "stop", "110")],
)
def test_one_of_a_pair_executes_and_the_other_ends(
    price: str, filled: str, other: str, at: str, spot: Exchange, fake: FakeBinance
) -> None:
    pair_on_spot(spot)

    fake.spot.set_price(SYMBOL, price)

    report = found(spot, filled)
    assert report.status is ReportStatus.FILLED
    assert [fill.price for fill in report.fills] == [Decimal(at)]
    assert found(spot, other).status is ReportStatus.CANCELED
    assert spot.held(SYMBOL) == spot.free("BTC") == Decimal("0.00899")


def test_cancel_of_one_of_a_pair_cancels_both(spot: Exchange) -> None:
    pair_on_spot(spot)

    spot.cancel(SYMBOL, "target")

    assert found(spot, "stop").status is ReportStatus.CANCELED
    assert found(spot, "target").status is ReportStatus.CANCELED
    assert spot.free("BTC") == Decimal("1.00899")


@pytest.mark.parametrize(
    ("stop_price", "target_price"), [("110", "90"), ("100", "110"), ("90", "100")]
)
def test_pair_on_the_wrong_side_of_the_price_is_rejected(
    stop_price: str, target_price: str, spot: Exchange
) -> None:
    spot.send(order("in", quantity="1.01"))

    with pytest.raises(RejectedError, match="relationship of the prices") as caught:
        spot.send_pair(stop(price=stop_price), target(price=target_price))

    assert caught.value.code == -2010
    assert spot.find(SYMBOL, "stop") is spot.find(SYMBOL, "target") is None


def test_pair_that_buys_is_not_sent_on_spot(spot: Exchange, fake: FakeBinance) -> None:
    with pytest.raises(RejectedError, match="it sells"):
        spot.send_pair(stop("BUY", "110"), target("BUY", "90"))

    assert not fake.requests


def test_single_stop_sells_at_the_market(spot: Exchange, fake: FakeBinance) -> None:
    spot.send(order("in", quantity="1.01"))
    assert spot.send(stop()).status is ReportStatus.OPEN

    fake.spot.set_price(SYMBOL, "89")

    assert [fill.price for fill in found(spot, "stop").fills] == [Decimal(89)]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"quantity": "0.123456"}, -1013),  # LOT_SIZE
        ({"kind": "LIMIT", "price": "95.001"}, -1013),  # PRICE_FILTER
        ({"quantity": "0.04"}, -1013),  # NOTIONAL: 4 USDT
        ({"quantity": "101"}, -2010),  # 10,100 USDT
        ({"side": "SELL"}, -2010),  # nothing to sell
        ({"client_id": "an id"}, -1100),
    ],
)
def test_order_that_breaks_a_rule_is_rejected_with_the_code(
    values: dict[str, str], code: int, spot: Exchange, fake: FakeBinance
) -> None:
    with pytest.raises(RejectedError, match="Binance answers 400") as caught:
        spot.send(order(**{"client_id": "in", **values}))

    assert caught.value.code == code
    assert not fake.spot.orders
    assert fake.sent("POST") == 1


def test_spot_has_no_liquidations_and_nothing_to_prepare(
    spot: Exchange, fake: FakeBinance
) -> None:
    assert spot.liquidations(SYMBOL, dt.datetime.now(dt.UTC)) == ()
    spot.prepare(SYMBOL, 5)
    assert not fake.requests
