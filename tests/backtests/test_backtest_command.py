"""manage.py backtest: the same run as by the API, told and drawn."""

from __future__ import annotations

import json
import re
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from accounts.models import User
from backtests.models import Backtest
from backtests.runs import run_claim, run_create, run_execute
from backtests.simulation import simulate
from trading.models import CandleSeries, CandleSource

DAYS = ("--symbol=BTC/USDT", "--interval=1h", "--from=2025-01-31", "--to=2025-02-10")
SET = ("--set=rsi_overbought=95", "--set", "take_profit=off")
SVG = "{http://www.w3.org/2000/svg}"


def backtest(*arguments: str) -> str:
    output = StringIO()
    call_command("backtest", *DAYS, *arguments, stdout=output, stderr=StringIO())
    return output.getvalue()


@pytest.mark.usefixtures("candles")
def test_command_has_the_result_of_a_run_with_its_trades(user: User) -> None:
    told = json.loads(backtest(*SET, "--json"))

    request = {
        name: told[name]
        for name in (
            *("symbol", "interval", "start_date", "end_date"),
            *("market_type", "seed", "parameters"),
        )
    }
    assert (request["symbol"], request["end_date"]) == ("BTCUSDT", "2025-02-09")
    assert told["parameters"]["take_profit"] is None
    run_create(user=user, request=request)
    run = run_claim(worker="w")
    assert run
    run_execute(run, simulate)
    stored = Backtest.objects.get()
    assert told["fingerprint"] == stored.fingerprint
    assert told["metrics"] == stored.metrics
    assert told["trades"] == stored.trades
    assert told["equity_curve"] == stored.equity_curve
    assert len(told["trades"]) == told["total_trades"] > 0


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_command_tells_the_figures_and_stores_nothing() -> None:
    text = backtest(*SET)

    assert "BTCUSDT 1h 2025-01-31–2025-02-09 spot, ema, on imported candles" in text
    assert re.search(r"^Initial capital +1,000\.00$", text, re.MULTILINE)
    assert re.search(r"^Max\. drawdown +-\d+\.\d\d %$", text, re.MULTILINE)
    assert re.search(r"^Return a year \(CAGR\) +-$", text, re.MULTILINE)  # too few days
    assert re.search(r"^Exits .*TRAIL \d+", text, re.MULTILINE)
    assert not Backtest.objects.exists()


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_command_stores_the_result_of_a_user(user: User) -> None:
    text = backtest("--save", f"--user={user.email.upper()}")

    stored = Backtest.objects.get()
    assert stored.user == user
    assert f"Stored as backtest {stored.pk}." in text


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_command_draws_the_same_picture_as_svg_and_as_png(tmp_path: Path) -> None:
    for kind in ("svg", "PNG"):
        backtest(*SET, f"--chart={tmp_path / kind}.{kind}")

    svg = ElementTree.fromstring((tmp_path / "svg.svg").read_bytes())  # noqa: S314 -- ours
    width, height = svg.attrib["viewBox"].split()[2:]
    kinds = {path.attrib["class"] for path in svg.iter(f"{SVG}path")}
    assert {"line price", "line equity", "area drawdown", "area entry"} <= kinds
    assert not list(svg.iter(f"{SVG}script"))
    image = Image.open(BytesIO((tmp_path / "PNG.PNG").read_bytes()))
    assert image.size == (int(width), int(height))
    colours = {colour for _, colour in image.getcolors(2**20) or ()}
    assert {(0xC9, 0x30, 0x2C), (0x25, 0x63, 0xA8), (255, 255, 255)} <= colours


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_command_marks_candles_that_are_made_up(tmp_path: Path) -> None:
    CandleSeries.objects.update(source=CandleSource.SYNTHETIC, seed=7, base_price=100)
    path = tmp_path / "chart.svg"

    assert "MADE UP from seed 7" in backtest("--seed=7", f"--chart={path}")

    assert "MADE UP from seed 7" in path.read_text()


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set=ema_fast=21"], r"ema_fast: Ensure this is less than ema_slow"),
        (["--set=ema_fast=2.5"], r"ema_fast: A whole number is required"),
        (["--set=leverage=3"], r"leverage: Only futures have this"),
        (["--set=luck=3"], r"'luck' is no parameter; expected one of initial_capital"),
        (["--set=ema_fast"], r"'ema_fast' sets nothing; expected NAME=VALUE"),
        (["--from=2025-02-10"], r"expected --to later than --from"),
        (["--from=0001-01-01"], r"'0001-01-01' is before 1970, .* 1970-01-01 or later"),
        (["--from=0001-01-01T00:00+01:00"], r"is before 1970, when candles begin"),
        (["--from=1969-12-31"], r"--from: '1969-12-31' is before 1970"),
        (["--to=1970-01-01T00:00+01:00"], r"--to: '1970-01-01T.*' is before 1970"),
        (["--to=9999-12-31T23:59-05:00"], r"--to: '9999-.*' is after the year 9999"),
        (["--from=31.1.2025"], r"is no time; expected a day as 2025-01-31"),
        (["--from=2025-01-31T12:00"], r"whole days, UTC: expected 2025-01-31"),
        (["--to=2025-02-11"], r"2025-02-10T00:00Z.*manage.py download_candles"),
        (["--from=2025-01-21"], r"needs 201 candles before 2025-01-21"),
        (["--market=futures"], r"are missing.*--market futures"),
        (["--seed=-1"], r"--seed: '-1' is no seed; expected a whole number from 0"),
        (["--seed=2147483648"], r"'2147483648' is no seed; expected .* to 2147483647"),
        (["--save"], r"--save and --user EMAIL belong together"),
        (["--save", "--user=nobody@example.com"], r"no user nobody@example.com"),
        (["--chart=chart.gif"], r"expected a name that ends with .svg or .png"),
        (["--chart=/nowhere/chart.svg"], r"there is no folder '/nowhere'"),
    ],
)
def test_command_refuses_what_cannot_be_tried(arguments: list[Any], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        backtest(*arguments)

    assert not Backtest.objects.exists()


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_picture_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "chart.svg").mkdir()

    with pytest.raises(CommandError, match="cannot be written: Is a directory"):
        backtest(f"--chart={tmp_path / 'chart.svg'}")
