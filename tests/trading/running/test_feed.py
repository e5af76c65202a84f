"""Candles and prices for running bots: asked for once, from a server like Binance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal as D

import pytest
from pytest_django.fixtures import Settings

from tests.trading.binance import Binance, Market, sends
from trading.candles import MissingCandlesError, Period
from trading.engine.strategies.ema import Ema
from trading.exchange_info import ExchangeUnavailableError
from trading.models import Candle, CandleSeries, Interval
from trading.running.feed import LiveFeed, Series, Signals
from trading.running.feed import opened_at as last_opened
from trading.synthetic import candles_make

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
SPOT = Series("spot", "BTCUSDT", Interval.M1, None)
COUNT = 400


@pytest.fixture
def binance(settings: Settings) -> Iterator[Binance]:
    binance = Binance()
    binance.answer = Market(START, COUNT)
    settings.BINANCE_SPOT_URL = settings.BINANCE_FUTURES_URL = binance.url
    with binance.serving():
        yield binance


def now(minutes: float = COUNT) -> dt.datetime:
    return START + minutes * MINUTE + dt.timedelta(seconds=5)


def test_candles_are_fetched_once_for_all_that_share_them(binance: Binance) -> None:
    feed = LiveFeed()
    signals = Signals(feed)

    for _ in range(10):
        _, candles = signals.last(SPOT, Ema(), now())
        assert last_opened(candles) == START + (COUNT - 1) * MINUTE
    asked = len(binance.requests)

    assert asked <= 3  # the time and a page
    assert Candle.objects.count() == 301
    LiveFeed().candles(SPOT, 201, now())  # of another process
    assert len(binance.requests) == asked


def test_the_next_candle_is_fetched_when_it_has_closed(binance: Binance) -> None:
    feed = LiveFeed()
    feed.candles(SPOT, 201, now())
    binance.answer = Market(START, COUNT + 1)

    candles = feed.candles(SPOT, 201, now(COUNT + 1))

    assert len(candles) == 201
    assert last_opened(candles) == START + COUNT * MINUTE


def test_a_candle_that_is_not_told_of_yet_is_waited_for(binance: Binance) -> None:
    feed = LiveFeed()
    candles = feed.candles(SPOT, 201, now(COUNT + 1))
    assert last_opened(candles) == START + (COUNT - 1) * MINUTE


def test_a_hole_is_an_error_that_says_what_to_do(binance: Binance) -> None:
    binance.answer = Market(START, COUNT, holes=range(350, 360))
    with pytest.raises(MissingCandlesError, match="download_candles"):
        LiveFeed().candles(SPOT, 201, now())


def test_an_exchange_that_does_not_answer_is_asked_once_for_all(
    binance: Binance,
) -> None:
    binance.answer = sends(b"no", 503)
    feed = LiveFeed()
    for symbol in ("BTCUSDT", "ETHUSDT", "BNBUSDT"):
        with pytest.raises(ExchangeUnavailableError):
            feed.candles(SPOT._replace(symbol=symbol), 201, now())
    assert len(binance.requests) == 1

    binance.answer = Market(START, COUNT + 1)
    feed.candles(SPOT, 201, now(COUNT + 1))


def test_the_price_is_that_of_the_moment_and_exact(binance: Binance) -> None:
    feed = LiveFeed()
    assert feed.price(SPOT, now()) == D("100.50000000")
    feed.price(SPOT, now())
    assert len(binance.requests) == 1  # within a second
    feed.price(SPOT, now(COUNT + 1))
    assert len(binance.requests) == 2


def test_bars_are_those_of_minutes_whatever_a_bot_decides_on(binance: Binance) -> None:
    since = START + 390 * MINUTE
    bars = list(LiveFeed().bars(SPOT._replace(interval=Interval.H1), since, now()))
    assert [bar.opened_at for bar in bars] == [since + n * MINUTE for n in range(10)]
    assert bars[0].closed_at == since + MINUTE
    assert (bars[0].high, bars[0].low) == (D("101.0"), D("99.00000001"))


def test_made_up_candles_go_on_as_they_began() -> None:
    series = CandleSeries(
        market="spot",
        symbol="BTCUSDT",
        interval="1m",
        source="synthetic",
        seed=7,
        base_price=D(100),
    )
    candles_make(series, Period(START, START + COUNT * MINUTE), now=now())
    feed = LiveFeed()
    first = feed.candles(SPOT._replace(seed=7), 201, now())
    later = feed.candles(SPOT._replace(seed=7), 201, now(COUNT + 5))
    assert first.close[5:].tolist() == later.close[:-5].tolist()
    assert feed.price(SPOT._replace(seed=7), now(COUNT + 5)) == D(
        repr(float(later.close[-1]))
    )
