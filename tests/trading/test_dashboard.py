from __future__ import annotations

import datetime as dt
import html
import re
from decimal import Decimal
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots.models import BotConfig, BotState
from tests.admin_data import (
    LONG,
    admin_url,
    client_of,
    make_rows,
    make_staff,
    make_superuser,
)
from tests.factories import make_bot, make_trade, make_user
from trading.dashboard import figures
from trading.dashboard.chart import draw_bars
from trading.dashboard.figures import Profit, profit
from trading.quotes import quote_of

pytestmark = [pytest.mark.django_db, pytest.mark.alike]

PAGE = reverse("admin:index")
TODAY = dt.date(2025, 5, 23)


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


@pytest.fixture
def bot() -> BotConfig:
    return make_bot(make_user())


def page(client: Client) -> str:
    response = client.get(PAGE)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def words(text: str) -> str:
    """Return what a page says, without markup."""
    return " ".join(re.sub(r"<[^>]*>", " ", text).split())


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


# --- Figures ----------------------------------------------------------------------


def sums(figure: Profit) -> dict[str, dict[str, Decimal]]:
    return {
        quote: {str(day): amount for day, amount in by_day.items()}
        for quote, by_day in figure.by_quote.items()
    }


def test_profit_is_summed_exactly_by_day_in_utc_and_quote(bot: BotConfig) -> None:
    for symbol, moment, amount in (
        ("BTCUSDT", "2025-05-22 23:59:59", LONG),
        ("ETHUSDT", "2025-05-22 00:00:00", Decimal("0.000000000000000001")),
        ("BTCUSDT", "2025-05-23 00:00:00", Decimal(-3)),
        ("ETHBTC", "2025-05-23 12:00:00", Decimal("0.1")),
        ("BTCUSDT", "2025-05-23 12:00:00", None),
    ):
        make_trade(bot, symbol=symbol, timestamp=at(moment), realized_pnl=amount)

    figure = profit(TODAY)

    assert sums(figure) == {
        "BTC": {"2025-05-23": Decimal("0.1")},
        "USDT": {
            "2025-05-22": LONG + Decimal("0.000000000000000001"),
            "2025-05-23": Decimal(-3),
        },
    }
    assert figure.trades == 5
    assert figure.series("BTC")[-2:] == [
        (dt.date(2025, 5, 22), Decimal(0)),
        (TODAY, Decimal("0.1")),
    ]
    assert len(figure.series("BTC")) == 30


def test_profit_is_of_thirty_days_whose_last_is_today(bot: BotConfig) -> None:
    for moment in (
        "2025-04-23 23:59:59",
        "2025-04-24 00:00:00",
        "2025-05-23 23:59:59",
        "2025-05-24 00:00:00",
    ):
        make_trade(bot, timestamp=at(moment), realized_pnl=Decimal(1))

    assert list(sums(profit(TODAY))["USDT"]) == ["2025-04-24", "2025-05-23"]


@pytest.mark.parametrize(("at_most", "trades", "is_cut"), [(3, 3, False), (2, 2, True)])
def test_profit_of_too_many_trades_is_cut_and_says_so(
    bot: BotConfig,
    monkeypatch: pytest.MonkeyPatch,
    at_most: int,
    trades: int,
    is_cut: bool,
) -> None:
    monkeypatch.setattr(figures, "TRADES_AT_MOST", at_most)
    make_trade(bot, timestamp=at("2025-01-01"), realized_pnl=Decimal(1))
    for _ in range(3):
        make_trade(bot, timestamp=at("2025-05-23"), realized_pnl=Decimal(1))

    figure = profit(TODAY)

    assert (figure.trades, figure.is_cut) == (trades, is_cut)


@pytest.mark.parametrize(
    ("symbol", "quote"),
    [
        ("BTCUSDT", "USDT"),
        ("BTCFDUSD", "FDUSD"),
        ("ETHBTC", "BTC"),
        ("BTCUSD", "USD"),
        ("???", "other"),
    ],
)
def test_quote_of_a_symbol_is_its_end(symbol: str, quote: str) -> None:
    assert quote_of(symbol) == quote


def test_bars_share_one_scale_and_hang_from_zero() -> None:
    # 144 pixels between the margins for 12 units: 12 pixels each, zero at 8 + 9 * 12.
    chart = draw_bars([(TODAY, Decimal(9)), (TODAY, Decimal(-3)), (TODAY, Decimal(0))])

    assert chart.zero == "116.0"
    assert [(bar.y, bar.height, bar.kind) for bar in chart.bars] == [
        ("8.0", "108.0", "gain"),
        ("116.0", "36.0", "loss"),
        ("116.0", "0.0", "gain"),
    ]


@pytest.mark.parametrize("amount", [Decimal(0), Decimal("1e400"), Decimal("1e-400")])
def test_bars_of_any_amount_stay_in_the_picture(amount: Decimal) -> None:
    (bar,) = draw_bars([(TODAY, amount)]).bars

    assert 0 <= float(bar.y) <= 160
    assert float(bar.height) == (144 if amount else 0)


# --- The page ---------------------------------------------------------------------


def test_page_shows_how_things_stand(superuser: Client) -> None:
    rows = make_rows()
    failing = make_bot(rows.owner, name="Failing", is_active=True)
    state = BotState.objects.create(
        bot_config=failing, status="error", last_error_message="No <funds>"
    )
    make_bot(rows.owner, is_active=None)
    make_trade(failing, realized_pnl=LONG, timestamp=timezone.now())

    text = page(superuser)

    said = words(text)
    for saying in (
        "Bots 1 active of 3",
        "Users 2 active of 2",
        "Exchange keys 0 valid of 1",
        "Schema Up to date",
        "error 1 0",
        "stopped 0 1",
        "no state yet 0 1",
        f"USDT: +{LONG}",
    ):
        assert saying in said, saying
    assert "No <funds>" in text
    assert f'href="{admin_url("change", state)}"' in text
    assert f'href="{admin_url("change", rows.trade)}"' in text
    assert reverse("admin:tradebot_schema") in text


def test_page_draws_the_profit_and_says_the_same_in_a_table(
    superuser: Client, bot: BotConfig
) -> None:
    make_trade(bot, realized_pnl=Decimal("-0.10"), timestamp=timezone.now())

    text = page(superuser)

    (source,) = re.findall(r'<svg class="bars".*?</svg>', text, re.DOTALL)
    picture = ElementTree.fromstring(source)  # noqa: S314 -- it is our own
    titles = [bar.findtext("title") or "" for bar in picture.findall("rect")]
    (table,) = re.findall(r"<details>(.*?)</details>", text, re.DOTALL)
    rows = re.findall(r'"row">(.*?)</th><td[^>]*>(.*?)</td>', table)
    assert len(rows) == 30
    assert titles == [": ".join(row) for row in rows]
    assert rows[-1][1] == "-0.10"
    assert picture.findtext("title") == "Realized profit and loss in USDT by day"
    assert "style=" not in text[text.index('class="dashboard"') :].split("<script")[0]


def test_page_without_any_row_says_so(superuser: Client) -> None:
    said = words(page(superuser))

    for saying in (
        "There are no bots yet.",
        "There are no trades yet.",
        "Nothing was realized in these days.",
        "Last errors of bots None.",
    ):
        assert saying in said, saying


def test_page_tells_that_the_schema_is_behind(superuser: Client) -> None:
    MigrationRecorder(connection).record_unapplied("bots", "0016_create_bot_run_table")

    said = words(page(superuser))

    assert "Schema Behind" in said
    assert "behind this code by bots.0016_create_bot_run_table. Run migrate." in said


def test_page_asks_for_nothing_that_its_reader_may_not_see() -> None:
    make_rows()
    reader = client_of(make_staff("view_apikey"))

    with CaptureQueriesContext(connection) as queries:
        said = words(page(reader))

    assert "Exchange keys 0 valid of 1" in said
    for title in ("Bots", "Users", "Last trades", "Realized", "Schema", "Last errors"):
        assert title not in said
    asked = " ".join(query["sql"] for query in queries)
    assert 'FROM "api_keys"' in asked
    for table in ("trades", "bot_configs", "bot_states"):
        assert table not in asked


def test_page_asks_the_same_queries_for_more_rows(superuser: Client) -> None:
    make_rows()
    page(superuser)
    with CaptureQueriesContext(connection) as few:
        page(superuser)
    for number in range(2, 7):
        make_trade(make_rows(number).bot, realized_pnl=1, timestamp=timezone.now())
    with CaptureQueriesContext(connection) as many:
        page(superuser)

    assert len(many) == len(few) <= 25
