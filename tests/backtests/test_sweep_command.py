"""manage.py sweep: on all processors, gone on with after a kill, cancelled, told."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from accounts.models import User
from backtests.models import Sweep, SweepPiece, SweepResult
from backtests.runs import LOST_AFTER
from backtests.sweep_simulation import SweepWorker
from tests.processes import ROOT, SECRETS, database_url, environment, manage

DAYS = ("--symbol=BTC/USDT", "--interval=1h", "--from=2025-01-31", "--to=2025-02-10")
GRID = ("--grid=ema_fast=3:9:3", "--grid=stop_loss=0.5,1", "--set=rsi_overbought=95")
# Two months of minutes, made up: enough work to be killed in the middle of.
SERIES = ("--market=spot", "--symbol=BTCUSDT", "--interval=1m", "--seed=7")
MADE = ("--from=2024-01-01", "--to=2024-03-01", "--base-price=40000")
LONG = (
    *("--symbol=BTCUSDT", "--interval=1m", "--seed=7"),
    *("--from=2024-01-03", "--to=2024-03-01", "--walk-forward", "20", "10"),
    *("--grid=ema_fast=3:20:1", "--grid=stop_loss=0.5:3:0.25"),
)

pytestmark = pytest.mark.alike


def sweep(*arguments: str) -> str:
    output = StringIO()
    call_command("sweep", *arguments, stdout=output, stderr=StringIO())
    return output.getvalue()


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_command_ranks_walks_forward_and_warns(user: User) -> None:
    text = sweep(
        *DAYS, *GRID, "--jobs=1", "--walk-forward", "4", "3", f"--user={user.email}"
    )

    made = Sweep.objects.get()
    assert (made.user, made.status, made.combinations) == (user, "done", 6)
    assert (
        f"Sweep {made.pk}: BTCUSDT 1h 2025-01-31–2025-02-09 spot, done, 6 of 6" in text
    )
    lines = text.splitlines()
    best = made.results.order_by("-score")[0]
    told = " ".join(f"{name}={value}" for name, value in best.parameters.items())
    assert lines[2].startswith("   1.")
    assert lines[2].endswith(told)
    assert "  2025-02-04–2025-02-06" in text
    assert "Attention: The best of many is partly luck." in text
    luck = (made.summary or {})["luck"]
    low, high = luck["sharpe_interval"]
    assert f"95 % {low:,.2f} to {high:,.2f}, by a bootstrap of 10 days" in text
    assert low < luck["sharpe"] < high
    shown = json.loads(sweep(f"--show={made.pk}", "--json"))
    assert shown["results"][0]["number"] == best.number
    assert shown["summary"] == made.summary


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_grid_may_have_words_and_off() -> None:
    sweep(
        *DAYS,
        *("--grid=strategy=ema,multi", "--grid=take_profit=off,2", "--jobs=1"),
    )

    rows = SweepResult.objects.order_by("number").values_list("parameters", flat=True)
    assert [(row["strategy"], row["take_profit"]) for row in rows] == [
        *(("ema", None), ("ema", 2), ("multi", None), ("multi", 2)),
    ]


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "--symbol is missing"),
        ([*DAYS], "--grid is missing"),
        ([*DAYS, "--grid=ema_fast=5:1:1"], "from below to, and a step above 0"),
        ([*DAYS, "--grid=ema_fast=1:5:0"], "from below to, and a step above 0"),
        ([*DAYS, "--grid=ema_fast=1:x:1"], "is no range of numbers"),
        ([*DAYS, "--grid=ema_fast=1:5"], "expected NAME=from:to:step"),
        ([*DAYS, "--grid=luck=1,2"], "'luck' is no parameter"),
        ([*DAYS, "--grid=ema_fast=1,2"], "grid.ema_fast: Ensure this value is greater"),
        ([*DAYS, "--grid=ema_fast=5", "--set=ema_fast=8"], "The grid has this param"),
        ([*DAYS, "--grid=ema_fast=5,8", "--user=no@example.com"], "There is no user"),
        ([*DAYS, *GRID, "--top=-3"], "--top: '-3' is no count; expected 1 or more"),
        ([*DAYS, *GRID, "--top=0"], "--top: '0' is no count; expected 1 or more"),
        ([*DAYS, *GRID, "--jobs=-3"], "--jobs: '-3' is no count; expected 0 or more"),
        (["--resume=99"], "There is no sweep 99"),
        (["--show=99"], "There is no sweep 99"),
    ],
)
def test_command_refuses_what_cannot_be_swept(arguments: list[Any], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        sweep(*arguments)

    assert not Sweep.objects.exists()


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_combinations_that_do_not_go_together_are_counted_at_once_and_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    call_command("sweep", *DAYS, "--grid=ema_fast=13,21,34", "--jobs=1")

    told, begun = capsys.readouterr()
    warning = "Attention: 2 of the 3 combinations of the grid are not tried"
    assert warning in begun
    assert warning in told


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_sweep_without_one_combination_warns_of_one_while_it_waits() -> None:
    sweep(*DAYS, "--grid=ema_fast=13,34", "--jobs=1")
    made = Sweep.objects.get()
    Sweep.objects.update(summary=None)

    text = sweep(f"--show={made.pk}")

    assert "Attention: 1 of the 2 combinations of the grid is not tried: its " in text


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_sweep_that_fails_is_an_error() -> None:
    with pytest.raises(CommandError, match=r"has failed: Candles .* are missing"):
        sweep(*DAYS, *GRID, "--market=futures", "--jobs=1")


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_stopped_command_releases_its_piece_and_is_gone_on_with(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*args: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(SweepWorker, "work", stopped)
    with pytest.raises(CommandError, match=r"sweep --resume \d+ goes on"):
        sweep(*DAYS, *GRID, "--jobs=1")
    monkeypatch.undo()
    made = Sweep.objects.get()
    assert {one.status for one in made.pieces.all()} == {SweepPiece.Status.QUEUED}

    assert "done, 6 of 6 tried" in sweep(f"--resume={made.pk}", "--jobs=1")


@pytest.mark.alike
@pytest.mark.usefixtures("candles")
def test_sweep_is_cancelled_once() -> None:
    with pytest.raises(CommandError):
        sweep(*DAYS, *GRID, "--market=futures", "--jobs=1")
    Sweep.objects.update(status="running")
    made = Sweep.objects.get()

    assert "is cancelled" in sweep(f"--cancel={made.pk}")

    with pytest.raises(CommandError, match="has ended already"):
        sweep(f"--cancel={made.pk}")


@pytest.fixture
def database(
    migrated_database: BaseDatabaseWrapper, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """The settings of processes that share a database with made-up minutes."""
    url = (
        database_url(migrated_database)
        if migrated_database.vendor == "postgresql"
        else f"sqlite:///{migrated_database.settings_dict['NAME']}"
    )
    settings = {**SECRETS, "DATABASE_URL": url}
    done = manage("make_candles", *SERIES, *MADE, **settings)
    assert done.returncode == 0, done.stderr
    default = connections["default"]
    connections["default"] = migrated_database
    yield settings
    connections["default"] = default


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def told(sweep_id: int) -> Any:
    made = Sweep.objects.get(pk=sweep_id)
    rows = made.results.order_by("number")
    return (
        made.status,
        made.summary,
        list(rows.values_list("number", "parameters", "score", "train_scores")),
        list(rows.values_list("metrics", flat=True)),
    )


@pytest.mark.long
def test_killed_sweep_goes_on_where_it_was_to_the_same_results(
    database: dict[str, str],
) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sweep", *LONG, "--jobs=2"],
        cwd=ROOT,
        env=environment(**database),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: SweepResult.objects.exists() or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Its helper ends too, after the piece that it is at.
    until(lambda: _helpers_of(database) == [])
    killed = Sweep.objects.get()
    left = killed.pieces.exclude(status=SweepPiece.Status.DONE).count()
    assert killed.status == Sweep.Status.RUNNING
    assert left > 1
    # As if a minute had passed.
    SweepPiece.objects.filter(status=SweepPiece.Status.RUNNING).update(
        beat_at=timezone.now() - LOST_AFTER - timedelta(seconds=1)
    )

    resumed = manage("sweep", f"--resume={killed.pk}", "--jobs=1", **database)
    whole = manage("sweep", *LONG, "--jobs=1", **database)

    assert resumed.returncode == whole.returncode == 0, resumed.stderr + whole.stderr
    assert told(killed.pk) == told(Sweep.objects.latest("pk").pk)


def _helpers_of(database: dict[str, str]) -> list[str]:
    """Return the ids of workers that use this database."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command_line = (path / "cmdline").read_bytes()
            settings = (path / "environ").read_bytes()
        except OSError:
            continue
        if (
            b"runworker" in command_line
            and database["DATABASE_URL"].encode() in settings
        ):
            found.append(path.name)
    return found


def test_command_that_only_waits_can_be_stopped(database: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sweep", *LONG, "--jobs=0"],
        cwd=ROOT,
        env=environment(**database),
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: Sweep.objects.exists() or process.poll() is not None)
    time.sleep(1)

    process.send_signal(signal.SIGTERM)

    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert re.search(
        r"CommandError: Stopped\. .* --resume \d+ goes on\.$", told.strip()
    )
    assert "Traceback" not in told


@pytest.mark.long
def test_workers_of_other_machines_take_part(database: dict[str, str]) -> None:
    waiting = subprocess.Popen(
        [sys.executable, "manage.py", "sweep", *LONG, "--jobs=0"],
        cwd=ROOT,
        env=environment(**database),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    until(lambda: Sweep.objects.exists() or waiting.poll() is not None)
    workers = [
        subprocess.Popen(
            [sys.executable, "manage.py", "runworker"],
            cwd=ROOT,
            env=environment(**database),
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    output, _ = waiting.communicate(timeout=120)
    worked = []
    for worker in workers:
        worker.terminate()
        _, lines = worker.communicate(timeout=30)
        worked.append(lines.count("Worked on"))
        assert worker.returncode == 0

    pieces = SweepPiece.objects.count()
    assert waiting.returncode == 0
    assert "done, 198 of 198 tried" in output
    assert sum(worked) == pieces
    assert all(worked)
