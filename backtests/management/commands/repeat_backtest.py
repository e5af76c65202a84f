"""Repeat a stored backtest, and compare to the bit."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from rest_framework.exceptions import ValidationError

from backtests.management.arguments import refusal
from backtests.models import Backtest, BacktestRun
from backtests.runs import RunError
from tradebot.management.base import DataCommand

_RESULTS = ("metrics", "trades", "equity_curve", "daily_results", "monthly_results")


class Command(DataCommand):
    help = (
        "Runs a stored backtest again, on the candles and under the rules of then, and "
        "tells whether its result is the same to the bit. Stores nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, help="Of the backtest.")

    def handle(self, *args: Any, **options: Any) -> None:
        stored = Backtest.objects.filter(pk=options["id"]).first()
        if stored is None:
            raise CommandError(
                f"There is no backtest {options['id']}; expected the id of a stored "
                "one, which its list in the API and in the admin have."
            )
        was_on = stored.candles
        if was_on is None:
            raise CommandError(
                f"Backtest {stored.pk} does not tell what it was run on: it is of a "
                "program before this one. Run it anew."
            )
        again = _simulated(stored, end=was_on["end"])
        changed = [*_causes(stored, again), *_effects(stored, again)]
        if changed:
            raise CommandError(
                f"Backtest {stored.pk} is not the same any more: {'; '.join(changed)}."
            )
        self.stdout.write(
            f"Backtest {stored.pk} is the same to the bit: "
            f"{again.total_trades} trades, {again.final_capital:,.2f} in the end."
        )


def _simulated(stored: Backtest, *, end: str) -> Backtest:
    # NumPy comes with it.
    from backtests.simulation import simulate

    request = {
        "symbol": stored.symbol,
        "interval": stored.interval,
        "start_date": stored.start_date,
        "end_date": stored.end_date,
        "market_type": stored.market_type,
        "seed": stored.seed,
        "parameters": stored.parameters,
        "filters": stored.filters,
        "end": end,
    }
    try:
        return simulate(BacktestRun(request=request), lambda _: None)
    except RunError as error:
        raise CommandError(str(error)) from error
    except ValidationError as error:
        raise refusal(error) from error


def _causes(stored: Backtest, again: Backtest) -> list[str]:
    found = []
    if again.engine_version != stored.engine_version:
        found.append(
            f"the engine is of version {again.engine_version}, it was "
            f"{stored.engine_version}"
        )
    if again.candles != stored.candles:
        found.append(f"the candles are {again.candles}, they were {stored.candles}")
    return found


def _effects(stored: Backtest, again: Backtest) -> list[str]:
    return [
        f"{name} differ"
        for name in _RESULTS
        if getattr(again, name) != getattr(stored, name)
    ]
