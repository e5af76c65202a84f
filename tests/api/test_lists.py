"""Lists: the same whoever writes them, and what a query chooses of them."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.models import User
from apikeys.services import api_key_create
from bots.api.views import BotConfigViewSet, BotStateViewSet
from bots.models import BotConfig, BotState
from tests.clients import JSONClient, broken_fields, read
from tests.factories import make_backtest, make_bot, make_trade
from trading.api.views import TradeViewSet

ODD_TEXT = '"quoted" \\ \t\n\x01\x7f\u2028 < & \' \u0130 \U0001f600'
ODD_NUMBERS = ["0", "-0.000000000000000001", "1E+20", "12345678901234567890.5"]


@pytest.fixture
def bot(user: User) -> BotConfig:
    return make_bot(user, name="Mine")


def whole_and_paged(view: Any, user: User) -> tuple[bytes, bytes]:
    """Return a list as one answer, and as a page that holds all of it."""
    answers = []
    for query in ({}, {"limit": 1000}):
        request = APIRequestFactory().get("/", query)
        force_authenticate(request, user)
        response = view.as_view({"get": "list"})(request)
        response.render() if hasattr(response, "render") else None
        assert response.headers["X-Total-Count"] == str(len(read(response)))
        answers.append(response.content)
    return answers[0], answers[1]


def test_whole_list_is_a_page_of_all(user: User, bot: BotConfig) -> None:
    """On PostgreSQL the whole list is written by the server."""
    second = dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    for index, number in enumerate(ODD_NUMBERS):
        make_trade(
            bot,
            Decimal(number),
            binance_order_id=f"{ODD_TEXT}{index}",
            timestamp=second + dt.timedelta(microseconds=index * 100),
        )
        other = make_bot(user, name=ODD_TEXT, stop_loss_perc=Decimal(number))
        BotState.objects.create(bot_config=other, entry_price=Decimal(number))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("UPDATE trades SET pnl = 'NaN', realized_pnl = 'Infinity'")

    for view in (TradeViewSet, BotConfigViewSet, BotStateViewSet):
        whole, page = whole_and_paged(view, user)
        assert len(read_json(whole)) >= len(ODD_NUMBERS)
        assert read_json(whole) == read_json(page)


def test_first_backtests_are_a_page_of_fifty(api: JSONClient, user: User) -> None:
    """On PostgreSQL what the server cannot round like Python is left to Python."""
    second = dt.datetime(2025, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    for index, number in enumerate([2.675, 1.005, 1e16, -0.001, 0.1 + 0.2] * 11):
        backtest = make_backtest(user, symbol=ODD_TEXT, total_return=number)
        backtest.created_at = second + dt.timedelta(microseconds=index * 100)
        backtest.save()

    first, page = (
        api.send("GET", f"/backtest/list{query}") for query in ("", "?limit=50")
    )

    assert len(read(first)["data"]) == 50
    assert read_json(first.content) == read_json(page.content)
    assert first.headers["X-Total-Count"] == page.headers["X-Total-Count"] == "55"
    assert "offset=50" in first.headers["Link"]


def read_json(content: bytes) -> Any:
    """Return what is in JSON, with all digits of its numbers."""
    return json.loads(content, parse_float=Decimal)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 3),
        ("symbol=ETHUSDT", 1),
        ("symbol=ethusdt", 0),
        ("side=sell", 1),
        ("side=BUY&symbol=BTCUSDT", 1),
        ("bot=0", 0),
        ("start_date=2025-01-02&end_date=2025-01-02", 1),
        ("start_date=2025-01-02T00:00:00%2B01:00", 3),
        ("limit=2&side=BUY", 2),
    ],
)
def test_trades_are_chosen(
    api: JSONClient, user: User, bot: BotConfig, query: str, expected: int
) -> None:
    day = dt.datetime(2025, 1, 2, tzinfo=dt.UTC)
    make_trade(bot, timestamp=day)
    make_trade(bot, symbol="ETHUSDT", timestamp=day + dt.timedelta(days=1))
    make_trade(make_bot(user), side="SELL", timestamp=day + dt.timedelta(days=2))

    response = api.send("GET", f"/trades/?{query}")

    assert len(read(response)) == expected
    if "limit" not in query:
        assert response.headers["X-Total-Count"] == str(expected)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/bot-configs/", "symbol=BTCUSDT", 1),
        ("/bot-configs/", "symbol=ETHUSDT", 0),
        ("/bot-configs/", "is_active=true", 0),
        ("/bot-configs/", "timeframe=1h&strategy=simple&position_type=spot", 1),
        ("/bot-states/", "status=stopped&in_position=no", 1),
        ("/bot-states/", "status=running", 0),
        ("/api-keys/", "label=main&is_valid=false", 1),
        ("/api-keys/", "label=other", 0),
        ("/backtest/list", "symbol=BTCUSDT&interval=1h&market_type=spot", 1),
        ("/backtest/list", "market_type=futures", 0),
        ("/backtest/list", "offset=1", 0),
    ],
)
def test_others_are_chosen(
    api: JSONClient, user: User, bot: BotConfig, path: str, query: str, expected: int
) -> None:
    BotState.objects.create(bot_config=bot)
    values = {"api_key": "k", "secret_key": "s", "label": "main"}
    api_key_create(user=user, values=values)
    make_backtest(user)

    found = read(api.send("GET", f"{path}?{query}"))

    assert len(found["data"] if isinstance(found, dict) else found) == expected


@pytest.mark.alike
@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/trades/", "side=HOLD"),
        ("/trades/", "bot=abc"),
        ("/trades/", "start_date=yesterday"),
        ("/trades/", "end_date=2025-02-30"),
        ("/trades/", "symbol=%00"),
        ("/bot-configs/", "timeframe=2h"),
        ("/bot-configs/", "is_active=perhaps"),
        ("/backtest/list", "market_type=options"),
    ],
)
def test_malformed_choice_is_refused(api: JSONClient, path: str, query: str) -> None:
    response = api.send("GET", f"{path}?{query}")

    assert broken_fields(response) == {query.partition("=")[0]}
