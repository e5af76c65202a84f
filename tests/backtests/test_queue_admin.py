"""The admin of runs and sweeps shows how they are, and cancels what is open."""

from __future__ import annotations

import html
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, models
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext

from backtests import queue_admin, runs
from backtests.models import BacktestRun, Sweep, SweepPiece, SweepResult
from tests.admin_data import (
    SWEPT,
    admin_url,
    cells_of,
    client_of,
    make_staff,
    make_superuser,
)
from tests.factories import make_backtest, make_run, make_sweep, make_user

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

MARKUP = "<script>alert(1)</script>"


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


def page_of(client: Client, row: models.Model) -> str:
    return html.unescape(client.get(admin_url("change", row)).content.decode())


def cancel(client: Client, *rows: models.Model, post: str = "yes") -> HttpResponse:
    return client.post(  # type: ignore[return-value]  # what the test client adds
        admin_url("changelist", type(rows[0])),
        {
            "action": "cancel",
            "_selected_action": [row.pk for row in rows],
            "post": post,
        },
        follow=True,
    )


def test_run_shows_what_was_asked_and_links_to_what_came_of_it(
    superuser: Client,
) -> None:
    user = make_user()
    backtest = make_backtest(user)
    run = make_run(user, status="done", progress=1, worker="box-7", backtest=backtest)
    failed = make_run(user, status="failed", progress=0.25, error="No candles.")

    text = page_of(superuser, run)
    listed = superuser.get(admin_url("changelist", BacktestRun)).content.decode()

    assert '"symbol": "BTCUSDT"' in text
    assert "box-7" in text
    assert f'<a href="{admin_url("change", backtest)}" class="link">' in text
    assert cells_of(listed, "status") == ["Failed", "Done"]
    assert cells_of(listed, "done") == ["25%", "100%"]
    assert cells_of(listed, "subject") == ["BTCUSDT 1h spot"] * 2
    assert cells_of(listed, "error") == ["No candles.", "-"]
    assert cells_of(listed, "result") == ["-", str(backtest.pk)]
    assert admin_url("change", failed) in listed


def test_sweep_shows_warnings_the_best_and_walking_forward(superuser: Client) -> None:
    sweep = make_sweep(make_user(), combinations=40, **SWEPT)
    SweepPiece.objects.create(sweep=sweep, start=0, stop=30, status="done")
    SweepPiece.objects.create(sweep=sweep, start=30, stop=40)
    SweepResult.objects.create(
        sweep=sweep,
        number=7,
        score=1234.5,
        parameters={"ema_fast": None},
        metrics={"total_return": -3.125, "total_trades": 1200},
    )

    text = page_of(superuser, sweep)
    listed = superuser.get(admin_url("changelist", Sweep)).content.decode()

    assert "<p>The best of many is partly luck." in text
    assert "take it for luck." in text
    assert "The first 2 of 30 tried" in text
    assert text.index('<th scope="row">7</th>') < text.index('<th scope="row">0</th>')
    assert (
        "<td>off</td><td>1,234.50</td><td>-3.12</td><td>-</td><td>-</td><td>1,200</td>"
    ) in text
    assert "In all: return -1.38 %, Sharpe ratio -." in text
    assert "<td>2025-02-04–2025-02-06</td><td>ema_fast=5 trailing_stop=off</td>" in text
    assert '"deflated_sharpe": 0.5' in text
    assert '"ema_fast": [' in text
    assert cells_of(listed, "tried") == ["30"]
    assert cells_of(listed, "combinations") == ["40"]
    assert cells_of(listed, "rank_by") == ["sharpe"]
    assert cells_of(listed, "subject") == ["ETHUSDT 1h futures"]


def test_sweep_of_nobody_that_has_found_nothing_is_shown(superuser: Client) -> None:
    sweep = Sweep.objects.create(
        request={"grid": {"ema_fast": [3, 5, 8]}}, combinations=3
    )

    assert "None yet." in page_of(superuser, sweep)
    listed = superuser.get(admin_url("changelist", Sweep)).content.decode()
    assert cells_of(listed, "user") == ["-"]


def test_page_of_a_sweep_has_no_more_than_the_first_results(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_admin, "_RESULTS_SHOWN", 1)
    sweep = make_sweep(make_user())
    SweepResult.objects.create(
        sweep=sweep, number=1, score=9, parameters={"ema_fast": 8}, metrics={}
    )

    text = page_of(superuser, sweep)

    assert '<th scope="row">1</th><td>8</td>' in text
    assert '<th scope="row">0</th>' not in text


def test_markup_in_what_was_asked_is_shown_as_text(superuser: Client) -> None:
    user = make_user()
    asked = {"symbol": MARKUP, "rank_by": MARKUP, "grid": {MARKUP: [MARKUP]}}
    summary: dict[str, Any] = {**SWEPT["summary"]}
    (window,) = summary["walk_forward"]["windows"]
    window = {**window, "parameters": {MARKUP: MARKUP}}
    summary["walk_forward"] = {**summary["walk_forward"], "windows": [window]}
    run = make_run(user, request=asked, error=MARKUP, worker=MARKUP)
    sweep = make_sweep(user, request=asked, summary=summary, error=MARKUP)
    sweep.results.update(parameters={MARKUP: MARKUP})

    for row in (run, sweep):
        for page in (admin_url("change", row), admin_url("changelist", type(row))):
            text = superuser.get(page).content.decode()

            assert "&lt;script&gt;alert" in text
            assert "<script>alert" not in text


@pytest.mark.parametrize("model", [BacktestRun, Sweep])
def test_list_does_not_fetch_what_was_asked(
    model: type[models.Model], superuser: Client
) -> None:
    user = make_user()
    make_run(user)
    make_sweep(user)

    response = superuser.get(admin_url("changelist", model))

    big = {"request", "summary"} & {field.name for field in model._meta.fields}
    (row,) = response.context["cl"].result_list
    assert row.get_deferred_fields() == big


def test_page_of_a_run_does_not_fetch_its_result(superuser: Client) -> None:
    user = make_user()
    run = make_run(user, backtest=make_backtest(user))

    with CaptureQueriesContext(connection) as queries:
        page_of(superuser, run)

    assert not [query for query in queries if "equity_curve" in query["sql"]]


def test_open_runs_are_cancelled_after_a_question(superuser: Client) -> None:
    user = make_user()
    waiting, ended = make_run(user), make_run(user, status="failed")
    working = make_run(user, status="running")

    asked = cancel(superuser, waiting, working, ended, post="").content.decode()
    waiting.refresh_from_db()
    assert waiting.status == "queued"
    assert f"run {waiting.pk}: queued" in asked
    assert f"run {ended.pk}: failed" not in asked
    told = cancel(superuser, waiting, working, ended).content.decode()

    for run in (waiting, working, ended):
        run.refresh_from_db()
    assert "Cancelled: 2." in told
    assert (waiting.status, ended.status) == ("cancelled", "failed")
    assert (working.status, working.cancel_asked) == ("running", True)
    assert LogEntry.objects.count() == 2


def test_open_sweeps_are_cancelled(superuser: Client) -> None:
    user = make_user()
    waiting, done = make_sweep(user), make_sweep(user, status="done")

    assert "Cancelled: 1." in cancel(superuser, waiting, done).content.decode()

    waiting.refresh_from_db()
    done.refresh_from_db()
    assert (waiting.status, done.status) == ("cancelled", "done")


def test_run_that_ends_meanwhile_is_told_and_the_others_are_cancelled(
    superuser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user()
    first, second = make_run(user), make_run(user)

    def end_first(*, run: BacktestRun) -> None:
        BacktestRun.objects.filter(pk=first.pk).update(status="done")
        runs.run_cancel(run=run)

    monkeypatch.setattr(queue_admin, "run_cancel", end_first)
    told = cancel(superuser, first, second).content.decode()

    assert "This run has ended already." in told
    assert "Cancelled: 1." in told
    second.refresh_from_db()
    assert second.status == "cancelled"


@pytest.mark.parametrize("name", ["backtestrun", "sweep"])
def test_cancelling_takes_the_permission_to_change(name: str) -> None:
    user = make_user()
    row = make_run(user) if name == "backtestrun" else make_sweep(user)
    viewer = make_staff(f"view_{name}")
    changer = make_staff(f"view_{name}", f"change_{name}", email="b@example.com")

    cancel(client_of(viewer), row)
    row.refresh_from_db()
    assert row.status == "queued"
    cancel(client_of(changer), row)
    row.refresh_from_db()
    assert row.status == "cancelled"


def test_sweep_is_deleted_without_a_page_of_all_its_results(superuser: Client) -> None:
    sweep = make_sweep(make_user())
    page = admin_url("delete", sweep)

    text = superuser.get(page).content.decode()
    superuser.post(page, {"post": "yes"})

    assert "result 0 of sweep" not in text
    assert "esults of sweeps" in text
    assert not SweepResult.objects.exists()
