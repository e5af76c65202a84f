"""Fills, sizes and limits, by hand: once with floats, once with Decimal."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from trading.engine.fills import (
    effective_stop,
    level,
    liquidation_level,
    market_fill,
    protective_exit,
)
from trading.engine.limits import entry_limit
from trading.engine.sizing import (
    SizeBy,
    loss_at_stop,
    units_affordable,
    units_sendable,
    units_wanted,
)
from trading.engine.types import Reason, Skip

pytestmark = pytest.mark.sqlite  # no database

both = pytest.mark.parametrize("number", [float, Decimal])


def close(number: Any, expected: str) -> Any:
    return pytest.approx(number(expected), rel=number("1e-12"), abs=number(0))


@both
def test_market_orders_slip_to_the_worse(number: Any) -> None:
    assert market_fill(number(100), 1, number("0.001")) == close(number, "100.1")
    assert market_fill(number(100), -1, number("0.001")) == close(number, "99.9")


@both
def test_levels_are_mirrored_for_shorts(number: Any) -> None:
    assert level(number(200), 1, number("-0.005")) == close(number, "199")
    assert level(number(200), -1, number("-0.005")) == close(number, "201")
    assert level(number(200), 1, number("0.015")) == close(number, "203")
    assert level(number(200), -1, number("0.015")) == close(number, "197")


@both
@pytest.mark.parametrize(
    ("direction", "leverage", "expected"),
    [
        (1, 10, "90.4"),
        (-1, 10, "109.6"),
        (1, 125, "99.6"),
        (1, 1, "0"),
        (-1, 1, "199.6"),
    ],
)
def test_liquidation_is_nearer_the_higher_the_leverage(
    number: Any, direction: int, leverage: int, expected: str
) -> None:
    price = liquidation_level(number(100), direction, number(leverage), number("0.004"))
    assert price == close(number, expected)


@both
@pytest.mark.parametrize(
    ("direction", "stop_loss", "extreme", "trailing", "expected"),
    [
        (1, "99.5", "100", "0.003", "99.7"),
        (1, "99.5", "101.2", "0.003", "100.8964"),
        (1, "99.5", "100", "0.01", "99.5"),
        (1, "99.5", "500", "Infinity", "99.5"),
        (-1, "100.5", "98.8", "0.003", "99.0964"),
        (-1, "100.5", "100", "Infinity", "100.5"),
        (1, "-Infinity", "100", "Infinity", "-Infinity"),
    ],
)
def test_effective_stop_is_the_nearer_one(
    number: Any,
    direction: int,
    stop_loss: str,
    extreme: str,
    trailing: str,
    expected: str,
) -> None:
    stop = effective_stop(direction, *map(number, (stop_loss, extreme, trailing)))
    assert stop == close(number, expected)


# A long position: stop 95, target 110, liquidation 90; a bar as open, high, low.
LONG_EXITS = {
    "untouched": (("100", "109.9", "95.1"), Reason.NONE, None),
    "stop": (("100", "101", "95"), Reason.SL, "95"),
    "target": (("100", "110", "96"), Reason.TP, "110"),
    "both, the worse counts": (("100", "111", "94"), Reason.SL, "95"),
    "gap through the stop": (("94", "96", "93"), Reason.SL, "94"),
    "gap onto the stop": (("95", "96", "95"), Reason.SL, "95"),
    "gap through the target": (("112", "113", "111"), Reason.TP, "112"),
    "gap through the target, then down": (("112", "113", "80"), Reason.TP, "112"),
    "stop before liquidation": (("100", "101", "85"), Reason.SL, "95"),
    "gap through liquidation": (("89", "91", "88"), Reason.LIQUIDATION, "89"),
}


@both
@pytest.mark.parametrize("name", LONG_EXITS)
@pytest.mark.parametrize("direction", [1, -1])
def test_protective_exit(number: Any, name: str, direction: int) -> None:
    (open_, high, low), reason, price = LONG_EXITS[name]
    if direction < 0:
        high, low = low, high

    def mirror(price: str) -> Any:
        return number(price) if direction > 0 else 200 - number(price)

    levels = map(mirror, (open_, high, low, "95", "110", "90"))
    found, at = protective_exit(direction, *levels)
    assert found == reason
    if price is not None:
        assert at == mirror(price)


@both
def test_liquidation_comes_before_a_stop_that_is_further_away(number: Any) -> None:
    prices = map(number, ("100", "101", "80", "85", "110", "90"))
    assert protective_exit(1, *prices) == (Reason.LIQUIDATION, number(90))


@both
def test_sizes_of_the_vector(number: Any) -> None:
    # 1,000 at 2 % risk, stop 0.5 %, price 100: 20 / 0.5 = 40 units, worth 4,000.
    capital, price, nothing = number(1000), number(100), number(0)
    loss = loss_at_stop(price, 1, number("0.005"), nothing, nothing)
    assert loss == close(number, "0.5")
    wanted = units_wanted(SizeBy.RISK, number("0.02"), capital, price, loss)
    assert wanted == close(number, "40")
    # On spot 95 % of the capital are the most; tenfold leverage has room: margin 400.
    assert units_affordable(capital, price, number(1)) == close(number, "9.5")
    assert units_affordable(capital, price, number(10)) == close(number, "95")


@both
def test_risk_includes_both_commissions_and_slippage(number: Any) -> None:
    # Long from 100 to 99, filled at 98.901; 0.1 % of 198.901 for the commissions.
    loss = loss_at_stop(number(100), 1, *map(number, ("0.01", "0.001", "0.001")))
    assert loss == close(number, "1.297901")
    # Short from 100 to 101, filled at 101.101.
    loss = loss_at_stop(number(100), -1, *map(number, ("0.01", "0.001", "0.001")))
    assert loss == close(number, "1.302101")


@both
def test_sizes_by_quote_and_by_equity(number: Any) -> None:
    given = (number(4000), number(50), number(1))
    assert units_wanted(SizeBy.QUOTE, number(100), *given) == number(2)
    assert units_wanted(SizeBy.EQUITY, number("0.25"), *given) == number(20)


@both
@pytest.mark.parametrize(
    ("units", "step", "min_units", "min_notional", "expected"),
    [
        ("9.5678", "0.001", "0", "0", "9.567"),
        ("9.5678", "0", "0", "0", "9.5678"),
        ("0.3", "0.1", "0", "0", "0.3"),  # in binary 0.3 / 0.1 is below 3
        ("0.0999", "0.1", "0", "0", "0"),
        ("0.5", "0.1", "0.6", "0", "0"),
        ("0.5", "0.1", "0.5", "5", "0.5"),
        ("0.49", "0.1", "0", "5", "0"),  # 0.4 · 10 is below 5, and is not made more
        ("-1", "0.1", "0", "0", "0"),
    ],
)
def test_units_are_rounded_down_and_skipped_below_the_minimum(
    number: Any,
    units: str,
    step: str,
    min_units: str,
    min_notional: str,
    expected: str,
) -> None:
    sent = units_sendable(
        number(units), number(10), *map(number, (step, min_units, min_notional))
    )
    assert sent == close(number, expected)


@both
@pytest.mark.parametrize(
    ("entries", "day_return", "expected"),
    [
        (4, "0", Skip.NONE),
        (5, "0", Skip.MAX_DAILY_TRADES),
        (0, "-0.0099", Skip.NONE),
        (0, "-0.01", Skip.MAX_DAILY_LOSS),
        (0, "0.0299", Skip.NONE),
        (0, "0.03", Skip.DAILY_TARGET),
    ],
)
def test_limits(number: Any, entries: int, day_return: str, expected: Skip) -> None:
    limits = map(number, ("5", "0.01", "0.03"))
    assert entry_limit(entries, number(day_return), *limits) == expected


@both
def test_infinite_limits_are_off(number: Any) -> None:
    off = number("Infinity")
    assert entry_limit(999, number("-0.99"), off, off, off) == Skip.NONE
