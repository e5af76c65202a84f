"""Money is exact on both databases: what goes in comes out, orders and adds up."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import (
    Case,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce, Greatest, Least, NullIf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots.models import BotConfig
from tests.factories import make_bot, make_trade, make_user
from tradebot.fields import ExactDecimalField
from trading.models import Trade

pytestmark = pytest.mark.django_db

# Every comparison below is made with Python's own Decimal, at a precision that
# nothing here can exceed.
EXACT = Context(prec=500)

digits = st.text("0123456789", min_size=0, max_size=30)


@st.composite
def decimals(draw: Any) -> Decimal:
    """Any number of up to 30 digits on either side of the point."""
    sign = draw(st.sampled_from(["", "-"]))
    whole, fraction = draw(digits), draw(digits)
    return Decimal(f"{sign}{whole or '0'}.{fraction or '0'}")


properties = settings(
    max_examples=60,
    deadline=None,  # a database is in the loop
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def bot() -> BotConfig:
    return make_bot(make_user())


def store(bot: BotConfig, prices: list[Decimal]) -> models.QuerySet[Trade]:
    Trade.objects.all().delete()
    for price in prices:
        make_trade(bot, price)
    return Trade.objects.all()


def test_documented_example_comes_back_unchanged(bot: BotConfig) -> None:
    price = Decimal("12345678.123456789012345678")

    stored = Trade.objects.get(pk=make_trade(bot, price).pk)

    assert str(stored.price) == "12345678.123456789012345678"


@properties
@given(number=decimals())
def test_any_number_comes_back_equal_and_is_found(
    bot: BotConfig, number: Decimal
) -> None:
    trades = store(bot, [number])

    assert trades.get().price == number
    assert trades.filter(price=number).count() == 1
    assert trades.filter(price__in=[number]).count() == 1
    assert trades.filter(price__range=(number, number)).count() == 1
    assert trades.exclude(price=number).count() == 0


@properties
@given(numbers=st.lists(decimals(), min_size=1, max_size=6))
def test_numbers_are_ordered_by_value(bot: BotConfig, numbers: list[Decimal]) -> None:
    trades = store(bot, numbers)

    assert list(trades.order_by("price").values_list("price", flat=True)) == sorted(
        numbers
    )
    assert trades.aggregate(low=Min("price"), high=Max("price")) == {
        "low": min(numbers),
        "high": max(numbers),
    }
    assert trades.aggregate(n=Count("price", distinct=True))["n"] == len(set(numbers))
    assert trades.values("price").distinct().count() == len(set(numbers))


@properties
@given(left=decimals(), right=decimals())
def test_numbers_compare_by_value(
    bot: BotConfig, left: Decimal, right: Decimal
) -> None:
    trades = store(bot, [left])

    assert trades.filter(price__lt=right).exists() == (left < right)
    assert trades.filter(price__lte=right).exists() == (left <= right)
    assert trades.filter(price__gt=right).exists() == (left > right)
    assert trades.filter(price__gte=right).exists() == (left >= right)
    assert trades.filter(price=right).exists() == (left == right)


@properties
@given(numbers=st.lists(decimals(), min_size=1, max_size=6))
def test_numbers_add_up(bot: BotConfig, numbers: list[Decimal]) -> None:
    trades = store(bot, numbers)

    with localcontext(EXACT):
        assert trades.aggregate(total=Sum("price"))["total"] == sum(numbers)
        assert trades.aggregate(
            total=Sum("price", filter=Q(price__gt=0), default=Decimal(0))
        )["total"] == sum(number for number in numbers if number > 0)
        assert trades.aggregate(total=Sum("price", distinct=True))["total"] == sum(
            set(numbers)
        )


@properties
@given(left=decimals(), right=decimals())
def test_arithmetic_in_the_database_is_exact(
    bot: BotConfig, left: Decimal, right: Decimal
) -> None:
    trades = store(bot, [left])
    trades.update(quantity_filled=right)

    row = trades.values(
        total=F("price") + F("quantity_filled"),
        difference=F("price") - F("quantity_filled"),
        product=F("price") * F("quantity_filled"),
        doubled=F("price") * 2,
    ).get()

    with localcontext(EXACT):
        assert row == {
            "total": left + right,
            "difference": left - right,
            "product": left * right,
            "doubled": left * 2,
        }


@properties
@given(price=decimals(), factor=decimals())
def test_update_with_f_is_exact(
    bot: BotConfig, price: Decimal, factor: Decimal
) -> None:
    trades = store(bot, [price])

    trades.update(price=F("price") * factor - 1, pnl=F("price"))

    stored = trades.get()
    with localcontext(EXACT):
        assert stored.price == price * factor - 1
        assert stored.pnl == price


@properties
@given(numbers=st.lists(decimals(), min_size=1, max_size=5))
def test_bulk_writes_are_exact(bot: BotConfig, numbers: list[Decimal]) -> None:
    trades = list(store(bot, numbers).order_by("id"))
    for each in trades:
        each.price = each.price.copy_negate()  # a minus sign rounds to 28 digits

    Trade.objects.bulk_update(trades, ["price"])

    stored = Trade.objects.order_by("id").values_list("price", flat=True)
    assert list(stored) == [number.copy_negate() for number in numbers]


def test_coalesce_in_order_by_orders_by_value(bot: BotConfig) -> None:
    for pnl, realized in [(9, None), (None, 10), (-100, None), (None, 1)]:
        make_trade(bot, Decimal(1), pnl=pnl, realized_pnl=realized)
    best = Coalesce("pnl", "realized_pnl")

    assert list(Trade.objects.order_by(best).values_list(best, flat=True)) == [
        -100,
        1,
        9,
        10,
    ]
    assert [
        each.best for each in Trade.objects.annotate(best=best).order_by("-best")
    ] == [10, 9, 1, -100]


def test_whole_number_as_default_is_ordered_by_value(bot: BotConfig) -> None:
    for pnl in (Decimal("-3"), None, Decimal("20"), Decimal("3")):
        make_trade(bot, Decimal(1), pnl=pnl)
    filled = Coalesce("pnl", Value(5), output_field=ExactDecimalField())

    assert list(
        Trade.objects.annotate(filled=filled)
        .order_by("filled")
        .values_list("filled", flat=True)
    ) == [-3, 3, 5, 20]
    assert Trade.objects.annotate(filled=filled).filter(filled__gt=3).count() == 2


def test_sums_of_groups_filter_and_order_by_value(bot: BotConfig) -> None:
    for symbol, price in [("A", "9"), ("A", "1.5"), ("B", "10"), ("C", "-100")]:
        make_trade(bot, Decimal(price), symbol=symbol)
    groups = Trade.objects.values("symbol").annotate(total=Sum("price"))

    assert list(groups.order_by("total").values_list("symbol", "total")) == [
        ("C", Decimal(-100)),
        ("B", Decimal(10)),
        ("A", Decimal("10.5")),
    ]
    assert (
        list(groups.filter(total__gt=9).values_list("symbol", flat=True))
        == [
            "A",
            "B",
        ]
        or groups.filter(total__gt=9).count() == 2
    )


def test_groups_are_formed_by_value(bot: BotConfig) -> None:
    make_trade(bot, Decimal("1.50"))
    make_trade(bot, Decimal("1.5"))

    groups = Trade.objects.values("price").annotate(n=Count("id")).order_by()

    assert [(group["price"], group["n"]) for group in groups] == [(Decimal("1.5"), 2)]


def test_aggregate_over_a_slice_is_exact(bot: BotConfig) -> None:
    for price in ("0.1", "0.2", "9" * 30):
        make_trade(bot, Decimal(price))

    total = Trade.objects.order_by("price")[:2].aggregate(total=Sum("price"))["total"]
    top = Trade.objects.order_by("price")[:3].aggregate(top=Max("price"))["top"]

    assert (total, top) == (Decimal("0.3"), Decimal("9" * 30))


def test_conditional_and_nested_expressions_keep_the_order(bot: BotConfig) -> None:
    for price in (2, 10, -5):
        make_trade(bot, Decimal(price), pnl=Decimal(4))
    chosen = {
        "case": Case(When(side="BUY", then=F("price")), default=F("pnl")),
        "greatest": Greatest("price", "pnl"),
        "least": Least("price", "pnl"),
        "nullif": NullIf("price", "pnl"),
        "wrapped": ExpressionWrapper(
            F("price") + F("pnl"), output_field=ExactDecimalField()
        ),
        "cast": Cast("bot_config__ema_fast", ExactDecimalField()) + F("price"),
        "subquery": Subquery(
            Trade.objects.filter(pk=OuterRef("pk")).values("price")[:1]
        ),
    }

    found = {
        name: list(
            Trade.objects.annotate(x=expression)
            .order_by("x")
            .values_list("x", flat=True)
        )
        for name, expression in chosen.items()
    }

    assert found == {
        "case": [-5, 2, 10],
        "greatest": [4, 4, 10],
        "least": [-5, 2, 4],
        "nullif": [-5, 2, 10],
        "wrapped": [-1, 6, 14],
        "cast": [4, 11, 19],
        "subquery": [-5, 2, 10],
    }


def test_comparisons_between_columns_and_queries_go_by_value(bot: BotConfig) -> None:
    for price, pnl in ((9, 10), (10, 9), (7, 7)):
        make_trade(bot, Decimal(price), pnl=Decimal(pnl))
    prices = Trade.objects.filter(pnl__lt=10).values("price")
    same = Trade.objects.filter(price=OuterRef("pnl"))

    assert Trade.objects.filter(price__lt=F("pnl")).get().price == 9
    assert Trade.objects.filter(price=F("pnl")).get().price == 7
    assert Trade.objects.filter(price__in=prices).count() == 2
    assert Trade.objects.filter(price__in=Subquery(prices)).count() == 2
    assert Trade.objects.filter(Exists(same)).count() == 3
    assert Trade.objects.filter(price=Value(Decimal("7.0"))).count() == 1


def test_nulls_stay_null(bot: BotConfig) -> None:
    make_trade(bot, Decimal(1), pnl=None)

    row = Trade.objects.values(x=F("price") + F("pnl"), y=Sum("pnl")).get()

    assert row == {"x": None, "y": None}


@pytest.mark.parametrize("value", [0.1, float("nan"), float("inf")])
def test_float_is_refused(bot: BotConfig, value: float) -> None:
    with pytest.raises(ValidationError, match="is a float"):
        make_trade(bot, value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "abc", ""])
def test_text_that_is_no_number_is_refused(bot: BotConfig, value: str) -> None:
    with pytest.raises(ValidationError):
        Trade(bot_config=bot, price=value).clean_fields()


def test_column_is_found_by_plain_sql(bot: BotConfig) -> None:
    make_trade(bot, Decimal("1E+3"))

    with connection.cursor() as cursor:
        cursor.execute("SELECT CAST(price AS varchar) FROM trades")
        assert cursor.fetchone() == ("1000",)


def test_row_inserted_by_hand_is_read_exactly(bot: BotConfig) -> None:
    pk = make_trade(bot, Decimal(1)).pk
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trades SET price = 12.50, pnl = 7 WHERE id = %s", [pk])

    stored = Trade.objects.get(pk=pk)

    assert (stored.price, stored.pnl) == (Decimal("12.5"), Decimal(7))


def test_plain_decimal_field_of_an_expression_is_exact_too(bot: BotConfig) -> None:
    make_trade(bot, Decimal("0.1"), pnl=Decimal("0.2"))

    total = Trade.objects.values(
        x=ExpressionWrapper(F("price") + F("pnl"), output_field=DecimalField())
    ).get()["x"]

    assert total == Decimal("0.3")


def test_literals_compare_by_value(bot: BotConfig) -> None:
    make_trade(bot, Decimal(1))
    ten, nine = Value(Decimal(10)), Value(Decimal(9))
    found = Trade.objects.annotate(ten=ten)

    assert found.filter(ten__gt=9).exists()
    assert found.filter(ten=Decimal("10.0")).exists()
    assert found.filter(ten__in=[Decimal("10.00")]).exists()
    assert found.filter(ten__range=(9, 11)).exists()
    row = Trade.objects.values(
        high=Greatest(ten, nine), none=NullIf(nine, Value(Decimal("9.0")))
    ).get()
    assert row == {"high": 10, "none": None}


@pytest.mark.parametrize(("price", "is_valid"), [(8, False), (10, True), (100, True)])
def test_check_constraint_is_validated_by_value(
    bot: BotConfig, price: int, is_valid: bool
) -> None:
    constraint = models.CheckConstraint(condition=Q(price__gt=9), name="above_nine")
    instance = Trade(bot_config=bot, price=Decimal(price))

    if is_valid:
        constraint.validate(Trade, instance)
    else:
        with pytest.raises(ValidationError):
            constraint.validate(Trade, instance)


def test_row_made_with_an_expression_is_exact(bot: BotConfig) -> None:
    third = Value(Decimal("0.1")) + Value(Decimal("0.2"))

    pk = make_trade(bot, third, quote_quantity_filled=Decimal(1)).pk

    assert Trade.objects.get(pk=pk).price == Decimal("0.3")


def test_zero_has_no_sign(bot: BotConfig) -> None:
    pk = make_trade(bot, Decimal("-0"), pnl=Decimal("-0.5")).pk

    row = Trade.objects.values_list("price", -F("price"), F("price") * F("pnl"))

    assert [str(value)[0] for value in row.get(pk=pk)] == ["0", "0", "0"]


def test_number_cast_to_text_is_compared_as_text(bot: BotConfig) -> None:
    make_trade(bot, Decimal("9.0"))
    texts = Trade.objects.annotate(text=Cast("price", models.CharField()))

    assert texts.filter(text="9.0").exists()
    assert not texts.filter(text="9").exists()


def test_stored_nan_is_read_as_none(bot: BotConfig) -> None:
    pk = make_trade(bot, Decimal(1)).pk
    with connection.cursor() as cursor:
        cursor.execute("UPDATE trades SET pnl = 'NaN' WHERE id = %s", [pk])

    assert Trade.objects.get(pk=pk).pnl is None


def test_functional_index_on_a_number_can_be_built(bot: BotConfig) -> None:
    index = models.Index(F("price") * 2, name="doubled_price")
    editor = connection.SchemaEditorClass(connection)
    with connection.cursor() as cursor:
        cursor.execute(str(index.create_sql(Trade, editor)))

    make_trade(bot, Decimal("0.1"))

    assert Trade.objects.annotate(x=F("price") * 2).filter(x=Decimal("0.2")).exists()
