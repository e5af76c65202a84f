"""What SQLite cannot compute exactly it refuses, in words, and never rounds."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import (
    NotSupportedError,
    OperationalError,
    connection,
    models,
)
from django.db.models import (
    Avg,
    F,
    FloatField,
    Func,
    IntegerField,
    StdDev,
    Sum,
    Value,
    Variance,
    Window,
)
from django.db.models.expressions import RawSQL
from django.db.models.functions import (
    Abs,
    Cast,
    Ceil,
    Coalesce,
    Floor,
    Greatest,
    Mod,
    Power,
    Round,
    Sqrt,
)

from bots.models import BotConfig
from tradebot.fields import ExactDecimalField
from tradebot.sqlite import decimals
from trading.models import Trade

pytestmark = [pytest.mark.sqlite, pytest.mark.django_db]

Query = Callable[[], Any]
exact = ExactDecimalField()

REFUSED: dict[str, Query] = {
    "average": lambda: Trade.objects.aggregate(x=Avg("price")),
    "average of a group": lambda: list(
        Trade.objects.values("symbol").annotate(x=Avg("price"))
    ),
    "deviation": lambda: Trade.objects.aggregate(x=StdDev("price")),
    "variance": lambda: Trade.objects.aggregate(x=Variance("price")),
    "quotient": lambda: list(Trade.objects.values(x=F("price") / F("pnl"))),
    "remainder": lambda: list(Trade.objects.values(x=F("price") % 2)),
    "power": lambda: list(Trade.objects.values(x=F("price") ** 2)),
    "update with a quotient": lambda: Trade.objects.update(price=F("price") / 3),
    "update with a float": lambda: Trade.objects.update(price=Cast("id", FloatField())),
    "update with text": lambda: Trade.objects.update(price=F("symbol")),
    "whole number from a decimal": lambda: BotConfig.objects.update(
        ema_fast=F("stop_loss_perc")
    ),
    "row with a float": lambda: Trade.objects.create(
        price=Cast(Value(0.1), FloatField())
    ),
    "row with text": lambda: Trade.objects.create(price=Value("abc")),
    "product called a float": lambda: list(
        Trade.objects.annotate(
            x=models.ExpressionWrapper(F("price") * 2, output_field=FloatField())
        ).filter(x=20)
    ),
    "sum called a float": lambda: Trade.objects.aggregate(
        x=Sum("price", output_field=FloatField())
    ),
    "sum called an integer": lambda: Trade.objects.aggregate(
        x=Sum("price", output_field=IntegerField())
    ),
    "highest called a float": lambda: Trade.objects.aggregate(
        x=models.Max("price", output_field=FloatField())
    ),
    "cast to a bounded decimal": lambda: list(
        Trade.objects.values(
            x=Cast("price", models.DecimalField(max_digits=30, decimal_places=1))
        )
    ),
    "product with a float": lambda: list(
        Trade.objects.values(
            x=models.ExpressionWrapper(
                F("price") * Value(0.1, output_field=FloatField()), output_field=exact
            )
        )
    ),
    "sum of floats": lambda: Trade.objects.aggregate(
        x=Sum(Cast("price", FloatField()), output_field=exact)
    ),
    "rounding": lambda: list(Trade.objects.values(x=Round("price", 2))),
    "absolute value": lambda: list(Trade.objects.values(x=Abs("price"))),
    "ceiling": lambda: list(Trade.objects.values(x=Ceil("price"))),
    "floor": lambda: list(Trade.objects.values(x=Floor("price"))),
    "root": lambda: list(Trade.objects.values(x=Sqrt("price"))),
    "modulo": lambda: list(Trade.objects.values(x=Mod("price", 2))),
    "power function": lambda: list(Trade.objects.values(x=Power("price", 2))),
    "unknown function": lambda: list(
        Trade.objects.values(x=Func("price", function="ROUND", output_field=exact))
    ),
    "raw SQL": lambda: list(
        Trade.objects.annotate(x=RawSQL("price * 2", [], output_field=exact))
    ),
    "running sum": lambda: list(
        Trade.objects.annotate(x=Window(Sum("price"), order_by="id"))
    ),
    "cast to a float": lambda: list(
        Trade.objects.values(x=Cast("price", FloatField()))
    ),
    "cast to an integer": lambda: list(
        Trade.objects.values(x=Cast("price", IntegerField()))
    ),
    "cast from a float": lambda: list(
        Trade.objects.values(x=Cast(Value(0.1), ExactDecimalField()))
    ),
    "default that is a float": lambda: list(
        Trade.objects.values(x=Coalesce("pnl", Value(0.1), output_field=exact))
    ),
    "greatest of unlike types": lambda: list(
        Trade.objects.values(x=Greatest("pnl", Value(5), output_field=exact))
    ),
    "comparison with an integer column": lambda: list(
        Trade.objects.filter(price__gt=F("bot_config__ema_fast"))
    ),
    "integer column compared with a decimal": lambda: list(
        BotConfig.objects.filter(ema_fast__gt=F("stop_loss_perc"))
    ),
    "rows of unlike type": lambda: list(
        Trade.objects.filter(price__in=BotConfig.objects.values("ema_fast"))
    ),
    "search in the digits": lambda: list(Trade.objects.filter(price__contains="1")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_inexact_expression_is_refused(case: str) -> None:
    with pytest.raises(NotSupportedError, match=r"SQLite cannot compute .* exactly"):
        REFUSED[case]()


def test_refusal_says_what_to_do() -> None:
    with pytest.raises(NotSupportedError, match="compute in Python with Decimal"):
        Trade.objects.aggregate(Avg("price"))


def test_expressions_without_decimals_are_djangos() -> None:
    assert Trade.objects.aggregate(x=Avg("id"))["x"] is None
    assert list(BotConfig.objects.annotate(x=F("ema_slow") / F("ema_fast"))) == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT DECIMAL_ADD('1', 0.5)",
        "SELECT DECIMAL_MUL('1', 'x')",
        "SELECT DECIMAL_SUM(0.5)",
    ],
)
def test_function_on_what_is_no_decimal_raises(statement: str) -> None:
    with (
        pytest.raises(OperationalError, match=r"raised (exception|error)"),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)


def test_result_too_long_to_be_exact_raises() -> None:
    with pytest.raises(OperationalError), connection.cursor() as cursor:
        cursor.execute(
            "SELECT DECIMAL_ADD('1', %s)", [f"0.{'0' * decimals.EXACT.prec}1"]
        )


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("9", "10", -1),
        ("-9", "-10", 1),
        ("1.0", "1.00", 0),
        ("1E+2", "100", 0),
        ("-0", "0", 0),
        ("0.1", "0.10000000000000000000000000000000001", -1),
        ("10", "no number", -1),
        ("NaN", "10", 1),
        ("a", "b", -1),
        ("x", "x", 0),
    ],
)
def test_collation_orders_numbers_by_value_and_the_rest_behind(
    left: str, right: str, order: int
) -> None:
    assert decimals.compare(left, right) == order
    assert decimals.compare(right, left) == -order


def test_stored_text_that_is_no_number_is_told() -> None:
    with pytest.raises(ValueError, match="'twelve' is not a decimal number"):
        decimals.parse("twelve")


def test_spelling_has_no_exponent() -> None:
    assert decimals.spell(Decimal("1E+3")) == "1000"
    assert decimals.spell(Decimal("-1.50E-3")) == "-0.00150"
