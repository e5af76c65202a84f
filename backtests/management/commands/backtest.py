"""Run a backtest and tell its result."""

from __future__ import annotations

import datetime as dt
import json
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from backtests.api.requests import BacktestRequest
from backtests.api.serializers import BacktestSerializer
from backtests.charts import picture_draw, prices_find
from backtests.management.arguments import (
    add_request_arguments,
    add_user_argument,
    refusal,
    request_of,
    user_of,
)
from backtests.models import Backtest, BacktestRun
from backtests.runs import RunError
from backtests.shapes import as_png, as_svg
from backtests.warnings import backtest_warnings
from tradebot.management.base import DataCommand
from tradebot.management.progress import Progress
from trading.models import Interval

# What is told, by the names of the metrics; the unit behind a figure.
_PERCENT, _MONEY, _NUMBER, _COUNT = " %", "", "", None
_FIGURES: tuple[tuple[str, str, str | None], ...] = (
    ("Initial capital", "initial_capital", _MONEY),
    ("Final capital", "final_capital", _MONEY),
    ("Return", "total_return", _PERCENT),
    ("Return a year (CAGR)", "cagr", _PERCENT),
    ("Max. drawdown", "max_drawdown", _PERCENT),
    ("Sharpe ratio", "sharpe", _NUMBER),
    ("Sortino ratio", "sortino", _NUMBER),
    ("Profit factor", "profit_factor", _NUMBER),
    ("Trades", "total_trades", _COUNT),
    ("Won", "winning_trades", _COUNT),
    ("Lost", "losing_trades", _COUNT),
    ("Win rate", "win_rate", _PERCENT),
    ("Average trade", "avg_profit", _MONEY),
    ("Average win", "avg_win", _MONEY),
    ("Average loss", "avg_loss", _MONEY),
    ("Best trade", "best_trade", _MONEY),
    ("Worst trade", "worst_trade", _MONEY),
    ("Losses in a row, at most", "max_consecutive_losses", _COUNT),
    ("Commissions", "total_fees", _MONEY),
    ("Slippage", "total_slippage", _MONEY),
    ("Time in the market", "exposure", _PERCENT),
    ("Risk of a trade", "effective_risk", _PERCENT),
)


class Command(DataCommand):
    help = (
        "Runs a backtest on stored candles, as a run of the API does, and prints its "
        "figures. Candles have to be there for the days and for some before them; "
        "import_candles and download_candles get them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_request_arguments(parser)
        parser.add_argument(
            "--chart",
            type=_chart,
            metavar="FILE",
            help="Draw price and trades, equity and drawdown: FILE.svg or FILE.png.",
        )
        parser.add_argument(
            "--json", action="store_true", help="Print the whole result as JSON."
        )
        parser.add_argument(
            "--save",
            action="store_true",
            help="Store the result for --user, who finds it in the API; so does the "
            "admin.",
        )
        add_user_argument(parser, "Whose result --save stores.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["save"] != bool(options["user"]):
            raise CommandError("--save and --user EMAIL belong together: say both.")
        user = user_of(options["user"]) if options["user"] else None
        asked = BacktestRequest(
            data=request_of(options), context={"most_candles": None}
        )
        try:
            asked.is_valid(raise_exception=True)
        except ValidationError as error:
            raise refusal(error) from error
        backtest = self._simulated(BacktestRun(user=user, request=asked.validated_data))
        if user:
            backtest.save()
        else:
            backtest.created_at = timezone.now()
        if options["json"]:
            told = {**BacktestSerializer(backtest).data, "trades": backtest.trades}
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self._tell(backtest)
        if options["chart"]:
            self._draw(backtest, options["chart"])

    def _simulated(self, run: BacktestRun) -> Backtest:
        # NumPy comes with it.
        from backtests.simulation import simulate

        candles = _candles(run.request)
        title = f"{run.request['symbol']} {run.request['interval']}"
        with Progress(self.stderr, title, candles) as progress:

            def say(done: float) -> None:
                progress.update(int(done * candles), int(done * candles))

            try:
                return simulate(run, say)
            except RunError as error:
                raise CommandError(str(error)) from error

    def _tell(self, backtest: Backtest) -> None:
        self.stdout.write(
            f"{backtest} {backtest.market_type}, {backtest.strategy}, "
            f"{_source(backtest)}"
        )
        figures = backtest.metrics or {}
        for name, key, unit in _FIGURES:
            self.stdout.write(f"{name:<26}{_spelled(figures.get(key), unit):>16}")
        exits = ", ".join(f"{why} {n}" for why, n in figures.get("exits", {}).items())
        self.stdout.write(f"{'Exits':<26}{exits or '-':>16}")
        for warning in backtest_warnings(backtest):
            self.stdout.write(f"Attention: {warning}")
        if backtest.pk:
            self.stdout.write(f"Stored as backtest {backtest.pk}.")

    def _draw(self, backtest: Backtest, path: Path) -> None:
        picture = picture_draw(backtest, prices_find(backtest))
        assert picture  # noqa: S101  # a result has its equity
        svg = path.suffix.lower() == ".svg"
        content = as_svg(picture).encode() if svg else as_png(picture)
        try:
            path.write_bytes(content)
        except OSError as error:
            raise CommandError(
                f"{path} cannot be written: {error.strerror}. Choose another --chart."
            ) from error
        self.stderr.write(f"Drawn: {path}.")


def _chart(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".svg", ".png"):
        raise ArgumentTypeError(
            f"{text!r:.80} is no picture; expected a name that ends with .svg or .png"
        )
    if not path.parent.is_dir():
        raise ArgumentTypeError(f"there is no folder {str(path.parent)!r:.80}; make it")
    return path


def _candles(request: dict[str, Any]) -> int:
    start, end = (
        dt.date.fromisoformat(request[name]) for name in ("start_date", "end_date")
    )
    return (end - start + dt.timedelta(days=1)) // Interval(request["interval"]).length


def _source(backtest: Backtest) -> str:
    if backtest.seed is not None:
        return f"on candles MADE UP from seed {backtest.seed}"
    return f"on {backtest.data_source} candles"


def _spelled(value: float | None, unit: str | None) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if unit is None else f"{value:,.2f}{unit}"
