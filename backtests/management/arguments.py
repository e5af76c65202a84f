"""What the commands about backtests are told: candles, days, parameters, an owner."""

from __future__ import annotations

import datetime as dt
from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from accounts.models import User
from backtests.parameters import STRATEGIES, ParametersSerializer
from bots.models import PositionType
from trading.candles import Period, spell_time
from trading.management.arguments import add_period_arguments, seed, symbol
from trading.models import Interval

_OFF = ("off", "none", "null")


def add_request_arguments(parser: CommandParser, *, required: bool = True) -> None:
    """Add what is tried, on which candles."""
    parser.add_argument(
        "--symbol", type=symbol, required=required, help="For example BTCUSDT."
    )
    parser.add_argument("--interval", choices=Interval.values, default="1m")
    parser.add_argument(
        "--market", choices=PositionType.values, default=PositionType.SPOT
    )
    add_period_arguments(parser, required=required)
    parser.add_argument(
        "--seed",
        type=seed,
        help="Try it on the candles that make_candles has made up from this seed.",
    )
    parser.add_argument("--strategy", choices=STRATEGIES, default="ema")
    parser.add_argument(
        "--set",
        type=assignment,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="A parameter, in percent where nothing else is said; off switches a limit "
        f"off. Known: {', '.join(parameter_names())}.",
    )


def add_user_argument(parser: CommandParser, help: str) -> None:
    parser.add_argument("--user", metavar="EMAIL", help=help)


def parameter_names() -> list[str]:
    """Return the names of what can be set; the strategy has an option of its own."""
    return [name for name in ParametersSerializer().get_fields() if name != "strategy"]


def assignment(text: str) -> tuple[str, str | None]:
    """Return the name and the value of a parameter; None for one that is off."""
    name, sign, value = text.partition("=")
    if not sign or not value:
        raise ArgumentTypeError(f"{text!r:.80} sets nothing; expected NAME=VALUE")
    if name not in parameter_names():
        raise ArgumentTypeError(
            f"{name!r:.40} is no parameter; expected one of "
            f"{', '.join(parameter_names())}"
        )
    return name, None if value.lower() in _OFF else value


def request_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return the request that these arguments make, as the API takes it.

    Raises CommandError where the period is not one of whole days.
    """
    period = _days(options)
    return {
        "symbol": options["symbol"],
        "interval": options["interval"],
        "start_date": f"{period.start:%Y-%m-%d}",
        "end_date": f"{period.end - dt.timedelta(days=1):%Y-%m-%d}",
        "market_type": options["market"],
        "seed": options["seed"],
        "parameters": {"strategy": options["strategy"], **dict(options["set"])},
    }


def _days(options: dict[str, Any]) -> Period:
    day = dt.timedelta(days=1)
    tomorrow = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0) + day
    period = Period(options["start"], min(options["end"] or tomorrow, tomorrow))
    for name, time in zip(("--from", "--to"), period, strict=True):
        if time.time() != dt.time():
            raise CommandError(
                f"{name} is {spell_time(time)}; a backtest is of whole days, UTC: "
                f"expected {time:%Y-%m-%d} or another one."
            )
    if period.start >= period.end:
        raise CommandError(
            f"--from is {period.start:%Y-%m-%d} and --to {period.end:%Y-%m-%d}, which "
            "is not part of the period; expected --to later than --from, and --from in "
            "the past."
        )
    return period


def user_of(email: str) -> User:
    """Return the user with this address; raises CommandError where there is none."""
    user = User.objects.with_email(email).first()
    if user is None:
        raise CommandError(
            f"There is no user {email}; expected the e-mail address of one."
        )
    return user


def refusal(error: ValidationError) -> CommandError:
    """Return what a serializer complains of, a line for each field."""
    told = "\n".join(f"  {name}: {message}" for name, message in _flat(error.detail))
    return CommandError(f"This cannot be tried:\n{told}")


def _flat(detail: Any, name: str = "") -> list[tuple[str, str]]:
    if isinstance(detail, dict):
        parts = [(f"{name}.{key}" if name else key, one) for key, one in detail.items()]
        return [line for key, one in parts for line in _flat(one, key)]
    if isinstance(detail, list):
        return [line for one in detail for line in _flat(one, name)]
    return [(name.removeprefix("parameters."), str(detail))]
