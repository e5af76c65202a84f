"""Imports of files of candles."""

from __future__ import annotations

import gzip
import json
import zipfile
from decimal import Decimal
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from trading.models import Candle, CandleSeries

HEADER = "open_time,open,high,low,close,volume"
LINES = (
    "2022-01-01T00:00:00Z,46197.0,46247.0,46195.0,46224.0,3353308.7635",
    "2022-01-01T00:01:00Z,46224.0,46265.0,46198.0,46247.0,12437792.5648",
    "2022-01-01T00:02:00Z,46247.0,46342.0,46243.0,46320.0,0.00000000",
)
KLINES = (
    "1640995200000,46197.0,46247.0,46195.0,46224.0,3353308.7635,1640995259999,1,2,3,4,0",
    "1640995260000,46224.0,46265.0,46198.0,46247.0,12437792.5648,1640995319999,1,2,3,4,0",
    "1640995320000,46247.0,46342.0,46243.0,46320.0,0.00000000,1640995379999,1,2,3,4,0",
)
KLINES_HEADER = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)
NAMED = ("--symbol=BTCUSDT", "--interval=1m")


def text(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def zipped(content: bytes, *names: str) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return packed.getvalue()


def run(*arguments: str | Path) -> str:
    """Import into the spot market; return what is told on both streams."""
    output = StringIO()
    call_command(
        "import_candles",
        "--market=spot",
        *map(str, arguments),
        stdout=output,
        stderr=output,
    )
    return output.getvalue()


FORMATS = {
    "with a header": text(HEADER, *LINES),
    "of a spreadsheet": b"\xef\xbb\xbf" + text(HEADER, *LINES).replace(b"\n", b"\r\n"),
    "columns in another order": text(
        "volume,close,low,high,open,open_time",
        *(",".join(reversed(line.split(","))) for line in LINES),
    ),
    "gzip": gzip.compress(text(HEADER, *LINES)),
    "Binance": text(*KLINES),
    "Binance with a header": text(KLINES_HEADER, *KLINES),
    "Binance in microseconds": text(
        *(line.replace("000,", "000000,", 1) for line in KLINES)
    ),
    "Binance in zip": zipped(text(*KLINES), "BTCUSDT-1m-2022-01.csv"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", FORMATS)
def test_file_is_stored_exactly_and_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT-1m-2022-01.csv"
    path.write_bytes(FORMATS[kind])

    assert "3 stored, 0 were there" in run(path)
    assert "0 stored, 3 were there" in run(path)

    series = CandleSeries.objects.get()
    assert (series.symbol, series.interval, series.source) == (
        "BTCUSDT",
        "1m",
        "imported",
    )
    rows = list(Candle.objects.order_by("open_time").values_list())
    assert [f"{row[1]:%H:%M}" for row in rows] == ["00:00", "00:01", "00:02"]
    assert list(rows[1][2:]) == [Decimal(x) for x in LINES[1].split(",")[1:]]


def changed(old: str, new: str) -> bytes:
    return text(HEADER, *LINES).replace(old.encode(), new.encode())


BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "line 1: ''; expected a header"),
    "header alone": (text(HEADER), "has no candles"),
    "other header": (text("time,price", *LINES), "line 1: 'time,price'; expected"),
    "no number": (changed("46224.0", "NaN"), "line 2: close is 'NaN'; expected a num"),
    "digits of another script": (changed("46247.0", "4६"), "line 2: high is '4६'"),
    "negative": (changed("46195.0", "-1"), "line 2: low is '-1'; expected"),
    "zero": (changed("46195.0", "0"), "line 2: open 46197.0, .* expected 0 < low"),
    "low above open": (changed("46195.0", "46199"), "line 2: .*low <= open"),
    "naive time": (changed(":01:00Z", ":01:00"), "line 3: open_time is .*a UTC time"),
    "between minutes": (changed(":01:00Z", ":01:07Z"), "line 3: it opens at .*:01:07Z"),
    "field missing": (changed(",46320.0", ""), "line 4: open_time|line 4: 4 numbers"),
    "twice": (
        changed("00:01:00Z", "00:00:00Z"),
        "line 3: .*00:01Z or later",
    ),
    "not closed": (changed("2022-01-01T00:02", "2999-01-01T00:02"), "line 4: .*closed"),
    "other interval": (
        changed("00:01:00Z", "00:05:00Z").replace(b"00:02:00Z", b"00:10:00Z"),
        "some are 0:05:00 apart",
    ),
    "quote without an end": (
        text(HEADER, LINES[0], "", '"' + LINES[1], *LINES[2:]),
        "from line 4 on: unexpected end of data. Expected CSV",
    ),
    "quote without an end in the first line": (
        text('"' + HEADER, *LINES),
        "from line 1 on: unexpected end of data",
    ),
    "line break within quotes": (
        text(f"{HEADER},note", f'{LINES[0]},"a\nb"', '"bad\n"'),
        "line 4: ",
    ),
    "half a gzip": (gzip.compress(text(HEADER, *LINES))[:-12], "cannot be read"),
    "not UTF-8": (
        changed("46320.0", "4632").replace(b"4632", b"\xff"),
        "cannot be read",
    ),
    "two files in a zip": (zipped(text(*KLINES), "a.csv", "b.csv"), "holds 2 files"),
}


@pytest.mark.alike
@pytest.mark.django_db
@pytest.mark.parametrize("fault", BAD)
def test_bad_file_is_explained_and_stores_nothing(fault: str, tmp_path: Path) -> None:
    content, message = BAD[fault]
    path = tmp_path / "BTCUSDT-1m-2022-01.csv"
    path.write_bytes(content)

    with pytest.raises(CommandError, match=message):
        run(path)

    assert not CandleSeries.objects.exists()


@pytest.mark.django_db
def test_bad_lines_at_the_end_undo_the_file(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    bad = [LINES[0]] * 30
    path.write_bytes(text(HEADER, *LINES, *bad))

    with pytest.raises(CommandError, match="30 bad lines") as error:
        run(path, *NAMED)

    assert "line 24: " in str(error.value)
    assert "line 25: " not in str(error.value)
    assert "And 10 more lines." in str(error.value)
    assert not Candle.objects.exists()


@pytest.mark.django_db
def test_other_values_are_refused_until_told_to_replace(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(text(HEADER, *LINES[:2]))
    run(path, *NAMED)
    path.write_bytes(changed("46265.0", "46266"))

    with pytest.raises(CommandError, match=r"1 of .*: high 46265.0, now 46266"):
        run(path, *NAMED)
    assert Candle.objects.count() == 2

    assert "1 stored, 1 were there, 1 replaced" in run(path, *NAMED, "--replace")
    highs = Candle.objects.order_by("open_time").values_list("high", flat=True)
    assert list(highs) == [46247, 46266, 46342]


@pytest.mark.alike
@pytest.mark.django_db
def test_gap_is_told_with_what_fills_it(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    later = [line.replace("00:", "01:", 1) for line in LINES[:2]]
    path.write_bytes(text(HEADER, *LINES[:2], *later))

    told = run(path, *NAMED)

    assert "has no candles from 2022-01-01T00:02Z to 2022-01-01T01:00Z" in told
    assert "download_candles --market spot --symbol BTCUSDT --interval 1m" in told
    output = run(path, *NAMED, "--json")
    (report,) = json.loads(output[output.index("{") :])["files"]
    assert (report["added"], report["unchanged"]) == (0, 4)


@pytest.mark.alike
@pytest.mark.django_db
def test_file_without_a_telling_name_needs_options(tmp_path: Path) -> None:
    path = tmp_path / "candles.csv"
    path.write_bytes(text(HEADER, *LINES))

    with pytest.raises(CommandError, match="say --symbol and --interval"):
        run(path)
    with pytest.raises(CommandError, match="No such file"):
        run(tmp_path / "none.csv", *NAMED)
