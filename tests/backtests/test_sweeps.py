"""Sweeps: every combination tried once, whoever works on them and whoever dies."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from accounts.models import User
from backtests import sweeps
from backtests.api.sweep_serializers import SweepRequest
from backtests.models import BacktestRun, Sweep, SweepPiece, SweepResult
from backtests.runs import LOST_AFTER, MOST_ATTEMPTS
from backtests.simulation import simulate
from backtests.sweep_simulation import SweepWorker
from backtests.sweeps import (
    PieceLost,
    piece_claim,
    piece_execute,
    piece_release,
    ranked,
    sweep_cancel,
    sweep_create,
)
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_user
from trading.models import Candle

ASKED: dict[str, Any] = {
    "symbol": "BTC/USDT",
    "interval": "1h",
    "start_date": "2025-01-31",
    "end_date": "2025-02-09",
    "parameters": {"strategy": "ema", "rsi_overbought": 95},
    "grid": {"stop_loss": [0.5, 1], "ema_fast": [3, 8, 13], "ema_slow": [8, 21]},
    "walk_forward": {"train_days": 4, "test_days": 3},
}
# Those of ema_fast 3, 8 and 13 that are below ema_slow 8 and 21.
PAIRS = [(3, 8), (3, 21), (8, 21), (13, 21)]
Status = Sweep.Status


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "_MOST_PER_PIECE", 3)


def ask(user: User | None = None, /, **change: Any) -> Sweep:
    asked = SweepRequest(data={**ASKED, **change})
    asked.is_valid(raise_exception=True)
    return sweep_create(user=user, request=asked.validated_data)


def work(*workers: SweepWorker, sweep: Sweep | None = None) -> None:
    """Let workers take turns until nothing is left."""
    idle = 0
    while idle < len(workers):
        for worker in workers:
            piece = piece_claim(worker=str(id(worker)), sweep=sweep)
            idle = idle + 1 if piece is None else 0
            if piece:
                piece_execute(piece, worker.work)


def told(sweep: Sweep) -> Any:
    sweep.refresh_from_db()
    rows = sweep.results.order_by("number").values(
        "number", "parameters", "score", "metrics", "train_scores"
    )
    return sweep.status, sweep.summary, sweep.fingerprint, list(rows)


def run_of(parameters: dict[str, Any], start: str, end: str) -> Any:
    """Return the result of a single run with these parameters."""
    request = {
        "symbol": "BTCUSDT",
        "interval": "1h",
        "market_type": "spot",
        "start_date": start,
        "end_date": end,
        "seed": None,
        "parameters": {**ASKED["parameters"], **parameters},
    }
    return simulate(BacktestRun(request=request), lambda _: None)


@pytest.mark.usefixtures("candles")
def test_sweep_has_the_result_of_a_run_for_each_combination(user: User) -> None:
    sweep = ask(user)

    work(SweepWorker())

    status, summary, _, rows = told(sweep)
    assert status == Status.DONE
    assert [
        (p["ema_fast"], p["ema_slow"], p["stop_loss"])
        for p in (row["parameters"] for row in rows)
    ] == [(*pair, stop) for pair in PAIRS for stop in (0.5, 1)]
    for row in rows:
        run = run_of(row["parameters"], "2025-01-31", "2025-02-09")
        assert row["metrics"] == run.metrics
        assert row["score"] == run.metrics["sharpe"]
    best = max(rows, key=lambda row: row["score"])
    assert summary["best"]["number"] == best["number"]
    assert [row.score for row in ranked(sweep)] == sorted(
        (row["score"] for row in rows), reverse=True
    )


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_walk_forward_chooses_by_the_past_and_tries_on_what_follows() -> None:
    sweep = ask()

    work(SweepWorker())

    _, summary, _, rows = told(sweep)
    windows = summary["walk_forward"]["windows"]
    assert [(one["train"], one["test"]) for one in windows] == [
        (["2025-01-31", "2025-02-03"], ["2025-02-04", "2025-02-06"]),
        (["2025-02-03", "2025-02-06"], ["2025-02-07", "2025-02-09"]),
    ]
    growth = 1.0
    for at, window in enumerate(windows):
        for row in rows:
            trained = run_of(row["parameters"], *window["train"]).metrics
            score = trained["sharpe"] if trained["total_trades"] else None
            assert row["train_scores"][at] == score
        scores = [row["train_scores"][at] or -1e9 for row in rows]
        assert window["best"] == scores.index(max(scores))
        tested = run_of(rows[window["best"]]["parameters"], *window["test"]).metrics
        assert window["test_return"] == tested["total_return"]
        assert window["test_trades"] == tested["total_trades"]
        growth *= 1 + tested["total_return"] / 100
    assert summary["walk_forward"]["total_return"] == pytest.approx((growth - 1) * 100)


@pytest.mark.usefixtures("candles")
def test_results_are_the_same_whatever_the_number_of_workers() -> None:
    alone, together = ask(), ask()

    work(SweepWorker(), sweep=alone)
    work(SweepWorker(), SweepWorker(), SweepWorker(), sweep=together)

    assert told(alone) == told(together)


@pytest.mark.usefixtures("candles")
def test_piece_of_a_dead_worker_is_worked_on_again_and_stored_once() -> None:
    sweep, whole = ask(), ask()
    work(SweepWorker(), sweep=whole)
    dead = piece_claim(worker="dead", sweep=sweep)
    assert dead
    work(SweepWorker(), sweep=sweep)
    sweep.refresh_from_db()
    assert sweep.status == Status.RUNNING  # one piece and the summary are left
    assert sweep.results.count() == 5
    SweepPiece.objects.filter(pk=dead.pk).update(
        beat_at=timezone.now() - LOST_AFTER * 2
    )

    heir = piece_claim(worker="heir", sweep=sweep)
    assert heir
    assert heir.pk == dead.pk
    with pytest.raises(PieceLost):
        piece_execute(dead, SweepWorker().work)
    assert sweep.results.count() == 5
    piece_execute(heir, SweepWorker().work)
    work(SweepWorker(), sweep=sweep)

    assert told(sweep) == told(whole)


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_sweep_with_a_piece_that_no_worker_survives_fails() -> None:
    sweep = ask()
    for number in range(MOST_ATTEMPTS):
        assert piece_claim(worker=f"dead {number}", sweep=sweep)
        SweepPiece.objects.update(beat_at=timezone.now() - 2 * LOST_AFTER)

    assert piece_claim(worker="next", sweep=sweep) is None

    sweep.refresh_from_db()
    assert (sweep.status, sweep.error_code) == (Status.FAILED, "server")
    assert "3 workers have begun it and not come back" in str(sweep.error)


@pytest.mark.usefixtures("candles")
def test_released_piece_is_free_at_once() -> None:
    ask()
    piece = piece_claim(worker="w")
    assert piece

    piece_release(piece)

    again = piece_claim(worker="other")
    assert again == piece


@pytest.mark.usefixtures("candles")
def test_cancelled_sweep_ends_and_keeps_what_it_has_found(user: User) -> None:
    sweep = ask(user)
    worker = SweepWorker()
    first = piece_claim(worker="w")
    assert first
    piece_execute(first, worker.work)
    second = piece_claim(worker="w")
    assert second

    def cancelled(piece: SweepPiece, say: Callable[[], None]) -> Any:
        sweep_cancel(sweep=sweep)
        say()
        raise AssertionError("it should have ended")

    piece_execute(second, cancelled)

    assert told(sweep)[0] == Status.CANCELLED
    assert sweep.results.count() == 3
    assert piece_claim(worker="w") is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"end_date": "2025-02-10"}, "manage.py download_candles --market spot"),
        ({"start_date": "2025-01-25"}, "needs 201 candles before 2025-01-25"),
    ],
)
@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_sweep_without_candles_fails_and_says_which(
    change: dict[str, Any], told: str
) -> None:
    sweep = ask(**change)

    work(SweepWorker())

    sweep.refresh_from_db()
    assert (sweep.status, sweep.error_code) == (Status.FAILED, "missing_candles")
    assert told in str(sweep.error)


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_server_error_is_not_told() -> None:
    sweep = ask()
    piece = piece_claim(worker="w")
    assert piece

    def broken(*args: Any) -> Any:
        raise ValueError("secret")

    piece_execute(piece, broken)

    sweep.refresh_from_db()
    assert (sweep.status, sweep.error_code) == (Status.FAILED, "server")
    assert "secret" not in str(sweep.error)


@pytest.mark.usefixtures("candles")
def test_sweep_does_not_go_on_with_other_candles() -> None:
    sweep = ask()
    piece = piece_claim(worker="w")
    assert piece
    piece_execute(piece, SweepWorker().work)
    Candle.objects.filter(close__gt=0).update(volume=Decimal(11))

    work(SweepWorker())

    sweep.refresh_from_db()
    assert (sweep.status, sweep.error_code) == (Status.FAILED, "refused")
    assert "not those that this sweep was begun with" in str(sweep.error)


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_sweep_that_never_trades_has_no_best() -> None:
    sweep = ask(grid={"strategy": ["simple"], "stop_loss": [1, 2]}, parameters={})

    work(SweepWorker())

    _, summary, _, rows = told(sweep)
    assert [row["score"] for row in rows] == [None, None]
    assert (summary["best"], summary["luck"]) == (None, None)
    assert [one["best"] for one in summary["walk_forward"]["windows"]] == [None, None]
    assert summary["walk_forward"]["total_return"] == 0
    assert "traded enough" in sweeps.sweep_warnings(sweep)[0]


@pytest.mark.usefixtures("shared_database")
def test_many_workers_claim_each_piece_once_and_sum_up_last() -> None:
    made = [ask(make_user(f"user{n}@example.com")) for n in range(3)]
    pieces = SweepPiece.objects.count()
    claimed: list[int] = []

    def fake(piece: SweepPiece, say: Callable[[], None]) -> Any:
        claimed.append(piece.pk)
        if piece.is_summary:
            others = piece.sweep.pieces.exclude(pk=piece.pk)
            assert {one.status for one in others} == {SweepPiece.Status.DONE}
            return {"walk_forward": None}
        return [
            SweepResult(sweep_id=piece.sweep_id, number=n, parameters={}, metrics={})
            for n in range(piece.start, piece.stop)
        ]

    def work() -> None:
        while Sweep.objects.filter(status__in=sweeps.OPEN).exists():
            if piece := piece_claim(worker=threading.current_thread().name):
                piece_execute(piece, fake)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claimed) == len(set(claimed)) == pieces
    assert set(Sweep.objects.values_list("status", flat=True)) == {Status.DONE}
    assert [one.results.count() for one in made] == [8, 8, 8]


@pytest.mark.alike
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"grid": {}}, "grid"),
        ({"grid": {"ema_fast": []}}, "grid.ema_fast"),
        ({"grid": {"ema_fast": 5}}, "grid.ema_fast"),
        ({"grid": {"luck": [5]}}, "grid.luck"),
        ({"grid": {"ema_fast": [5, 201]}}, "grid.ema_fast"),
        ({"grid": {"ema_fast": [5, "5"]}}, "grid.ema_fast"),
        ({"grid": {"stop_loss": [{}, None]}}, "grid.stop_loss"),
        ({"grid": {"leverage": [2, 3]}}, "grid"),  # spot
        ({"grid": {"ema_fast": [30, 40], "ema_slow": [20]}}, "grid"),
        (
            {
                "grid": {
                    "ema_fast": list(range(2, 102)),
                    "ema_slow": list(range(102, 123)),
                }
            },
            "grid",
        ),
        ({"parameters": {"stop_loss": 0}}, "parameters.stop_loss"),
        ({"parameters": {"take_profit": 0}}, "parameters.take_profit"),
        ({"parameters": {"luck": 7}}, "parameters.luck"),
        ({"rank_by": "luck"}, "rank_by"),
        (
            {"walk_forward": {"train_days": 0, "test_days": 1}},
            "walk_forward.train_days",
        ),
        ({"walk_forward": {"train_days": 9, "test_days": 2}}, "walk_forward"),
        ({"end_date": "2999-01-01", "interval": "1d"}, "end_date"),
        ({"end_date": "2025-01-30"}, "end_date"),
    ],
)
def test_what_cannot_be_swept_is_refused(
    api: JSONClient, change: dict[str, Any], field: str
) -> None:
    response = api.send("POST", "/backtest/sweep", {**ASKED, **change})

    assert {name.split("[")[0] for name in broken_fields(response)} == {field}
    assert not Sweep.objects.exists()


@pytest.mark.usefixtures("candles")
def test_sweep_is_asked_for_and_its_results_are_ranked(
    api: JSONClient, stranger: JSONClient
) -> None:
    made = read(api.send("POST", "/backtest/sweep", ASKED), 202)
    assert (made["status"], made["progress"]) == ("queued", 0)
    left_out = "4 of the 12 combinations of the grid are not tried: their parameters "
    assert made["warnings"] == [f"{left_out}do not go together."]
    assert (made["combinations"], made["request"]["rank_by"]) == (8, "sharpe")
    path = f"/backtest/sweeps/{made['id']}"

    work(SweepWorker())

    done = read(api.send("GET", path))
    assert (done["status"], done["progress"], done["tried"]) == ("done", 1, 8)
    assert done["summary"]["luck"]["tries"] == 8
    assert "The best of many is partly luck" in done["warnings"][1]
    turkish = json.loads(
        api.get(f"/api/v1{path}", headers={"Accept-Language": "tr"}).content
    )
    assert turkish["warnings"][0].startswith("Grid içindeki 12 kombinasyondan 4 ")
    assert turkish["warnings"][1] != done["warnings"][1]
    response = api.send("GET", f"{path}/results?limit=2&offset=1")
    assert response.headers["X-Total-Count"] == "8"
    rows = read(response)
    assert [row["number"] for row in rows] == [
        row.number for row in ranked(Sweep.objects.get())[1:3]
    ]
    assert rows[0]["score"] == rows[0]["metrics"]["sharpe"] >= rows[1]["score"]
    assert [one["id"] for one in read(api.send("GET", "/backtest/sweeps"))] == [
        made["id"]
    ]
    assert read(stranger.send("GET", "/backtest/sweeps")) == []
    for method, target in (
        *(("GET", path), ("DELETE", path)),
        *(("GET", f"{path}/results"), ("POST", f"{path}/cancel")),
    ):
        read_problem(stranger.send(method, target), 404)
    read_problem(api.send("POST", f"{path}/cancel"), 409)
    assert api.send("DELETE", path).status_code == 204
    assert not SweepResult.objects.exists()
    assert not SweepPiece.objects.exists()


@pytest.mark.alike
def test_sweep_that_waits_is_cancelled_and_makes_room(api: JSONClient) -> None:
    made = read(api.send("POST", "/backtest/sweep", ASKED), 202)
    read(api.send("POST", "/backtest/sweep", ASKED), 202)
    refused = read_problem(api.send("POST", "/backtest/sweep", ASKED), 409)
    assert "2 sweeps" in refused["detail"]

    cancelled = read(api.send("POST", f"/backtest/sweeps/{made['id']}/cancel"))

    assert cancelled["status"] == "cancelled"
    read(api.send("POST", "/backtest/sweep", ASKED), 202)
