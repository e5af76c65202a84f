"""What Binance is sent and what is made of its answers, where all goes well."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.fake_exchange import FakeBinance, Key
from tests.trading.exchanges.conftest import Connect
from tests.trading.exchanges.orders import SYMBOL, order, stop, target
from trading.exchanges.base import (
    AmbiguousError,
    AuthenticationError,
    Exchange,
    OrderReport,
    RejectedError,
    ReportStatus,
    UnavailableError,
)
from trading.exchanges.binance import permissions

pytestmark = pytest.mark.sqlite


def found(exchange: Exchange, client_id: str) -> OrderReport:
    report = exchange.find(SYMBOL, client_id)
    assert report is not None
    return report


def parameters(fake: FakeBinance, request: str) -> dict[str, str]:
    """Return what the last request of its kind has sent."""
    return [sent for name, sent in fake.requests if name == request][-1]


# --- Spot -------------------------------------------------------------------------


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

    assert parameters(fake, "POST /api/v3/order")["quantity"] == sent


def test_order_carries_our_id_and_the_time_after_which_it_is_refused(
    spot: Exchange, fake: FakeBinance
) -> None:
    signed_at = dt.datetime.now(dt.UTC)

    spot.send(order("in", signed_at=signed_at))

    sent = parameters(fake, "POST /api/v3/order")
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
    sent = parameters(fake, "POST /api/v3/orderList/oco")
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


# --- Futures ----------------------------------------------------------------------


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
    algo = parameters(fake, "POST /fapi/v1/algoOrder")
    assert (algo["type"], algo["workingType"]) == ("STOP_MARKET", "MARK_PRICE")
    assert (algo["triggerPrice"], algo["reduceOnly"]) == (stop_price, "true")
    assert "timestamp" in algo
    limit = parameters(fake, "POST /fapi/v1/order")
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


# --- Keys -------------------------------------------------------------------------


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
