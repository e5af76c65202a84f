from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backtests.models import Backtest
from tests.admin_data import admin_url, client_of, make_rows, make_superuser
from tests.backtests.test_charts import TRADE, make_candles, make_result
from tests.factories import make_backtest, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


@pytest.mark.alike
def test_backtest_shows_its_parameters_and_results(superuser: Client) -> None:
    rows = make_rows()

    text = superuser.get(admin_url("change", rows.backtest)).content.decode()

    assert "&quot;ema_fast&quot;: 9" in text
    assert "&quot;pnl_pct&quot;: 1.5" in text


@pytest.mark.alike
def test_backtest_with_markup_in_its_parameters_shows_it_as_text(
    superuser: Client,
) -> None:
    backtest = make_backtest(make_user(), parameters={"name": "<script>"})

    text = superuser.get(admin_url("change", backtest)).content.decode()

    assert "&lt;script&gt;" in text
    assert '"<script>"' not in text


@pytest.mark.alike
def test_backtest_without_results_shows_a_dash(superuser: Client) -> None:
    backtest = make_backtest(make_user())

    text = superuser.get(admin_url("change", backtest)).content.decode()

    # Strategy, source, seed, picture, warnings, figures, two kinds of results, trades,
    # engine version, filters, candles, fingerprint.
    assert len(re.findall(r'<div class="readonly [^>]*>-</div>', text)) == 13


@pytest.mark.alike
def test_list_of_backtests_does_not_fetch_their_results(superuser: Client) -> None:
    make_rows()

    with CaptureQueriesContext(connection) as queries:
        superuser.get(admin_url("changelist", Backtest))

    for name in ("daily_results", "equity_curve", '"trades"'):
        assert not [query for query in queries if name in query["sql"]]


@pytest.mark.alike
def test_backtest_is_drawn_with_its_trades_as_long_as_there_are_candles(
    superuser: Client,
) -> None:
    series = make_candles()
    page = admin_url("change", make_result(make_user()))

    text = superuser.get(page).content.decode()

    assert 'class="line price"' in text
    assert "not all stored any more" not in text
    assert "<td>2025-01-01 01:00</td><td>LONG</td><td>110.0</td>" in text
    series.delete()
    text = superuser.get(page).content.decode()
    assert "not all stored any more" in text
    assert 'class="line price"' not in text
    assert 'class="line equity"' in text


@pytest.mark.alike
def test_page_has_the_first_trades_and_says_how_many_there_are(
    superuser: Client,
) -> None:
    page = admin_url("change", make_result(make_user(), trades=[TRADE] * 501))

    text = superuser.get(page).content.decode()

    assert text.count("<td>LONG</td>") == 500
    assert "The first 500 of 501" in text
