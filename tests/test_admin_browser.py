"""The admin in a real browser: every kind of page works, and complains of nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.models import Model
from playwright.sync_api import Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from backtests.models import BacktestRun, Sweep
from bots.models import BotConfig
from tests.admin_data import MODELS, PASSWORD, admin_url, make_rows, make_superuser
from tests.backtests.test_charts import make_candles, make_result
from tests.factories import make_run, make_sweep, make_symbols
from tradebot.models import Action, SchemaEvent
from tradebot.schema.history import History
from trading.models import TradingHalt

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.alike,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


@contextmanager
def watched_page(own: str) -> Iterator[tuple[Page, list[str]]]:
    """Open a browser; collect what is wrong with any page, as the browser tells it."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.set_default_timeout(10_000)
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{page.url}: {message.type}: {message.text}")
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on(
            "requestfailed",
            lambda request: (
                # As Chromium calls a navigation that becomes a download.
                None
                if request.failure == "net::ERR_ABORTED"
                else complaints.append(f"{request.url}: {request.failure}")
            ),
        )
        page.on(
            "response",
            lambda response: (
                complaints.append(f"{response.url}: {response.status}")
                if response.status >= 400
                else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((own, "data:"))
                else complaints.append(f"{page.url} asks {request.url}")
            ),
        )
        try:
            yield page, complaints
        except Exception as error:
            error.add_note("\n".join(complaints))  # why it went no further
            raise
        finally:
            browser.close()


def test_admin_in_a_browser_complains_of_nothing(
    live_server: LiveServer, transactional_db: None
) -> None:
    make_superuser()
    rows = make_rows()
    make_candles()
    drawn = make_result(rows.owner)
    make_symbols()
    make_run(rows.owner)
    make_sweep(rows.owner)
    BotConfig.objects.update(is_active=True, position_size_fixed=50)
    group = Group.objects.create(name="helpers")
    History(connection).record(Action.FAKE, "bots", "0001_x")
    event = SchemaEvent.objects.latest("pk")
    models: list[type[Model]] = [*MODELS, Group, SchemaEvent, TradingHalt]
    changed: list[Model] = [*rows.all, group, event]

    with watched_page(live_server.url) as (page, complaints):

        def visit(path: str) -> None:
            page.goto(live_server.url + path)

        visit("/admin/")
        page.fill("[name=username]", "admin@example.com")
        page.fill("[name=password]", PASSWORD)
        page.click("[type=submit]")
        page.wait_for_selector(".dashboard")
        for model in models:
            visit(admin_url("changelist", model))
        for row in changed:
            visit(admin_url("change", row))
        visit(admin_url("delete", rows.trade))
        visit(admin_url("changelist", type(rows.trade)))
        page.check("input[name=_selected_action] >> nth=0")
        page.select_option("select[name=action]", "delete_selected")
        page.click("button:has-text('Run')")
        page.wait_for_selector("text=Are you sure")
        visit(admin_url("change", drawn))
        picture = page.locator("svg.picture")
        assert picture.locator("path.price, path.equity, path.drawdown").count() == 3
        box = picture.bounding_box()
        assert box
        assert box["width"] > 400
        assert box["height"] > 250
        equity = picture.locator("path.equity")
        colour = "element => getComputedStyle(element).stroke"
        assert equity.evaluate(colour) == "rgb(37, 99, 168)"  # its style was let in
        page.click("summary:has-text('Trades')")
        page.wait_for_selector("td:has-text('LONG')")

        visit("/admin/tradebot/schemaevent/schema/")
        visit("/admin/password_change/")

        visit(admin_url("changelist", type(rows.trade)))
        page.click("text=Filters")
        page.fill("input[name=timestamp_from]", "2025-05-23")
        page.click("span.select2-selection >> nth=0")
        page.click("li.select2-results__option:has-text('owner1@example.com')")
        page.click("text=Apply Filters")
        page.wait_for_url(re.compile("timestamp_from=2025-05-23.*user__id__exact="))
        assert page.locator("#result_list tbody").count() == 1
        with page.expect_download() as download:
            page.click("text=Export as CSV")
        assert download.value.suggested_filename == "trades.csv"

        def act(
            action: str, told: str, model: type[Model] = BotConfig, choice: str = ""
        ) -> None:
            visit(admin_url("changelist", model))
            page.check("input[name=_selected_action] >> nth=0")
            page.select_option("select[name=action]", action)
            page.click("button:has-text('Run')")
            if choice:
                page.check(f"input[value={choice}]")
            page.click("button:has-text('Yes')")
            page.wait_for_selector(f"text={told}")

        act("stop", "Stopped: 1.")
        act("start", "Started: 1.")

        act("stop_and_close", "Stopped, and closing: 1.")
        act("start", "Started: 1.")

        act("halt", "Bots switched off: 1.", choice="keep")
        act("start", "Started: 1.")
        act("cancel", "Cancelled: 1.", BacktestRun)
        act("cancel", "Cancelled: 1.", Sweep)

        visit(admin_url("change", rows.bot))
        assert page.locator("svg polyline").count() == 1
        page.click("a:has-text('Orders') >> nth=-1")
        page.wait_for_url(re.compile("trading/order/.*bot__id__exact"))
        page.click("#result_list tbody a >> nth=0")
        page.wait_for_selector("td.field-commission_quote:visible")

        visit(admin_url("changelist", TradingHalt))
        page.click("text=Halt or lift")
        page.check("input[value=keep]")
        page.fill("input[name=reason]", "a drill")
        page.check("input[name=sure]")
        page.click("text=Halt all bots")
        page.wait_for_selector("text=Bots switched off: 1")
        page.wait_for_selector("text=a drill")
        page.click("text=Halt or lift")
        page.click("text=Lift the halt")
        page.wait_for_selector("text=The halt is lifted.")

        page.evaluate("document.querySelector('form[action*=logout]').submit()")
        page.wait_for_url(re.compile("logout"))

    assert complaints == []
    rows.bot.refresh_from_db()
    assert rows.bot.is_active is False
    assert TradingHalt.objects.get().reason == "a drill"
