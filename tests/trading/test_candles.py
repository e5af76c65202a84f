"""Candles in the database: written, read, listed, made up."""

from __future__ import annotations

import datetime as dt
import json
import math
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.admin_data import admin_url, client_of, make_staff, make_superuser
from tests.processes import ROOT, SECRETS, environment
from trading.candles import (
    CandleConflictError,
    CandleRow,
    MissingCandlesError,
    Period,
    candle_row,
    candles_read,
    candles_store,
    extent_read,
    missing_find,
    series_find,
)
from trading.engine.candles import INTERVALS_MS
from trading.models import Candle, CandleSeries, CandleSource, Interval

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LONG = "12345678.123456789012345678"  # more digits than a float has


def row(number: int, close: str = "100.5") -> CandleRow:
    return candle_row(
        START + number * MINUTE,
        ["100", LONG, "0.00000001", close, "1e-8"],
        length=MINUTE,
        now=START + dt.timedelta(days=1),
    )


def wanted(**values: Any) -> CandleSeries:
    default = {"market": "spot", "symbol": "BTCUSDT", "interval": "1m"}
    return CandleSeries(**{**default, "source": CandleSource.EXCHANGE, **values})


def store(*numbers: int) -> CandleSeries:
    """Store minutes; return their series."""
    candles_store(wanted(), map(row, numbers))
    return CandleSeries.objects.get()


def period(start: int, end: int) -> Period:
    return Period(START + start * MINUTE, START + end * MINUTE)


@pytest.mark.django_db
def test_stored_numbers_are_exact_and_read_as_the_nearest_floats() -> None:
    series = store(0, 1)

    candle = Candle.objects.get(series=series, open_time=START + MINUTE)
    assert (candle.high, candle.volume) == (Decimal(LONG), Decimal("0.00000001"))
    columns = candles_read(series, period(0, 2))
    assert columns.series.source == "exchange"
    assert columns.open_time.tolist() == [1_735_689_600_000, 1_735_689_660_000]
    assert columns.open_time.dtype == "int64"
    assert columns.high.tolist() == [float(LONG)] * 2
    assert columns.low.tolist() == columns.volume.tolist() == [1e-8] * 2
    assert columns.close.dtype == "float64"


@pytest.mark.django_db
def test_period_is_read_up_to_its_end() -> None:
    series = store(*range(10))

    columns = candles_read(series, period(3, 7))

    assert len(columns.close) == 4
    assert columns.open_time[0] == 1_735_689_600_000 + 3 * 60_000


@pytest.mark.django_db
def test_missing_candles_are_named_with_what_gets_them() -> None:
    series = store(2, 3, 6)

    with pytest.raises(MissingCandlesError) as error:
        candles_read(series, period(0, 8))

    assert error.value.periods == [period(0, 2), period(4, 6), period(7, 8)]
    assert "2025-01-01T00:00Z to 2025-01-01T00:02Z" in str(error.value)
    assert (
        "manage.py download_candles --market spot --symbol BTCUSDT --interval 1m "
        "--from 2025-01-01T00:04Z --to 2025-01-01T00:06Z" in str(error.value)
    )
    assert missing_find(series, period(2, 4)) == []


@pytest.mark.django_db
def test_nothing_stored_misses_the_whole_period() -> None:
    real = series_find(market="spot", symbol="ETHUSDT", interval="1h")
    day = Period(START, START + dt.timedelta(days=1))

    assert missing_find(real, day) == [day]
    with pytest.raises(MissingCandlesError, match="--interval 1h --from"):
        candles_read(real, day)
    made = series_find(market="spot", symbol="ETHUSDT", interval="1h", seed=3)
    with pytest.raises(MissingCandlesError, match=r"make_candles .*--seed 3 --base"):
        candles_read(made, day)


@pytest.mark.django_db
def test_conflict_stores_nothing_of_what_came_with_it() -> None:
    series = store(1, 2)

    with pytest.raises(CandleConflictError, match=r"00:02Z: close 100.5, now 100.6"):
        candles_store(wanted(), [row(0), row(1), row(2, "100.6"), row(3)])

    assert extent_read(series).rows == 2
    # The same number in other digits is no conflict.
    again = candles_store(wanted(), [row(1, "100.50"), row(2), row(3)])
    assert (again.added, again.unchanged, again.replaced) == (1, 2, 0)


@pytest.mark.django_db
def test_failure_half_way_stores_nothing() -> None:
    def breaks() -> Iterator[CandleRow]:
        yield from map(row, range(5))
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        candles_store(wanted(), breaks())

    assert not CandleSeries.objects.exists()
    store(0)  # the connection is as before


@pytest.mark.alike
@pytest.mark.django_db
def test_series_is_imported_once_a_candle_of_a_file_is_in_it() -> None:
    store(0)
    candles_store(wanted(source=CandleSource.IMPORTED), [row(0)])
    assert CandleSeries.objects.get().source == "exchange"

    candles_store(wanted(source=CandleSource.IMPORTED), [row(1)])
    candles_store(wanted(), [row(2)])

    assert CandleSeries.objects.get().source == "imported"


@pytest.mark.sqlite
@pytest.mark.parametrize("interval", Interval)
def test_interval_has_its_length(interval: Interval) -> None:
    number, unit = int(interval[:-1]), interval[-1]

    seconds = interval.length.total_seconds()

    assert seconds == number * {"m": 60, "h": 3600, "d": 86400}[unit]
    assert INTERVALS_MS[interval] == seconds * 1000  # the engine knows no Django
    assert 86400 % seconds == 0  # so that candles open at multiples since 1970


def make(*options: str, to: str = "2025-01-02") -> str:
    output = StringIO()
    call_command(
        "make_candles",
        "--market=spot",
        "--symbol=BTCUSDT",
        "--interval=1m",
        "--from=2025-01-01",
        f"--to={to}",
        "--seed=7",
        "--base-price=40000",
        *options,
        stdout=output,
    )
    return output.getvalue()


@pytest.mark.django_db
def test_made_candles_are_the_same_again_and_marked() -> None:
    assert "1,440 made, 0 were there" in make()
    series = CandleSeries.objects.get()
    assert (series.source, series.seed) == ("synthetic", 7)
    assert series.base_price == 40000
    assert "synthetic, seed 7" in str(series)
    first = Candle.objects.earliest("open_time")
    # What seed 7 makes has to stay: results are stored with it.
    assert (first.open, first.close) == (Decimal("40000.00"), Decimal("39989.19"))

    assert "60 made, 1,440 were there" in make(to="2025-01-02T01:00")

    columns = candles_read(series, period(0, 1_500))
    assert (columns.open[1:] == columns.close[:-1]).all()
    real = series_find(market="spot", symbol="BTCUSDT", interval="1m")
    assert missing_find(real, period(0, 1)) == [period(0, 1)]


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize(("interval", "days"), [("1m", 2), ("1h", 120), ("1d", 2000)])
def test_volatility_grows_with_the_root_of_the_interval(
    interval: str, days: int
) -> None:
    begin = START - dt.timedelta(days=days)
    make(f"--interval={interval}", f"--from={begin:%Y-%m-%d}", to="2025-01-01")

    series = CandleSeries.objects.get()
    columns = candles_read(series, Period(begin, START))
    returns = [
        math.log(close / opened)
        for opened, close in zip(columns.open, columns.close, strict=True)
    ]
    daily = statistics.stdev(returns) * math.sqrt(dt.timedelta(days=1) / series.length)
    assert daily == pytest.approx(0.04, rel=0.05)


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--base-price=41000", "is made with --base-price 40000, not 41000"),
        ("--from=2024-12-31", "begins at 2025-01-01T00:00Z"),
        ("--seed=-1", "is no seed"),
        ("--seed=2147483648", "is no seed; expected .* from 0 to 2147483647"),
        ("--base-price=0", "is no base price"),
        ("--base-price=NaN", "is no base price"),
    ],
)
def test_made_candles_are_not_mixed(option: str, message: str) -> None:
    make(to="2025-01-01T00:10")

    with pytest.raises(CommandError, match=message):
        make(option)

    assert Candle.objects.count() == 10


def candles(*options: str) -> str:
    output = StringIO()
    call_command("candles", *options, stdout=output)
    return output.getvalue()


@pytest.mark.django_db
def test_command_lists_series_with_their_gaps() -> None:
    series = store(0, 1, 5)
    make(to="2025-01-01T00:03")

    told = candles()

    assert (
        f"{series.pk}  BTCUSDT 1m (spot)  exchange  "
        "2025-01-01T00:00Z to 2025-01-01T00:06Z  3 candles\n"
        "    missing: 2025-01-01T00:02Z to 2025-01-01T00:05Z. manage.py download"
        in told
    )
    assert "synthetic, seed 7)  synthetic" in told
    assert "2 series, 6 candles" in told
    real, made = sorted(json.loads(candles("--json"))["series"], key=lambda s: s["id"])
    assert real["missing"] == [["2025-01-01T00:02Z", "2025-01-01T00:05Z"]]
    assert (made["source"], made["seed"], made["base_price"]) == (
        "synthetic",
        7,
        "40000",
    )


@pytest.mark.django_db
def test_command_deletes_a_series_with_its_candles_and_no_other() -> None:
    series = store(0, 1)
    make(to="2025-01-01T00:03")

    with pytest.raises(CommandError, match="no series 999999"):
        candles("--delete", str(series.pk), "999999")
    assert Candle.objects.count() == 5
    assert "Deleted: BTCUSDT 1m (spot)." in candles("--delete", str(series.pk))

    assert Candle.objects.count() == 3
    assert CandleSeries.objects.get().source == "synthetic"


@pytest.mark.alike
@pytest.mark.django_db
def test_admin_shows_series_and_changes_none() -> None:
    series = store(0, 1)
    superuser = client_of(make_superuser())

    listed = superuser.get(admin_url("changelist", CandleSeries)).content.decode()
    page = superuser.get(admin_url("change", series)).content.decode()

    for text in (listed, page):
        assert re.search(r"2025-01-01 00:00\b.*2025-01-01 00:01\b", text, re.DOTALL)
    assert superuser.get(admin_url("add", CandleSeries)).status_code == 403
    for view in ("change", "delete"):
        assert superuser.post(admin_url(view, series), {}).status_code == 403
    staff = client_of(make_staff())
    assert staff.get(admin_url("changelist", CandleSeries)).status_code == 403


@pytest.mark.sqlite
def test_server_loads_nothing_that_only_commands_need() -> None:
    code = (
        "import sys, tradebot.wsgi; from django.urls import get_resolver; "
        "get_resolver().url_patterns; import trading.downloads, trading.synthetic; "
        "import trading.exchanges.base, trading.exchanges.environments; "
        "sys.exit(','.join({'ccxt', 'numpy', 'rich'} & set(sys.modules)) or None)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment(**SECRETS),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
