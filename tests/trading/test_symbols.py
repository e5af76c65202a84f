"""The symbols of the markets, fetched from a server that stands for Binance."""

from __future__ import annotations

import datetime as dt
import gzip
import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.http import HttpResponse
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.clients import JSONClient, read, read_problem
from tests.factories import make_user
from tests.trading.binance import PATHS, Answer, Binance, listing, pair, sends
from trading import exchange_info
from trading.exchange_info import ExchangeUnavailableError
from trading.models import Symbol, SymbolList
from trading.symbols import (
    FRESH_FOR,
    TRY_FOR,
    symbol_list_create,
    symbols_claim,
    symbols_refresh,
)

MARKETS = ["spot", "futures"]


@pytest.fixture
def binance(settings: Settings) -> Iterator[Binance]:
    binance = Binance()
    settings.BINANCE_SPOT_URL = settings.BINANCE_FUTURES_URL = binance.url
    with binance.serving():
        yield binance


def store(market: str, *names: str, age: dt.timedelta) -> None:
    """Store symbols of a market that were fetched some time ago."""
    fetched = timezone.now() - age
    SymbolList.objects.create(market=market, fetched_at=fetched, tried_at=fetched)
    Symbol.objects.bulk_create(
        Symbol(
            market=market,
            symbol=f"{name}USDT",
            base_asset=name,
            quote_asset="USDT",
            status="TRADING",
        )
        for name in names
    )


def stored(market: str) -> set[str]:
    return set(
        Symbol.objects.filter(market=market).values_list("base_asset", flat=True)
    )


def refresh(market: str) -> None:
    symbol_list_create(market=market)
    claim = symbols_claim(market=market)
    assert claim is not None
    symbols_refresh(market=market, claim=claim)


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """Return what was logged of faults."""
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


def wait_for_refresh(market: str) -> None:
    for thread in threading.enumerate():
        if thread.name == f"{market} symbols":
            thread.join(timeout=10)


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.django_db
def test_first_request_fetches_what_is_traded(market: str, binance: Binance) -> None:
    binance.answer = sends(
        listing(
            pair("AAVE"),
            pair("UNI"),
            pair("ETH"),
            pair("BTC"),
            pair("OLD", status="BREAK"),
            pair("EUR", symbol="BTCEUR", quoteAsset="EUR"),
            pair("\u5e01\u5b89"),
        )
    )

    response = JSONClient().send("GET", f"/symbols/{market}")

    # LINK and UNI come first on the spot market only.
    bases = ["BTC", "ETH", "UNI", "AAVE", "\u5e01\u5b89"]
    if market == "futures":
        bases = ["BTC", "ETH", "AAVE", "UNI", "\u5e01\u5b89"]
    assert read(response) == [
        {
            "symbol": f"{base}USDT",
            "baseAsset": base,
            "quoteAsset": "USDT",
            "status": "TRADING",
        }
        for base in bases
    ]
    assert response.headers["Age"] == "0"
    assert response.headers["Cache-Control"] == "public, max-age=600"
    assert "Cache-Status" not in response.headers
    assert [path for path, _ in binance.requests] == [PATHS[market]]


@pytest.mark.alike
@pytest.mark.django_db
def test_futures_are_perpetual(binance: Binance) -> None:
    binance.answer = sends(
        listing(pair("BTC"), pair("ETH", contractType="CURRENT_QUARTER"))
    )

    assert len(read(JSONClient().send("GET", "/symbols/futures"))) == 1


@pytest.mark.alike
@pytest.mark.django_db
def test_fresh_list_is_not_fetched_again(binance: Binance) -> None:
    store("spot", "BTC", age=FRESH_FOR - dt.timedelta(seconds=5))

    response = JSONClient().send("GET", "/symbols/spot")

    assert len(read(response)) == 1
    assert response.headers["Age"] in {"595", "596"}
    assert not binance.requests


@pytest.mark.alike
@pytest.mark.django_db
def test_token_does_not_matter_and_no_key_is_sent(binance: Binance) -> None:
    inactive = make_user(is_active=False)
    for client in (JSONClient(inactive), JSONClient(make_user("b@example.com"))):
        read(client.send("GET", "/symbols/spot"))
    bad = JSONClient()
    read(bad.send("GET", "/symbols/spot", headers={"Authorization": "Bearer x"}))

    ((_, headers),) = binance.requests
    assert headers.keys() == {"Accept-Encoding", "User-Agent", "Host", "Connection"}


@pytest.mark.parametrize("notional", ["NOTIONAL", "MIN_NOTIONAL"])
@pytest.mark.django_db
def test_rules_of_orders_are_stored_exactly(notional: str, binance: Binance) -> None:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.00000100"},
        {"filterType": "LOT_SIZE", "minQty": "0.1", "stepSize": "0.00000000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "7", "stepSize": "7"},
        {"filterType": notional, "minNotional": "5.00000001"},
    ]
    binance.answer = sends(
        listing(pair("BTC", filters=filters), pair("ETH", filters=[]))
    )

    refresh("spot")

    rules = "tick_size", "step_size", "min_quantity", "min_notional"
    assert Symbol.objects.order_by("symbol").values_list(*rules)[0] == (
        Decimal("0.000001"),
        None,  # zero switches a rule off
        Decimal("0.1"),
        Decimal("5.00000001"),
    )
    assert Symbol.objects.order_by("symbol").values_list(*rules)[1] == (None,) * 4
    told = read(JSONClient().send("GET", "/symbols/spot?filters=true"))
    assert told[0] == {
        "symbol": "BTCUSDT",
        "baseAsset": "BTC",
        "quoteAsset": "USDT",
        "status": "TRADING",
        "tickSize": 0.000001,
        "stepSize": None,
        "minQuantity": 0.1,
        "minNotional": 5.00000001,
    }
    assert read(JSONClient().send("GET", "/symbols/spot")) == [
        {name: pair[name] for name in list(told[0])[:4]} for pair in told
    ]


@pytest.mark.alike
@pytest.mark.django_db
def test_minimum_of_futures_has_another_name(binance: Binance) -> None:
    filters = [{"filterType": "MIN_NOTIONAL", "notional": "100"}]
    binance.answer = sends(listing(pair("BTC", filters=filters)))

    refresh("futures")

    assert Symbol.objects.get().min_notional == 100


@pytest.mark.alike
@pytest.mark.django_db
def test_packed_answer_is_unpacked(binance: Binance) -> None:
    packed = gzip.compress(listing(pair("BTC"), pair("ETH")))
    binance.answer = sends(packed, Content_Encoding="gzip")

    assert len(read(JSONClient().send("GET", "/symbols/spot"))) == 2


def hangs(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)
    sends(listing(pair("BTC")))(handler)


def drips(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for byte in b" " * 30:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.02)
    handler.wfile.write(listing(pair("BTC")))


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ff\r\n" + listing(pair("BTC"))[:100])


def with_filter(**values: Any) -> Answer:
    return sends(listing(pair("BTC"), pair("ETH", filters=[values])))


WHOLE = listing(*(pair(f"A{number}") for number in range(100)))
FAILURES: dict[str, Answer] = {
    "hangs": hangs,
    "drips": drips,
    "breaks off": breaks_off,
    "500": sends(b"{}", 500),
    "redirect": sends(b"", 302, Location="http://127.0.0.1:1/"),
    "no content": sends(b"", 204),
    "half a body": sends(WHOLE[:5000], length=len(WHOLE)),
    "half a packed body": sends(gzip.compress(WHOLE)[:-20], Content_Encoding="gzip"),
    "not packed": sends(WHOLE, Content_Encoding="gzip"),
    "too large": sends(b" " * 100_000 + WHOLE),
    "too large once unpacked": sends(
        gzip.compress(b" " * 100_000 + WHOLE), Content_Encoding="gzip"
    ),
    "not JSON": sends(b"<html>blocked</html>"),
    "not UTF-8": sends(b'{"symbols": [{"symbol": "\xff"}]}'),
    "no object": sends(b"[]"),
    "no symbols": sends(b"{}"),
    "nothing in it": sends(listing()),
    "nothing traded": sends(listing(pair("BTC", status="BREAK"))),
    "field missing": sends(listing(pair("BTC"), {"symbol": "ETHUSDT"})),
    "field of another type": sends(listing(pair("BTC"), pair("ETH", baseAsset=5))),
    "name that is none": sends(listing(pair("BTC"), pair("ETH", symbol="<b>"))),
    "name with NUL": sends(listing(pair("BTC"), pair("ETH", symbol="ETH\0"))),
    "twice the same": sends(listing(pair("BTC"), pair("BTC"))),
    "rule NaN": with_filter(filterType="LOT_SIZE", stepSize="NaN"),
    "rule infinite": with_filter(filterType="LOT_SIZE", stepSize="Infinity"),
    "rule negative": with_filter(filterType="LOT_SIZE", stepSize="-1"),
    "rule endless": with_filter(filterType="LOT_SIZE", stepSize="1e-999"),
    "rule no number": with_filter(filterType="LOT_SIZE", stepSize="one"),
}


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_info, "TIMEOUT_S", 0.2)
    monkeypatch.setattr(exchange_info, "MAX_BYTES", 100_000)


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("failure", FAILURES)
def test_failure_replaces_nothing(failure: str, binance: Binance) -> None:
    store("spot", "OLD", age=FRESH_FOR)
    binance.answer = FAILURES[failure]

    with pytest.raises(ExchangeUnavailableError):
        refresh("spot")

    assert stored("spot") == {"OLD"}


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("closed", [True, False])
def test_failure_without_a_list_is_a_503_once_for_all(
    closed: bool,
    binance: Binance,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    binance.answer = sends(b"{}", 500)
    if closed:
        settings.BINANCE_SPOT_URL = "http://127.0.0.1:1"

    for _ in range(3):
        response = JSONClient().send("GET", "/symbols/spot")
        assert "Retry-After" in read_problem(response, 503)["detail"]
        assert response.headers["Retry-After"] in {"29", "30"}

    assert len(binance.requests) == (0 if closed else 1)
    assert len(told(caplog)) == 4  # the reason once, and three times a 503
    assert "exchangeInfo" in caplog.text


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("status", [418, 429])
def test_ban_is_waited_for(status: int, binance: Binance) -> None:
    binance.answer = sends(b"{}", status, Retry_After="7200")
    response = JSONClient().send("GET", "/symbols/spot")
    assert response.headers["Retry-After"] == "7200"

    with pytest.raises(CommandError, match="spot"):
        call_command("refresh_symbols", market="spot")

    assert len(binance.requests) == 1


@pytest.mark.django_db
def test_failure_is_tried_again_when_its_time_has_come(binance: Binance) -> None:
    binance.answer = sends(b"{}", 500)
    read_problem(JSONClient().send("GET", "/symbols/spot"), 503)
    an_hour_ago = timezone.now() - dt.timedelta(hours=1)
    SymbolList.objects.update(tried_at=an_hour_ago, retry_at=an_hour_ago)
    binance.answer = sends(listing(pair("BTC")))

    assert len(read(JSONClient().send("GET", "/symbols/spot"))) == 1


class Gate:
    """An answer that comes when it is let through."""

    def __init__(self, answer: Answer) -> None:
        self.asked = threading.Event()
        self.opened = threading.Event()
        self._answer = answer

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.set()
        self.opened.wait(timeout=10)
        self._answer(handler)


def sessions() -> int:
    """Return how many sessions the server has for this database; 0 on SQLite."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        (count,) = cursor.fetchone()
    return int(count)


@pytest.mark.usefixtures("shared_database")
def test_stale_list_is_served_while_it_is_fetched(binance: Binance) -> None:
    store("spot", "OLD", age=FRESH_FOR + dt.timedelta(seconds=60))
    gate = binance.answer = Gate(sends(listing(pair("NEW"))))
    before = sessions()

    for _ in range(3):
        response = JSONClient().send("GET", "/symbols/spot")
        assert [one["baseAsset"] for one in read(response)] == ["OLD"]
        assert response.headers["Age"] in {"660", "661"}
        assert response.headers["Cache-Status"].startswith("TradeBot; hit; ttl=-6")
    assert gate.asked.wait(timeout=10)
    gate.opened.set()
    wait_for_refresh("spot")

    response = JSONClient().send("GET", "/symbols/spot")
    assert [one["baseAsset"] for one in read(response)] == ["NEW"]
    assert int(response.headers["Age"]) < 5
    assert "Cache-Status" not in response.headers
    assert len(binance.requests) == 1
    until = time.monotonic() + 5
    while sessions() > before and time.monotonic() < until:
        time.sleep(0.01)  # the server sees the end of a session a little later
    assert sessions() == before


@pytest.mark.usefixtures("shared_database")
def test_stale_list_stays_where_it_cannot_be_fetched(
    binance: Binance, caplog: pytest.LogCaptureFixture
) -> None:
    store("spot", "OLD", age=FRESH_FOR)
    binance.answer = sends(b"{}", 500)

    for _ in range(3):
        assert len(read(JSONClient().send("GET", "/symbols/spot"))) == 1
        wait_for_refresh("spot")

    assert len(binance.requests) == 1
    (record,) = told(caplog)
    assert "answered 500" in record.getMessage()


def in_parallel(number: int, act: Callable[[], Any]) -> list[Any]:
    """Return what ``act`` returns in each of some threads that begin together."""
    together = threading.Barrier(number)

    def run() -> Any:
        together.wait(timeout=10)
        try:
            return act()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(number) as pool:
        return [one.result() for one in [pool.submit(run) for _ in range(number)]]


@pytest.mark.usefixtures("shared_database")
def test_first_requests_at_once_ask_the_exchange_once(binance: Binance) -> None:
    gate = binance.answer = Gate(sends(listing(pair("BTC"))))
    refused = []

    def ask() -> HttpResponse:
        answer = JSONClient().send("GET", "/symbols/spot")
        if answer.status_code == 503:
            refused.append(answer)
            if len(refused) == 3:  # they have not waited for the exchange
                gate.opened.set()
        return answer

    answers = in_parallel(4, ask)

    (served,) = (answer for answer in answers if answer not in refused)
    assert len(read(served)) == 1
    assert [read_problem(one, 503) and one["Retry-After"] for one in refused] == [
        "2"
    ] * 3
    assert len(binance.requests) == 1


@pytest.mark.usefixtures("shared_database")
def test_claim_is_given_to_one() -> None:
    for _ in range(5):
        SymbolList.objects.all().delete()
        store("spot", age=FRESH_FOR)

        claims = in_parallel(4, lambda: symbols_claim(market="spot"))

        assert sum(claim is not None for claim in claims) == 1


@pytest.mark.django_db
def test_claim_of_a_process_that_ended_lapses(binance: Binance) -> None:
    symbol_list_create(market="spot")
    late = symbols_claim(market="spot")
    assert late is not None
    assert symbols_claim(market="spot") is None

    long_ago = late - TRY_FOR
    SymbolList.objects.update(tried_at=long_ago)
    binance.answer = sends(listing(pair("NEW")))
    refresh("spot")
    # The first one comes to its end after all.
    binance.answer = sends(listing(pair("OLD")))
    symbols_refresh(market="spot", claim=long_ago)

    assert stored("spot") == {"NEW"}


@pytest.mark.alike
@pytest.mark.django_db
def test_command_fetches_both_markets(
    binance: Binance, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("refresh_symbols")
    call_command("refresh_symbols", market="spot")

    assert [path for path, _ in binance.requests] == list(PATHS.values())
    assert capsys.readouterr().out.splitlines() == [
        "spot: 1 symbols.",
        "futures: 1 symbols.",
        "spot: another process is fetching it, or has just done so.",
    ]


@pytest.mark.alike
@pytest.mark.django_db
def test_command_fails_where_one_market_fails(
    binance: Binance, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.BINANCE_SPOT_URL = "http://127.0.0.1:1"

    with pytest.raises(CommandError, match="Not fetched: spot"):
        call_command("refresh_symbols")

    output = capsys.readouterr()
    tried = "http://127.0.0.1:1/api/v3/exchangeInfo"
    assert f"spot: {tried} cannot be read: Connection refused." in output.err
    assert output.out == "futures: 1 symbols.\n"

    with pytest.raises(CommandError, match="Not fetched: spot"):
        call_command("refresh_symbols", market="spot")

    told = capsys.readouterr().err
    assert f"spot: {tried} was asked at 20" in told
    assert "UTC: try again then." in told
