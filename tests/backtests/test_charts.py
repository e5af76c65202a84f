"""What the picture of a backtest shows, point by point."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from accounts.models import User
from backtests.charts import picture_draw, prices_find
from backtests.models import Backtest
from backtests.shapes import Areas, Line, Picture, as_png, as_svg
from tests.factories import make_backtest
from trading.models import Candle, CandleSeries

HOUR = 3_600_000
DAY = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
BEGIN = int(DAY.timestamp()) * 1000
# At the closes of five hours. Of 1100 the account falls to 880: by 20 %.
EQUITY = (1000.0, 1100.0, 880.0, 990.0, 1100.0)
PRICES = (100, 110, 90, 95, 100)
TRADE: dict[str, Any] = {
    "side": "LONG",
    "entry_time": BEGIN + HOUR,
    "exit_time": BEGIN + 3 * HOUR,
    "entry_price": 110.0,
    "exit_price": 95.0,
    "units": 1.0,
    "pnl_usdt": -15.0,
    "exit_reason": "SL",
}


def make_result(user: User, **values: Any) -> Backtest:
    return make_backtest(
        user,
        **{
            "strategy": "ema",
            "initial_capital": 1000.0,
            "equity_curve": [[BEGIN + i * HOUR, e] for i, e in enumerate(EQUITY)],
            "trades": [TRADE],
            **values,
        },
    )


def make_candles() -> CandleSeries:
    series = CandleSeries.objects.create(
        market="spot", symbol="BTCUSDT", interval="1h", source="imported"
    )
    Candle.objects.bulk_create(
        Candle(
            series=series,
            open_time=DAY + hour * dt.timedelta(hours=1),
            **dict.fromkeys(("open", "high", "low", "close", "volume"), Decimal(price)),
        )
        for hour, price in enumerate(PRICES)
    )
    return series


def drawn(backtest: Backtest) -> Picture:
    picture = picture_draw(backtest, prices_find(backtest))
    assert picture
    return picture


def shape(picture: Picture, kind: str) -> Any:
    (found,) = [shape for shape in picture.shapes if shape.kind == kind]
    return found


@pytest.mark.alike
def test_trades_are_on_the_price_and_the_drawdown_is_that_of_the_equity(
    user: User,
) -> None:
    make_candles()

    picture = drawn(make_result(user))

    price, equity = shape(picture, "price"), shape(picture, "equity")
    assert isinstance(price, Line)
    across = [x for x, _ in price.points]
    assert [b - a for a, b in pairwise(across)] == pytest.approx([217] * 4)
    # The highest price is at the top of its panel, the lowest at its bottom.
    assert min(y for _, y in price.points) == price.points[1][1]
    assert max(y for _, y in price.points) == price.points[2][1]
    assert shape(picture, "entry").polygons[0][0] == price.points[1]
    x, y = price.points[3]
    assert shape(picture, "loss").polygons == [
        [(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)]
    ]
    assert equity.points[1][1] == equity.points[4][1] < equity.points[0][1]
    fall = shape(picture, "drawdown")
    assert isinstance(fall, Areas)
    (polygon,) = fall.polygons
    zero, deepest = polygon[0][1], max(y for _, y in polygon)
    depths = [(y - zero) / (deepest - zero) * 20 for _, y in polygon[1:-1]]
    assert depths == pytest.approx([0, 0, 20, 10, 0])
    texts = [label.text for label in picture.labels]
    assert {"Price", "Equity", "Drawdown", "-20 %", "01-01 00:00"} <= {*texts}


@pytest.mark.alike
def test_drawdown_counts_from_the_capital_before_the_first_bar(user: User) -> None:
    backtest = make_result(user, equity_curve=[[BEGIN, 900.0], [BEGIN + HOUR, 900.0]])

    polygon = shape(drawn(backtest), "drawdown").polygons[0]

    assert polygon[1][1] > polygon[0][1]


@pytest.mark.alike
def test_picture_is_without_the_price_where_a_candle_is_gone(user: User) -> None:
    series = make_candles()
    backtest = make_result(user)
    series.candles.filter(close=Decimal(95)).delete()

    kinds = {shape.kind for shape in drawn(backtest).shapes}

    assert kinds == {"grid", "equity", "drawdown"}


@pytest.mark.alike
def test_results_of_the_old_program_have_no_picture(user: User) -> None:
    backtest = make_backtest(user)

    assert picture_draw(backtest, prices_find(backtest)) is None


@pytest.mark.alike
@pytest.mark.parametrize("equity", [[1000.0], [1000.0, 1000.0], [0.0, 0.0]])
def test_flat_and_short_curves_can_be_drawn(user: User, equity: list[float]) -> None:
    curve = [[BEGIN + i * HOUR, value] for i, value in enumerate(equity)]
    picture = drawn(make_result(user, equity_curve=curve, trades=[]))

    assert "nan" not in as_svg(picture)
    assert as_png(picture).startswith(b"\x89PNG")


@pytest.mark.alike
def test_text_of_a_picture_is_no_markup(user: User) -> None:
    svg = as_svg(drawn(make_result(user, symbol="<script>alert(1)</script>")))

    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
