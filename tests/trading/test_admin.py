from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin_data import (
    LONG,
    SMALL,
    Rows,
    admin_url,
    client_of,
    make_rows,
    make_staff,
    make_superuser,
)
from tests.factories import make_bot, make_trade, make_user
from tradebot.adminsite import pagination
from trading import export
from trading.admin import TradeAdmin
from trading.models import Trade

pytestmark = pytest.mark.django_db


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


@pytest.mark.alike
def test_trade_shows_all_digits_and_its_second(superuser: Client) -> None:
    rows: Rows = make_rows()
    Trade.objects.update(timestamp=dt.datetime(2025, 5, 23, 12, 34, 56, tzinfo=dt.UTC))

    for path in (admin_url("changelist", Trade), admin_url("change", rows.trade)):
        text = superuser.get(path).content.decode()

        assert format(LONG, "f") in text
        assert format(SMALL, "f") in text
        assert "2025-05-23 12:34:56" in text


@pytest.mark.alike
def test_trade_is_found_by_its_whole_order_id(superuser: Client) -> None:
    make_trade(make_bot(make_user()), binance_order_id="28457")

    assert found(superuser, q="28457") == 1
    assert found(superuser, q="2845") == 0


def found(superuser: Client, **query: str) -> int:
    count: int = (
        superuser.get(admin_url("changelist", Trade), query).context["cl"].result_count
    )
    return count


@pytest.mark.alike
@pytest.mark.parametrize(
    ("text", "count"),
    [("first", 1), ("ethbtc", 1), ("owner@", 2), ("owner@ FIRST", 1), ("%", 0)],
)
def test_trade_is_found_by_its_bot_and_the_owner(
    superuser: Client, text: str, count: int
) -> None:
    owner = make_user("owner@example.com")
    make_trade(make_bot(owner, name="First"))
    make_trade(make_bot(owner, name="Second", symbol="ETHBTC"))

    assert found(superuser, q=text) == count


@pytest.mark.alike
@pytest.mark.parametrize(
    ("first", "last", "count"),
    [
        ("", "", 4),
        ("2025-01-01", "", 3),
        ("", "2024-12-31", 1),
        ("2025-01-01", "2025-01-31", 2),
        ("2025-02-01", "2025-02-01", 1),
        ("2025-02-02", "", 0),
        ("", "9999-12-31", 4),
    ],
)
def test_days_of_trades_split_at_midnight_utc_and_include_the_last(
    superuser: Client, first: str, last: str, count: int
) -> None:
    bot = make_bot(make_user())
    for moment in (
        dt.datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2025, 1, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2025, 2, 1, tzinfo=dt.UTC),
    ):
        make_trade(bot, timestamp=moment)

    assert found(superuser, timestamp_from=first, timestamp_to=last) == count


@pytest.mark.alike
def test_trades_are_filtered_by_amounts_with_all_their_digits(
    superuser: Client,
) -> None:
    bot = make_bot(make_user())
    make_trade(bot, quote_quantity_filled=Decimal("1.000000000000000001"))
    make_trade(bot, quote_quantity_filled=Decimal("-3"))

    name = "quote_quantity_filled"
    assert found(superuser, **{f"{name}_from": "1.000000000000000001"}) == 1
    assert found(superuser, **{f"{name}_from": "1.000000000000000002"}) == 0
    assert found(superuser, **{f"{name}_from": "-3", f"{name}_to": "1"}) == 1


@pytest.mark.alike
@pytest.mark.parametrize(
    ("parameter", "text", "message"),
    [
        ("timestamp_from", "31.12.2025", "Write it as 2025-12-31."),
        ("realized_pnl_to", "much", "Enter a number."),
        ("realized_pnl_from", "NaN", "Enter a number."),
    ],
)
def test_range_that_cannot_be_read_is_refused_and_shows_nothing(
    superuser: Client, parameter: str, text: str, message: str
) -> None:
    make_rows()

    page = superuser.get(admin_url("changelist", Trade), {parameter: text})

    assert message in page.content.decode()
    assert page.context["cl"].result_count == 0


@pytest.mark.alike
def test_list_counts_no_further_than_its_pages_reach(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pagination, "LIMIT", 3)
    monkeypatch.setattr(TradeAdmin, "list_per_page", 1)
    bot = make_bot(make_user())
    for _ in range(4):
        make_trade(bot)

    page = superuser.get(admin_url("changelist", Trade))

    assert page.context["cl"].result_count == 3
    assert "or more" in page.content.decode()
    assert "Select all 3 trades" not in page.content.decode()


@pytest.mark.alike
def test_list_asks_for_nothing_of_all_trades(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TradeAdmin, "list_per_page", 1)
    for number in (1, 2):
        make_rows(number)

    with CaptureQueriesContext(connection) as queries:
        superuser.get(admin_url("changelist", Trade))

    about_trades = [each["sql"] for each in queries if 'FROM "trades"' in each["sql"]]
    assert about_trades
    assert all("LIMIT" in sql for sql in about_trades)


def exported(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response["Content-Disposition"] == 'attachment; filename="trades.csv"'
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.alike
def test_export_has_the_trades_of_the_list_with_all_digits(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_BATCH", 2)
    bot = make_bot(make_user(), name="=HYPERLINK(1)")
    moment = dt.datetime(2025, 5, 23, 12, 34, 56, tzinfo=dt.UTC)
    for number in range(5):
        make_trade(bot, LONG, realized_pnl=-SMALL, timestamp=moment, pnl=number)
    make_trade(bot, side="SELL")

    rows = exported(
        superuser.get(reverse("admin:trading_trade_export"), {"side": "BUY"})
    )

    assert [row["pnl"] for row in rows] == ["4", "3", "2", "1", "0"]
    assert rows[0]["price"] == format(LONG, "f")
    assert rows[0]["realized_pnl"] == "-" + format(SMALL, "f")
    assert rows[0]["time_utc"] == "2025-05-23T12:34:56+00:00"
    assert rows[0]["bot"] == "'=HYPERLINK(1)"
    assert rows[0]["commission_asset"] == ""


@pytest.mark.alike
def test_action_exports_the_selected_trades(superuser: Client) -> None:
    bot = make_bot(make_user())
    chosen, _ = make_trade(bot), make_trade(bot)

    response = superuser.post(
        admin_url("changelist", Trade),
        {"action": "export_selected", "_selected_action": chosen.pk},
    )

    assert [row["id"] for row in exported(response)] == [str(chosen.pk)]


@pytest.mark.alike
def test_export_is_for_readers_of_trades_and_for_known_filters() -> None:
    path = reverse("admin:trading_trade_export")

    assert Client().get(path).status_code == 302
    assert client_of(make_staff()).get(path).status_code == 403
    assert client_of(make_superuser()).get(path, {"nosuch": 1}).status_code == 400
