"""Runs: asked for, claimed, simulated on stored candles, finished once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.utils import timezone
from pytest_django.fixtures import DjangoAssertNumQueries

from accounts.models import User
from backtests import runs
from backtests.api import views
from backtests.models import Backtest, BacktestRun
from backtests.runs import RunError, RunLost, run_claim, run_create, run_execute
from tests.backtests.conftest import DAY, HOUR
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_backtest, make_user
from trading.models import Candle, CandleSeries, CandleSource, Symbol

ASKED: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "interval": "1h",
    "start_date": "2025-01-31",
    "end_date": "2025-02-09",
    "parameters": {"strategy": "ema", "rsi_overbought": 95, "note": "mine"},
}
Status = BacktestRun.Status


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work on a run as soon as a request waits for it."""

    def work(seconds: float) -> None:
        from backtests.simulation import simulate

        run = run_claim(worker="at once")
        assert run is not None
        run_execute(run, simulate)

    monkeypatch.setattr(time, "sleep", work)
    monkeypatch.setattr(views, "WAIT_S", 60)


@pytest.mark.usefixtures("candles", "at_once")
def test_run_is_answered_stored_and_the_same_again(
    api: JSONClient, stranger: JSONClient
) -> None:
    data = read(api.send("POST", "/backtest/run", ASKED))["data"]

    assert data["total_trades"] > 0
    assert data["symbol"] == "BTCUSDT"
    assert data["test_mode"] is False
    assert data["parameters"]["note"] == "mine"
    assert data["parameters"]["ema_fast"] == 8
    assert data["initial_capital"] == 1000
    assert isinstance(data["sharpe"], float)
    detail = read(api.send("GET", f"/backtest/detail/{data['id']}"))["data"]
    rounded = {name: round(data[name], 2) for name in ("total_return", "win_rate")}
    assert detail == {**data, **rounded, "test_mode": "false"}
    assert data["total_return"] == data["metrics"]["total_return"]
    assert data["daily_results"][-1]["capital"] == pytest.approx(data["final_capital"])
    assert data["filters"] == {"step": "0.00000001"}
    assert data["candles"]["end"] == "2025-02-10T00:00:00+00:00"
    again = read(api.send("POST", "/backtest/run", ASKED))["data"]
    assert again["id"] != data["id"]
    for name in ("fingerprint", "metrics", "final_capital", "equity_curve"):
        assert again[name] == data[name]
    other = {**ASKED, "parameters": {**ASKED["parameters"], "ema_fast": 5}}
    changed = read(api.send("POST", "/backtest/run", other))["data"]
    assert changed["fingerprint"] != data["fingerprint"]
    read_problem(stranger.send("GET", f"/backtest/detail/{data['id']}"), 404)


@pytest.mark.usefixtures("candles", "at_once")
def test_trades_of_a_run_are_downloaded(api: JSONClient) -> None:
    data = read(api.send("POST", "/backtest/run", ASKED))["data"]

    response = api.send("GET", f"/backtest/download/{data['id']}/trades.csv")

    lines = response.content.decode().splitlines()
    assert lines[0] == (
        "date,side,entry_time,exit_time,entry_price,exit_price,units,pnl_usdt,pnl_pct,"
        "fees_entry,fees_exit,capital_after,leverage,exit_reason"
    )
    assert len(lines) == 1 + data["total_trades"]
    last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
    assert float(last["capital_after"]) == pytest.approx(data["final_capital"])
    assert last["side"] == "LONG"


@pytest.mark.usefixtures("candles", "at_once")
def test_missing_candles_are_told_with_the_command_that_gets_them(
    api: JSONClient,
) -> None:
    later = {**ASKED, "end_date": "2025-02-10"}

    problem = read_problem(api.send("POST", "/backtest/run", later), 503)

    assert "2025-02-10T00:00Z to 2025-02-11T00:00Z" in problem["detail"]
    assert "manage.py download_candles --market spot" in problem["detail"]
    assert not Backtest.objects.exists()


@pytest.mark.usefixtures("candles", "at_once")
def test_made_up_candles_are_taken_where_asked_for_and_told(api: JSONClient) -> None:
    wanted = {**ASKED, "seed": 7}
    missing = read_problem(api.send("POST", "/backtest/run", wanted), 503)
    assert "manage.py make_candles" in missing["detail"]
    CandleSeries.objects.update(
        source=CandleSource.SYNTHETIC, seed=7, base_price=Decimal(100)
    )

    data = read(api.send("POST", "/backtest/run", wanted))["data"]

    assert (data["data_source"], data["seed"]) == ("synthetic", 7)
    assert data["test_mode"] is True


@pytest.mark.alike
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"symbol": "=cmd()"}, "symbol"),
        ({"interval": "2w"}, "interval"),
        ({"end_date": "2025-01-30"}, "end_date"),
        ({"end_date": "yesterday"}, "end_date"),
        ({"start_date": "2999-01-01", "end_date": "2999-01-02"}, "start_date"),
        ({"end_date": "2999-01-02", "interval": "1d"}, "end_date"),
        ({"start_date": "0001-01-01", "interval": "1d"}, "start_date"),
        ({"symbol": "ßTC"}, "symbol"),
        ({"seed": 2**31}, "seed"),
        ({"data_source": "synthetic"}, "seed"),
        ({"data_source": "exchange", "seed": 7}, "seed"),
        ({"data_source": "luck"}, "data_source"),
        ({"interval": "1m", "start_date": "2024-01-01"}, "end_date"),
        ({"market_type": "options"}, "market_type"),
        ({"parameters": {"leverage": 126}}, "parameters.leverage"),
        ({"parameters": {"allow_short": True}}, "parameters.allow_short"),
        ({"parameters": {"stop_loss": 0}}, "parameters.stop_loss"),
        ({"parameters": {"stop_loss": None}}, "parameters.stop_loss"),
        ({"parameters": {"ema_fast": 21}}, "parameters.ema_fast"),
        ({"parameters": {"rsi_oversold": 70}}, "parameters.rsi_oversold"),
        ({"parameters": {"max_daily_trades": 5.9}}, "parameters.max_daily_trades"),
        ({"parameters": {"strategy": "luck"}}, "parameters.strategy"),
        ({"parameters": []}, "parameters"),
    ],
)
def test_what_cannot_be_tried_is_refused(
    api: JSONClient, change: dict[str, Any], field: str
) -> None:
    response = api.send("POST", "/backtest/run", {**ASKED, **change})

    assert broken_fields(response) == {field}
    assert not BacktestRun.objects.exists()


@pytest.mark.alike
def test_long_run_is_asked_for_again_and_cancelled(
    api: JSONClient, stranger: JSONClient
) -> None:
    first = read(api.send("POST", "/backtest/run", ASKED), 202)
    second = read(api.send("POST", "/backtest/run", ASKED), 202)
    refused = read_problem(api.send("POST", "/backtest/run", ASKED), 409)

    assert first["status"] == "queued"
    assert "2 backtests" in refused["detail"]
    path = f"/backtest/runs/{first['data']['id']}"
    assert read(api.send("GET", path))["status"] == "queued"
    read_problem(stranger.send("GET", path), 404)
    read_problem(stranger.send("POST", f"{path}/cancel"), 404)
    assert read(api.send("POST", f"{path}/cancel"))["status"] == "cancelled"
    read_problem(api.send("POST", f"{path}/cancel"), 409)
    listed = read(api.send("GET", "/backtest/runs"))
    assert [one["id"] for one in listed] == [second["data"]["id"], first["data"]["id"]]


def result(run: BacktestRun) -> Backtest:
    """Return a result that is not stored yet."""
    made = make_backtest(run.user)
    made.delete()  # which takes its key away
    return made


def ask(user: User) -> BacktestRun:
    return run_create(user=user, request={"symbol": "BTCUSDT"})


def claim(worker: str = "w") -> BacktestRun:
    run = run_claim(worker=worker)
    assert run is not None
    return run


def status_of(run: BacktestRun) -> str:
    return BacktestRun.objects.get(pk=run.pk).status


def test_cancelled_run_stops_at_its_next_word(user: User) -> None:
    ask(user)
    run = claim()

    def work(run: BacktestRun, say: Callable[[float], None]) -> Backtest:
        runs.run_cancel(run=run)
        say(0.5)
        return result(run)

    run_execute(run, work)

    assert status_of(run) == Status.CANCELLED
    assert not Backtest.objects.exists()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RunError("No.", code="refused"), "refused"),
        (ValueError("secret"), "server"),
    ],
)
def test_run_that_fails_says_why(user: User, error: Exception, code: str) -> None:
    ask(user)
    run = claim()

    def work(run: BacktestRun, say: Any) -> Backtest:
        raise error

    run_execute(run, work)

    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, code)
    assert "secret" not in str(run.error)


def test_run_of_a_dead_worker_is_taken_over_and_finished_once(user: User) -> None:
    ask(user)
    dead = run_claim(worker="dead")
    assert dead is not None
    assert run_claim(worker="other") is None  # it may be alive
    long_ago = timezone.now() - runs.LOST_AFTER * 2
    BacktestRun.objects.update(beat_at=long_ago)

    heir = run_claim(worker="heir")
    assert heir is not None
    assert heir.pk == dead.pk
    with pytest.raises(RunLost):
        run_execute(dead, lambda run, say: result(run))
    assert not Backtest.objects.exists()
    run_execute(heir, lambda run, say: result(run))

    heir.refresh_from_db()
    assert heir.status == Status.DONE
    assert heir.backtest is not None


@pytest.mark.usefixtures("shared_database")
def test_many_workers_claim_each_run_once() -> None:
    users = [make_user(f"user{n}@example.com") for n in range(4)]
    wanted = {ask(user).pk for user in users for _ in range(2)}
    claimed: list[int] = []

    def work() -> None:
        while run := run_claim(worker=threading.current_thread().name):
            claimed.append(run.pk)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(claimed) == sorted(wanted)


@pytest.mark.usefixtures("candles")
def test_stored_candles_are_told_and_stay(
    api: JSONClient,
    user: User,
    stranger: JSONClient,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    nothing = read(api.send("GET", "/backtest/cache/info"))["data"]
    assert (nothing["total_files"], nothing["total_size_mb"]) == (0, 0)
    make_backtest(user, symbol="BTCUSDT", interval="1h")
    with django_assert_num_queries(3):  # who asks, whether they are staff, the series
        data = read(api.send("GET", "/backtest/cache/info"))["data"]
    assert read(stranger.send("GET", "/backtest/cache/info"))["data"] == nothing
    staff = JSONClient(make_user("staff@example.com", is_staff=True))
    assert read(staff.send("GET", "/backtest/cache/info"))["data"] == data

    assert (data["total_files"], data["cached_symbols"]) == (1, ["BTCUSDT"])
    (entry,) = data["cache_entries"]
    assert (entry["start_date"], entry["rows"]) == ("2025-01-20", 490)
    for body in (b"", b"{}"):
        told = read(api.send("POST", "/backtest/cache/clear", body))
        assert told["status"] == "success"
    assert read(api.send("GET", "/backtest/cache/info"))["data"] == data
    CandleSeries.objects.update(
        source=CandleSource.SYNTHETIC, seed=7, base_price=Decimal(100)
    )
    assert read(api.send("GET", "/backtest/cache/info"))["data"] == nothing
    make_backtest(user, symbol="BTCUSDT", interval="1h", seed=7)
    assert read(api.send("GET", "/backtest/cache/info"))["data"] == data


def make_steps_large() -> None:
    """Have the exchange want more of an order than any run here can pay."""
    Symbol.objects.create(
        market="spot",
        symbol="BTCUSDT",
        base_asset="BTC",
        quote_asset="USDT",
        step_size=Decimal(50),
    )


def run_with(api: JSONClient, **parameters: Any) -> dict[str, Any]:
    asked = {**ASKED, "parameters": {**ASKED["parameters"], **parameters}}
    data: dict[str, Any] = read(api.send("POST", "/backtest/run", asked))["data"]
    return data


@pytest.mark.usefixtures("candles", "at_once")
@pytest.mark.parametrize(
    "value", ["text", "\\u0000", 1.5, [0.1, None], 1e5, 1e300, 10**300]
)
def test_unknown_parameter_is_kept_and_told(api: JSONClient, value: Any) -> None:
    data = run_with(api, ema_fas=value)

    assert data["parameters"]["ema_fas"] == pytest.approx(value)
    assert any("ema_fas, note" in told for told in data["warnings"])
    assert data["parameters"]["ema_fast"] == 8


@pytest.mark.alike
@pytest.mark.parametrize("value", ["1e999", r'"\u0000"', r'{"\\\u0000": 1}'])
def test_what_no_database_stores_is_refused(api: JSONClient, value: str) -> None:
    body = json.dumps({**ASKED, "parameters": {"foo": 0}}).replace(": 0", f": {value}")

    response = api.send("POST", "/backtest/run", body.encode())

    assert broken_fields(response) <= {"parameters", "parameters.foo"}
    assert not BacktestRun.objects.exists()


@pytest.mark.alike
@pytest.mark.usefixtures("candles", "at_once")
def test_spot_has_no_leverage_whatever_the_web_client_asks_for(api: JSONClient) -> None:
    data = run_with(api, leverage=10)

    assert (data["leverage"], data["parameters"]["leverage"]) == (1, 1)
    assert data["fingerprint"] == run_with(api)["fingerprint"]


@pytest.mark.alike
@pytest.mark.usefixtures("candles", "at_once")
def test_signals_that_could_not_be_followed_are_told(api: JSONClient) -> None:
    make_steps_large()

    data = run_with(api)

    skipped = data["metrics"]["skipped"]["BELOW_MINIMUM"]
    assert data["total_trades"] == 0
    assert Decimal(data["filters"]["step"]) == 50
    assert any(told.startswith(f"{skipped} signals") for told in data["warnings"])


@pytest.mark.usefixtures("candles", "at_once")
def test_risk_that_the_capital_does_not_buy_is_told(api: JSONClient) -> None:
    (risk,) = [told for told in run_with(api)["warnings"] if "risk_per_trade" in told]

    assert "not the 2 %" in risk
    assert len(run_with(api, stop_loss=3, note=None)["warnings"]) == 1


@pytest.mark.alike
@pytest.mark.usefixtures("candles", "at_once")
def test_error_is_in_the_language_of_who_asked(api: JSONClient) -> None:
    later = {**ASKED, "end_date": "2025-02-10"}

    response = api.send("POST", "/backtest/run", later, HTTP_ACCEPT_LANGUAGE="tr")

    detail = read_problem(response, 503)["detail"]
    assert "mumları eksik: 2025-02-10T00:00Z" in detail


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_run_that_is_cancelled_meanwhile_is_a_conflict(
    api: JSONClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(seconds: float) -> None:
        runs.run_cancel(run=BacktestRun.objects.get())

    monkeypatch.setattr(time, "sleep", cancel)
    monkeypatch.setattr(views, "WAIT_S", 60)

    problem = read_problem(api.send("POST", "/backtest/run", ASKED), 409)

    assert problem["detail"] == "The run was cancelled."


@pytest.mark.alike
def test_run_that_no_worker_survives_fails(user: User) -> None:
    asked = ask(user)
    for number in range(runs.MOST_ATTEMPTS):
        run = claim(f"dead {number}")
        BacktestRun.objects.update(beat_at=timezone.now() - runs.LOST_AFTER * 2)
        if number == 0:  # one that ends in order does not count
            runs.run_release(run)
            claim("dead too")
            BacktestRun.objects.update(beat_at=timezone.now() - runs.LOST_AFTER * 2)

    assert run_claim(worker="next") is None

    asked.refresh_from_db()
    assert (asked.status, asked.error_code) == (Status.FAILED, "server")
    assert "3 workers have begun it and not come back" in str(asked.error)


@pytest.mark.alike
def test_run_that_takes_too_long_ends(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(user)
    run = claim()
    monkeypatch.setattr(runs, "LONGEST_S", -1.0)

    def work(run: BacktestRun, say: Callable[[float], None]) -> Backtest:
        say(0.5)
        return result(run)

    run_execute(run, work)

    run.refresh_from_db()
    assert (run.status, run.error_code) == (Status.FAILED, "refused")
    assert "longer than" in str(run.error)


def repeat(pk: int) -> str:
    output = StringIO()
    call_command("repeat_backtest", str(pk), stdout=output)
    return output.getvalue()


@pytest.mark.usefixtures("candles", "at_once")
def test_stored_result_is_repeated_to_the_bit_under_other_rules_and_days(
    api: JSONClient, user: User
) -> None:
    today = timezone.now().date().isoformat()
    # The last day ends with the candles that were there then.
    first = run_with(api)
    Backtest.objects.update(end_date=today)
    make_steps_large()

    assert f"{first['total_trades']} trades" in repeat(first["id"])

    Candle.objects.filter(open_time=DAY + 20 * HOUR).update(volume=11)
    with pytest.raises(CommandError, match=r"the candles are .*they were") as refused:
        repeat(first["id"])
    assert "differ" not in str(refused.value)  # no strategy here looks at volumes
    with pytest.raises(CommandError, match="There is no backtest 12345"):
        repeat(12345)
    with pytest.raises(CommandError, match="does not tell what it was run on"):
        repeat(make_backtest(user).pk)
