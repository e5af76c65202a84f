"""Reports: what came of bots, beside sums made here with Decimal."""

from __future__ import annotations

import datetime as dt
import random
from decimal import Decimal
from typing import Any

import pytest
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import User
from bots.models import BotConfig
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_bot, make_trade, make_user
from tradebot.sqlite.decimals import EXACT
from trading.models import Trade
from trading.reports import reports

BEGAN = dt.datetime(2025, 1, 31, 22, tzinfo=dt.UTC)


@pytest.fixture
def bot(user: User) -> BotConfig:
    return make_bot(user, name="Mine", strategy="ema")


def trade(bot: BotConfig, side: str, quote: str, **values: Any) -> Trade:
    return make_trade(
        bot, Decimal(100), side=side, quote_quantity_filled=Decimal(quote), **values
    )


def test_bot_without_trades_has_zeros(api: JSONClient, bot: BotConfig) -> None:
    assert read(api.send("GET", f"/bots/{bot.pk}/performance")) == {
        "bot_config_id": bot.pk,
        "total_trades": 0,
        "total_buy": 0,
        "total_sell": 0,
        "total_pnl": 0,
        "total_realized_pnl": 0,
        "last_trade": None,
        "first_trade": None,
        "total_fees": 0,
        "trades_with_other_fees": 0,
        "winning_trades": 0,
        "losing_trades": 0,
        "win_rate": None,
        "profit_factor": None,
        "best_trade": None,
        "worst_trade": None,
    }


def test_profit_counts_quantities_and_fees(api: JSONClient, bot: BotConfig) -> None:
    def fee(amount: str, asset: str) -> dict[str, Any]:
        return {"commission_amount": Decimal(amount), "commission_asset": asset}

    trade(bot, "BUY", "250.5", timestamp=BEGAN, **fee("0.002", "BTC"))
    trade(bot, "SELL", "300", **fee("0.3", "USDT"), realized_pnl=Decimal("49"))
    trade(bot, "SELL", "10", **fee("0.01", "BNB"), realized_pnl=Decimal("-1.5"))
    trade(bot, "SELL", "5", realized_pnl=Decimal(0), timestamp=BEGAN)
    last = Trade.objects.latest("timestamp").timestamp

    found = read(api.send("GET", f"/bots/{bot.pk}/performance"))

    assert found["total_trades"] == 4
    assert (found["total_buy"], found["total_sell"]) == (1, 3)
    assert found["total_fees"] == 0.5  # 0.002 coins at 100, and 0.3
    assert found["trades_with_other_fees"] == 1
    assert found["total_pnl"] == 64  # 315 - 250.5 - 0.5
    assert found["total_realized_pnl"] == 47.5
    assert (found["winning_trades"], found["losing_trades"]) == (1, 1)
    assert (found["win_rate"], found["profit_factor"]) == (50, 32.67)
    assert (found["best_trade"], found["worst_trade"]) == (49, -1.5)
    assert found["first_trade"] == BEGAN.isoformat()
    assert found["last_trade"] == last.isoformat()


@pytest.mark.django_db
def test_sums_keep_every_digit() -> None:
    bot = make_bot(make_user())
    numbers = random.Random(7)  # noqa: S311
    sold = bought = realized = Decimal(0)
    for _ in range(60):
        quote = Decimal(numbers.randrange(10**28)).scaleb(-12)
        won = Decimal(numbers.randrange(-(10**20), 10**20)).scaleb(-18)
        side = numbers.choice(["BUY", "SELL"])
        trade(bot, side, str(quote), realized_pnl=won)
        if side == "SELL":
            sold = EXACT.add(sold, quote)
        else:
            bought = EXACT.add(bought, quote)
        realized = EXACT.add(realized, won)

    (found,) = reports(BotConfig.objects.all())

    assert found["total_pnl"] == EXACT.subtract(sold, bought)
    assert found["total_realized_pnl"] == realized


@pytest.mark.parametrize(
    ("symbol", "asset", "fees", "others"),
    [
        ("BTCUSDT", "usdt", 2, 0),
        ("btc/usdt", "USDT", 2, 0),
        ("BTC/USDT", "btc", 200, 0),
        ("ETHBTC", "BTC", 2, 0),
        ("BTCUSDT", "BNB", 0, 1),
        ("BTCUSDT", "B", 0, 1),
        ("BTCUSDT", "T", 0, 1),
        ("BTCUSDT", "%", 0, 1),
        ("BTCUSDT", "", 0, 1),
        ("USDT", "", 0, 1),
        ("BTCUSDT", None, 0, 1),
        ("TUSDT", "TUSD", 0, 1),
        ("TUSDT", "T", 200, 0),
    ],
)
@pytest.mark.django_db
def test_fee_counts_in_the_base_or_the_quote_asset(
    symbol: str, asset: str | None, fees: int, others: int
) -> None:
    bot = make_bot(make_user())
    paid = {"commission_amount": Decimal(2), "commission_asset": asset}
    trade(bot, "SELL", "1", symbol=symbol, **paid)

    (found,) = reports(BotConfig.objects.all())

    assert (found["total_fees"], found["trades_with_other_fees"]) == (fees, others)


@pytest.mark.django_db
def test_profit_keeps_every_digit() -> None:
    bot = make_bot(make_user())
    trade(bot, "SELL", "1" + "0" * 29)
    trade(
        bot,
        "BUY",
        "0." + "0" * 29 + "1",
        commission_amount=Decimal("0." + "0" * 28 + "1"),
        commission_asset="USDT",
    )

    (found,) = reports(BotConfig.objects.all())

    assert str(found["total_pnl"]) == "9" * 29 + "." + "9" * 28 + "89"


@pytest.mark.alike
@pytest.mark.parametrize(
    ("profit", "loss", "factor"),
    [
        ("1e20", "-1e-7", "1" + "0" * 27 + ".00"),
        ("1e29", "-1e-30", "1" + "0" * 59 + ".00"),
        ("1e-30", "-1e29", "0.00"),
        ("2", "-3", "0.67"),
    ],
)
@pytest.mark.django_db
def test_profit_factor_of_any_numbers_has_two_decimals(
    profit: str, loss: str, factor: str
) -> None:
    bot = make_bot(make_user())
    for won in (profit, loss):
        trade(bot, "SELL", "1", realized_pnl=Decimal(won))

    (found,) = reports(BotConfig.objects.all())

    assert str(found["profit_factor"]) == factor


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", 3),
        ("start_date=2025-02-01", 1),
        ("end_date=2025-01-31", 2),
        ("end_date=2025-01-31T22:00:00", 1),
        ("end_date=9999-12-31", 3),
        ("start_date=2025-01-31T22:00:01Z&end_date=2025-01-31", 1),
    ],
)
def test_period_chooses_trades(
    api: JSONClient, bot: BotConfig, query: str, expected: int
) -> None:
    for hours in (0, 1, 3):
        trade(bot, "BUY", "1", timestamp=BEGAN + dt.timedelta(hours=hours))

    found = read(api.send("GET", f"/bots/{bot.pk}/performance?{query}"))
    (of_all,) = read(api.send("GET", f"/bots/summary?{query}"))
    listed = read(api.send("GET", f"/bots/{bot.pk}/trades?{query}"))

    assert found["total_trades"] == of_all["total_trades"] == len(listed) == expected


@pytest.mark.parametrize("trades", [1, 4])
@pytest.mark.parametrize("bots", [1, 3])
def test_summary_has_every_own_bot_with_one_query(
    api: JSONClient,
    user: User,
    django_assert_num_queries: DjangoAssertNumQueries,
    bots: int,
    trades: int,
) -> None:
    made = [make_bot(user, name=f"Bot {n}", symbol="ETHUSDT") for n in range(bots)]
    for one in made:
        for _ in range(trades):
            trade(one, "SELL", "2")
    trade(make_bot(make_user("other@example.com")), "SELL", "9")

    with django_assert_num_queries(2):  # who asks, and the reports
        found = read(api.send("GET", "/bots/summary"))

    assert [(one["bot_config_id"], one["name"]) for one in found] == [
        (one.pk, one.name) for one in made
    ]
    assert {one["symbol"] for one in found} == {"ETHUSDT"}
    assert {one["strategy"] for one in found} == {"simple"}
    assert {one["total_pnl"] for one in found} == {2 * trades}
    page = api.send("GET", "/bots/summary?limit=2&offset=0&start_date=")
    assert read(page) == found[:2]
    assert page.headers["X-Total-Count"] == str(bots)


@pytest.mark.alike
@pytest.mark.parametrize("report", ["performance", "trades"])
def test_bot_of_another_user_is_missing(
    stranger: JSONClient, bot: BotConfig, report: str
) -> None:
    problem = read_problem(stranger.send("GET", f"/bots/{bot.pk}/{report}"), 404)

    assert problem["detail"] == "You have no bot with this id."


@pytest.mark.alike
@pytest.mark.parametrize("path", ["/bots/summary", "/bots/{}/performance"])
def test_malformed_period_is_refused(
    api: JSONClient, bot: BotConfig, path: str
) -> None:
    response = api.send("GET", f"{path.format(bot.pk)}?end_date=tomorrow")

    assert broken_fields(response) == {"end_date"}


def test_trades_of_a_bot_are_the_newest(api: JSONClient, bot: BotConfig) -> None:
    made = [
        trade(bot, "BUY", "1", timestamp=BEGAN + dt.timedelta(minutes=n))
        for n in range(55)
    ]

    response = api.send("GET", f"/bots/{bot.pk}/trades")
    page = read(api.send("GET", f"/bots/{bot.pk}/trades?limit=2&offset=54"))

    assert [one["id"] for one in read(response)] == [
        one.pk for one in reversed(made[5:])
    ]
    assert response.headers["X-Total-Count"] == "55"
    assert 'rel="next"' in response.headers["Link"]
    assert page == [
        {
            "id": made[0].pk,
            "symbol": "BTCUSDT",
            "side": "BUY",
            "order_type": "MARKET",
            "price": 100,
            "quantity_filled": 1,
            "quote_quantity_filled": 1,
            "realized_pnl": None,
            "timestamp": BEGAN.isoformat(),
        }
    ]


@pytest.mark.alike
def test_trades_of_a_bot_by_side(api: JSONClient, bot: BotConfig) -> None:
    trade(bot, "BUY", "1")
    sold = trade(bot, "SELL", "1")
    path = f"/bots/{bot.pk}/trades"

    for query in ("side=SELL", "side=sell&status=FILLED", "side=SELL&symbol=BTCUSDT"):
        found = read(api.send("GET", f"{path}?{query}"))
        assert [one["id"] for one in found] == [sold.pk]
    assert len(read(api.send("GET", f"{path}?side="))) == 2
    for query, field in (
        ("limit=201", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("side=HOLD", "side"),
    ):
        assert broken_fields(api.send("GET", f"{path}?{query}")) == {field}
