"""Downloads of candles, from a server that stands for Binance."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django.fixtures import Settings

from tests.processes import ROOT, SECRETS, database_url, environment
from tests.trading.binance import Answer, Binance, Market, sends
from trading import downloads, klines
from trading.models import Candle, CandleSeries

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def binance(settings: Settings) -> Iterator[Binance]:
    binance = Binance()
    settings.BINANCE_SPOT_URL = settings.BINANCE_FUTURES_URL = binance.url
    with binance.serving():
        yield binance


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(klines, "TIMEOUT_S", 0.3)


def download(*options: str, market: str = "spot", to: int = 60) -> str:
    """Download the first minutes; return what is told on both streams."""
    output = StringIO()
    call_command(
        "download_candles",
        f"--market={market}",
        "--symbol=btc/usdt",
        "--interval=1m",
        "--from=2025-01-01",
        f"--to={START + to * MINUTE:%Y-%m-%dT%H:%M}",
        *options,
        stdout=output,
        stderr=output,
    )
    return output.getvalue()


def stored() -> list[int]:
    """Return the numbers of the minutes that are stored."""
    times = Candle.objects.order_by("open_time").values_list("open_time", flat=True)
    return [(time - START) // MINUTE for time in times]


def asked(binance: Binance) -> int:
    return sum("/klines" in path for path, _ in binance.requests)


@pytest.mark.django_db
@pytest.mark.parametrize("market", ["spot", "futures"])
def test_pages_are_stored_exactly_and_only_once(market: str, binance: Binance) -> None:
    binance.answer = Market(START, 2_100)

    told = download(market=market, to=2_050)

    assert asked(binance) == 3
    assert stored() == list(range(2_050))
    assert "2,050 stored" in told
    series = CandleSeries.objects.get()
    assert (series.symbol, series.source, series.seed) == ("BTCUSDT", "exchange", None)
    first = Candle.objects.earliest("open_time")
    assert (first.open, first.low) == (Decimal("100.5"), Decimal("99.00000001"))
    assert first.volume == Decimal("12.345678")
    download(market=market, to=2_050)
    assert asked(binance) == 3


@pytest.mark.alike
@pytest.mark.django_db
def test_forming_candle_is_left_out(binance: Binance) -> None:
    binance.answer = Market(START, 5)

    report = json.loads(download("--json"))

    assert stored() == [0, 1, 2, 3, 4]
    assert report["to"] == "2025-01-01T00:05:00+00:00"
    assert (report["added"], report["missing"]) == (5, [])


@pytest.mark.alike
@pytest.mark.django_db
def test_hole_is_told_and_asked_for_again(binance: Binance) -> None:
    market = binance.answer = Market(START, 60, holes={7, 8, 59})

    told = download()

    assert "no candles from 2025-01-01T00:07Z to 2025-01-01T00:09Z" in told
    assert len(stored()) == 57
    market.holes = ()
    assert "3 stored" in download()
    assert stored() == list(range(60))


def hangs(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(0.5)
    sends(b"[]")(handler)


FAULTS: dict[str, Answer] = {
    "429": sends(b"{}", 429, Retry_After="0"),
    "418": sends(b'{"code": -1003, "msg": "banned"}', 418),
    "500": sends(b"{}", 500),
    "503": sends(b"<html>busy</html>", 503),
    "hangs": hangs,
    "half a body": sends(b"[[1735689600000,", length=1000),
    "not JSON": sends(b"<html>blocked</html>"),
    "no list": sends(b'{"a": 1}'),
    "no candle": sends(b"[[1]]"),
    "no price": sends(b'[[1735689600000, "x", "1", "1", "1", "1"]]'),
    "price as a float": sends(b"[[1735689600000, 1.5, 1.5, 1.5, 1.5, 1.5]]"),
    "not asked for": sends(b'[[1735689540000, "1", "1", "1", "1", "1"]]'),
}


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_moment_is_got_over(fault: str, binance: Binance) -> None:
    market = binance.answer = Market(START, 60)
    clock = sends(b'{"serverTime": 1735700000000}')
    market.faults = [clock, FAULTS[fault], FAULTS[fault]]

    download(to=5)

    assert stored() == [0, 1, 2, 3, 4]
    assert asked(binance) == 3


@pytest.mark.alike
@pytest.mark.django_db
def test_long_ban_ends_it_with_the_time(binance: Binance) -> None:
    binance.answer = sends(b"{}", 418, Retry_After="7200")

    with pytest.raises(CommandError, match="goes on from there in 7200 s"):
        download()

    assert len(binance.requests) == 1
    assert not CandleSeries.objects.exists()


@pytest.mark.alike
@pytest.mark.django_db
def test_unknown_symbol_is_told_at_once(binance: Binance) -> None:
    binance.answer = Market(START, 5)

    with pytest.raises(CommandError, match="Invalid symbol"):
        download("--symbol=NONE")

    assert asked(binance) == 1


@pytest.mark.alike
@pytest.mark.django_db
def test_corrected_candle_needs_replace(binance: Binance) -> None:
    market = binance.answer = Market(START, 60)
    download(to=3)
    market.price = "100.25"

    assert "0 stored" in download(to=3)
    assert "3 replaced" in download("--replace", to=3)

    assert Candle.objects.latest("open_time").open == Decimal("100.25")


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--from=2025-13-01", "is no time"),
        ("--from=2025-01-01T00:00:30", "one does at 2025-01-01T00:01Z"),
        ("--to=2024-12-31", "--to later than --from"),
        ("--from=2999-01-01", "both in the past"),
        ("--symbol=BTC USDT", "is no symbol"),
        ("--interval=7m", "invalid choice"),
    ],
)
def test_bad_argument_is_explained(option: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        download(option)


def test_killed_download_goes_on_where_it_was(
    migrated_database: BaseDatabaseWrapper, binance: Binance, tmp_path: Path
) -> None:
    market = Market(START, 5_000)

    def stops_at_the_third_page(handler: BaseHTTPRequestHandler) -> None:
        if asked(binance) == 3:
            time.sleep(3)
            return
        market(handler)

    binance.answer = stops_at_the_third_page
    name = str(migrated_database.settings_dict["NAME"])
    url = (
        database_url(migrated_database)
        if migrated_database.vendor == "postgresql"
        else f"sqlite:///{name}"
    )
    command = [sys.executable, "manage.py", "download_candles", "--market=spot"]
    command += ["--symbol=BTCUSDT", "--interval=1m", "--from=2025-01-01"]
    command += ["--to=2025-01-03T00:00"]
    log = tmp_path / "stderr"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**SECRETS, DATABASE_URL=url, BINANCE_SPOT_URL=binance.url),
            stderr=stderr,
        )
    until = time.monotonic() + 20
    while asked(binance) < 3:
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()

    candles = Candle.objects.using(migrated_database.alias)
    assert candles.count() == 2_000
    binance.answer = market
    default = connections["default"]
    connections["default"] = migrated_database
    try:
        download(to=2_880)
        assert stored() == list(range(2_880))
    finally:
        connections["default"] = default
    assert asked(binance) == 4
