"""Try all combinations of a grid of parameters, on all processors."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from rest_framework.exceptions import ValidationError

from backtests.api.sweep_serializers import (
    SweepRequest,
    SweepResultSerializer,
    SweepSerializer,
)
from backtests.grids import RANKINGS
from backtests.management.arguments import (
    add_request_arguments,
    assignment,
    refusal,
    request_of,
    user_of,
)
from backtests.models import Sweep
from backtests.sweeps import (
    OPEN,
    ranked,
    sweep_cancel,
    sweep_create,
    sweep_warnings,
)
from backtests.work import Stopping, Worker, stop
from tradebot.errors import ConflictError
from tradebot.management.base import DataCommand
from tradebot.management.progress import Progress
from trading.management.arguments import none_or_more, positive

MOST_COMBINATIONS = 100_000

_LOOK_EVERY_S = 0.1


class Command(DataCommand):
    help = (
        "Tries all combinations of a grid of parameters on stored candles, on all "
        "processors, and ranks them. One that was stopped goes on with --resume; "
        "manage.py runworker, on other machines too, takes part in it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_request_arguments(parser, required=False)
        parser.add_argument(
            "--grid",
            type=_axis,
            action="append",
            default=[],
            metavar="NAME=VALUES",
            help="What to try of a parameter: ema_fast=5,8,13, or from:to:step, as in "
            "stop_loss=0.5:2:0.25.",
        )
        parser.add_argument(
            "--walk-forward",
            nargs=2,
            type=int,
            metavar=("TRAIN_DAYS", "TEST_DAYS"),
            help="Choose by so many days and try that on so many behind them, again "
            "and again.",
        )
        parser.add_argument("--rank-by", choices=RANKINGS, default=RANKINGS[0])
        parser.add_argument("--user", metavar="EMAIL", help="Whose sweep it is.")
        parser.add_argument(
            "--jobs",
            type=none_or_more,
            default=os.cpu_count() or 1,
            help="How many processes work on it; as many as there are processors. 0 "
            "leaves it to runworker.",
        )
        parser.add_argument(
            "--top", type=positive, default=10, help="How many results to print."
        )
        parser.add_argument(
            "--json", action="store_true", help="Print JSON, with all results."
        )
        other = parser.add_mutually_exclusive_group()
        other.add_argument(
            "--resume", type=int, metavar="ID", help="Go on with a sweep."
        )
        other.add_argument(
            "--show", type=int, metavar="ID", help="Print what a sweep has found."
        )
        other.add_argument("--cancel", type=int, metavar="ID", help="Cancel a sweep.")

    def handle(self, *args: Any, **options: Any) -> None:
        named = options["resume"] or options["show"] or options["cancel"]
        sweep = _sweep(named) if named else self._created(options)
        if options["cancel"]:
            try:
                sweep_cancel(sweep=sweep)
            except ConflictError as error:
                raise CommandError(str(error)) from error
            self.stdout.write(f"Sweep {sweep.pk} is cancelled.")
            return
        if not options["show"]:
            self._work(sweep, options["jobs"])
        sweep = _sweep(sweep.pk)
        if options["json"]:
            told = {
                **SweepSerializer(sweep).data,
                "results": SweepResultSerializer(ranked(sweep), many=True).data,
            }
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self._tell(sweep, options["top"])
        if sweep.status == Sweep.Status.FAILED:
            raise CommandError(f"Sweep {sweep.pk} has failed: {sweep.error}")

    def _created(self, options: dict[str, Any]) -> Sweep:
        for name in ("symbol", "start", "grid"):
            if not options[name]:
                option = {"start": "from"}.get(name, name)
                raise CommandError(
                    f"--{option} is missing; expected --symbol, --from and --grid, or "
                    "--resume, --show or --cancel with the id of a sweep."
                )
        user = user_of(options["user"]) if options["user"] else None
        walk, grid = options["walk_forward"], dict(options["grid"])
        request = request_of(options)
        if "strategy" in grid:
            del request["parameters"]["strategy"]
        asked = SweepRequest(
            data={
                **request,
                "grid": grid,
                "rank_by": options["rank_by"],
                "walk_forward": walk
                and dict(zip(("train_days", "test_days"), walk, strict=True)),
            },
            context={"most_candles": None, "most_combinations": MOST_COMBINATIONS},
        )
        try:
            asked.is_valid(raise_exception=True)
            sweep = sweep_create(user=user, request=asked.validated_data)
        except ValidationError as error:
            raise refusal(error) from error
        except ConflictError as error:
            raise CommandError(str(error)) from error
        self.stderr.write(
            f"Sweep {sweep.pk}: {sweep.combinations:,} combinations. If it is stopped, "
            f"--resume {sweep.pk} goes on."
        )
        for warning in sweep_warnings(sweep):
            self.stderr.write(f"Attention: {warning}")
        return sweep

    def _work(self, sweep: Sweep, jobs: int) -> None:
        """Work on a sweep, with others, until it has ended."""
        worker = Worker()
        title = f"Sweep {sweep.pk}"
        signal.signal(signal.SIGTERM, stop)
        try:
            with (
                _helpers(sweep, jobs - 1),
                Progress(
                    self.stderr, title, sweep.combinations, "backtests"
                ) as progress,
            ):
                while (found := _sweep(sweep.pk)).status in OPEN:
                    progress.update(found.tried, found.tried)
                    if not jobs or not worker.work(sweep):
                        time.sleep(_LOOK_EVERY_S)
                progress.update(found.tried, found.tried)
        except (Stopping, KeyboardInterrupt) as signalled:
            raise CommandError(
                f"Stopped. manage.py sweep --resume {sweep.pk} goes on."
            ) from signalled

    def _tell(self, sweep: Any, top: int) -> None:
        request = sweep.request
        self.stdout.write(
            f"Sweep {sweep.pk}: {request['symbol']} {request['interval']} "
            f"{request['start_date']}–{request['end_date']} {request['market_type']}, "
            f"{sweep.status}, {sweep.tried:,} of {sweep.combinations:,} tried"
        )
        columns = ("sharpe", "total_return", "max_drawdown", "total_trades")
        header = "".join(f"{name:>14}" for name in columns)
        self.stdout.write(f"{'':>5}{header}  by {request['rank_by']}")
        for place, row in enumerate(ranked(sweep)[:top], 1):
            figures = "".join(_cell(row.metrics[name]) for name in columns)
            self.stdout.write(f"{place:>4}.{figures}  {_spelled(row.parameters)}")
        if sweep.summary is not None:
            self._tell_summary(sweep.summary)
        for warning in sweep_warnings(sweep):
            self.stdout.write(f"Attention: {warning}")

    def _tell_summary(self, summary: dict[str, Any]) -> None:
        if walked := summary["walk_forward"]:
            self._tell_walk(walked)
        luck = summary["luck"]
        if luck and luck["sharpe_interval"]:
            low, high = luck["sharpe_interval"]
            self.stdout.write(
                f"Sharpe ratio of the best: {luck['sharpe']:,.2f}; with confidence of "
                f"95 % {low:,.2f} to {high:,.2f}, by a bootstrap of {luck['days']} days"
            )

    def _tell_walk(self, walked: dict[str, Any]) -> None:
        self.stdout.write("Walking forward: the best of each period, on the days after")
        for window in walked["windows"]:
            chosen = _spelled(window["parameters"] or {}) or "nothing has traded"
            scores = _cell(window["train_score"]) + _cell(window["test_score"])
            self.stdout.write(
                f"  {'–'.join(window['test'])}{scores}"
                f"{window['test_return']:>11,.2f} %  {chosen}"
            )
        self.stdout.write(
            f"  In all{'':16}{'':14}{_cell(walked['sharpe'])}"
            f"{walked['total_return']:>11,.2f} %"
        )


@contextmanager
def _helpers(sweep: Sweep, count: int) -> Iterator[None]:
    """Let other processes of this machine work on a sweep too."""
    command = [sys.executable, "manage.py", "runworker"]
    options = [f"--sweep={sweep.pk}", f"--with-parent={os.getpid()}"]
    processes = [
        subprocess.Popen(  # noqa: S603  # ours
            [*command, *options],
            cwd=settings.BASE_DIR,
            stdout=subprocess.DEVNULL,
            # The signal that a terminal sends to all is for this process: it ends them.
            start_new_session=True,
        )
        for _ in range(max(count, 0))
    ]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _sweep(pk: int) -> Any:
    sweep = Sweep.objects.with_tried().filter(pk=pk).first()
    if sweep is None:
        raise CommandError(f"There is no sweep {pk}; expected the id of one.")
    return sweep


def _axis(text: str) -> tuple[str, list[str | None]]:
    """Return the name of a parameter and the values to try."""
    name, _, listed = text.partition("=")
    parts = listed.split(":")
    if len(parts) == 1:
        values = listed.split(",")
    elif len(parts) == 3:
        values = _range(text, *parts)
    else:
        raise ArgumentTypeError(f"{text!r:.80} is no grid; expected NAME=from:to:step")
    if name == "strategy":
        return name, list(values)
    return name, [assignment(f"{name}={value}")[1] for value in values]


def _range(text: str, *parts: str) -> list[str]:
    try:
        low, high, step = map(Decimal, parts)
        count = int((high - low) / step) + 1 if step > 0 else 0
    except (InvalidOperation, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r:.80} is no range of numbers") from error
    if not 0 < count <= MOST_COMBINATIONS:
        raise ArgumentTypeError(
            f"{text!r:.80} has no values or too many; expected from:to:step with from "
            "below to, and a step above 0"
        )
    return [format(low + number * step, "f") for number in range(count)]


def _cell(value: float | None) -> str:
    told = f"{value:,}" if isinstance(value, int) else value and f"{value:,.2f}"
    return f"{'-' if told is None else told:>14}"


def _spelled(parameters: dict[str, Any]) -> str:
    return " ".join(
        f"{name}={'off' if value is None else value}"
        for name, value in parameters.items()
    )
