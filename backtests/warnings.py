"""What to know before anything is made of a result."""

from __future__ import annotations

from django.utils.translation import gettext

from backtests.models import Backtest
from backtests.parameters import ParametersSerializer
from bots.models import PositionType

_WORTH_TELLING = 0.95  # of the risk that was asked for


def backtest_warnings(backtest: Backtest) -> list[str]:
    """Return it in sentences; of results of the old program, nothing is known.

    Results from before signals were counted have no ``skipped``.
    """
    metrics = backtest.metrics
    if metrics is None:
        return []
    return [
        *_of_candles(backtest),
        *_of_parameters(backtest, metrics["effective_risk"]),
        *_of_signals(metrics["total_trades"], metrics.get("skipped", {})),
    ]


def _of_candles(backtest: Backtest) -> list[str]:
    if backtest.seed is None:
        return []
    told = gettext("The candles are made up, from seed %(seed)s.")
    return [told % {"seed": backtest.seed}]


def _of_parameters(backtest: Backtest, effective: float | None) -> list[str]:
    parameters = backtest.parameters
    known = ParametersSerializer().fields
    unknown = sorted(name for name in parameters if name not in known)
    told = []
    if unknown:
        told.append(
            gettext("There are no such parameters, they had no effect: %(names)s.")
            % {"names": ", ".join(unknown)}
        )
    asked = parameters["risk_per_trade"]
    if effective is not None and effective < _WORTH_TELLING * asked:
        template = (
            gettext(
                "A stop loses %(effective)s %% of the capital on average, not the "
                "%(asked)s %% of risk_per_trade: the capital buys no more. It counts "
                "with a wider stop_loss or more leverage."
            )
            if backtest.market_type == PositionType.FUTURES
            else gettext(
                "A stop loses %(effective)s %% of the capital on average, not the "
                "%(asked)s %% of risk_per_trade: the capital buys no more. It counts "
                "with a wider stop_loss."
            )
        )
        told.append(template % {"effective": f"{effective:.2f}", "asked": f"{asked:g}"})
    return told


def _of_signals(trades: int, skipped: dict[str, int]) -> list[str]:
    told = []
    if below := skipped.get("BELOW_MINIMUM"):
        told.append(
            gettext(
                "%(count)s signals were not followed: the order would have been below "
                "the minimum of the exchange."
            )
            % {"count": below}
        )
    if funds := skipped.get("FUNDS"):
        told.append(
            gettext(
                "%(count)s signals were not followed: the capital did not suffice for "
                "margin and commission."
            )
            % {"count": funds}
        )
    if not trades and not skipped:
        told.append(gettext("The strategy has seen no reason to trade."))
    return told
