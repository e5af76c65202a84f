from __future__ import annotations

import datetime as dt
import re

import pytest
from django.test import Client

from tests.admin_data import (
    LONG,
    SMALL,
    Rows,
    admin_url,
    client_of,
    make_rows,
    make_superuser,
)
from tests.factories import make_bot, make_trade, make_user
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
    path = admin_url("changelist", Trade)

    def found(text: str) -> int:
        count: int = superuser.get(path, {"q": text}).context["cl"].result_count
        return count

    assert (found("28457"), found("2845")) == (1, 0)


@pytest.mark.alike
@pytest.mark.parametrize(
    ("query", "count", "links"),
    [
        ("", 5, ["year=2024", "year=2025"]),
        ("year=2024", 1, ["month=12 year=2024"]),
        ("year=2025", 4, ["month=1 year=2025", "month=2 year=2025"]),
        (
            "month=1 year=2025",
            3,
            ["day=1 month=1 year=2025", "day=31 month=1 year=2025"],
        ),
        ("day=31 month=1 year=2025", 2, []),
        ("day=1 month=2 year=2025", 1, []),
        ("year=2023", 0, []),
    ],
)
def test_dates_of_trades_split_at_midnight_utc(
    superuser: Client, query: str, count: int, links: list[str]
) -> None:
    bot = make_bot(make_user())
    for moment in (
        dt.datetime(2024, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2025, 1, 31, tzinfo=dt.UTC),
        dt.datetime(2025, 1, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
        dt.datetime(2025, 2, 1, tzinfo=dt.UTC),
    ):
        make_trade(bot, timestamp=moment)

    page = superuser.get(
        admin_url("changelist", Trade)
        + "?"
        + "&".join(f"timestamp__{part}" for part in query.split())
    )

    assert page.context["cl"].result_count == count
    (dates,) = re.findall(
        r'<nav class="toplinks">(.*?)</nav>', page.content.decode(), re.DOTALL
    )
    offered = [
        " ".join(sorted(re.findall(r"timestamp__(\w+=\d+)", link)))
        for link in re.findall(r'href="\?([^"]*)"', dates)
    ]
    # The way back comes first where a date is chosen.
    assert offered[bool(query) :] == links
