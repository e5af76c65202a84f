from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backtests.models import Backtest
from tests.admin_data import admin_url, client_of, make_rows, make_superuser
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

    assert len(re.findall(r'<div class="readonly [^>]*>-</div>', text)) == 2


@pytest.mark.alike
def test_list_of_backtests_does_not_fetch_their_results(superuser: Client) -> None:
    make_rows()

    with CaptureQueriesContext(connection) as queries:
        superuser.get(admin_url("changelist", Backtest))

    assert not [query for query in queries if "daily_results" in query["sql"]]
