"""The small fields store what is documented and read back what was stored."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import User
from apikeys.models import APIKey
from backtests.models import Backtest
from bots.models import BotConfig, BotState
from tests.factories import make_backtest, make_bot, make_trade, make_user
from tradebot.constraints import ForeignKeyConstraint
from trading.models import Trade

pytestmark = pytest.mark.django_db

ISTANBUL = dt.timezone(dt.timedelta(hours=3))


def stored(table: str, column: str, as_type: str = "varchar") -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT CAST({column} AS {as_type}) FROM {table}")  # noqa: S608
        (value,) = cursor.fetchone()
    assert isinstance(value, str)
    return value


@pytest.fixture
def bot() -> BotConfig:
    return make_bot(make_user())


@pytest.mark.parametrize(
    "when",
    [
        dt.datetime(2025, 5, 23, 12, 0, 0, 123456, tzinfo=dt.UTC),
        dt.datetime(2025, 5, 23, 15, 0, 0, 123456, tzinfo=ISTANBUL),
    ],
)
def test_time_without_zone_is_stored_and_read_as_utc(
    bot: BotConfig, when: dt.datetime
) -> None:
    make_trade(bot, timestamp=when)

    read = Trade.objects.get().timestamp

    assert read == when
    assert read is not None
    assert read.tzinfo == dt.UTC
    assert stored("trades", '"timestamp"').startswith("2025-05-23 12:00:00.123456")


def test_time_without_zone_is_found_by_time_and_date(bot: BotConfig) -> None:
    make_trade(bot, timestamp=dt.datetime(2025, 5, 23, 23, 30, tzinfo=dt.UTC))
    later = dt.datetime(2025, 5, 24, 2, 29, tzinfo=ISTANBUL)  # 23:29 UTC the day before

    assert Trade.objects.filter(timestamp__gt=later).exists()
    assert Trade.objects.filter(timestamp__date=dt.date(2025, 5, 23)).exists()
    assert not Trade.objects.filter(timestamp__year=2024).exists()
    assert list(Trade.objects.datetimes("timestamp", "day")) == [
        dt.datetime(2025, 5, 23, tzinfo=dt.UTC)
    ]


def test_trade_without_a_time_gets_the_databases(bot: BotConfig) -> None:
    before = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)

    made = make_trade(bot)

    assert made.timestamp is not None
    assert made.timestamp > before
    assert Trade.objects.get().timestamp == made.timestamp


@pytest.mark.parametrize(
    "value",
    [
        {"b": 1, "a": [True, None, 0.1, "ü ₿"], "b2": {}},
        [],
        "text",
        "[not a list]",
        "12",
        12,
        0.1,
        True,
        {},
    ],
)
def test_json_comes_back_as_it_was(bot: BotConfig, value: Any) -> None:
    make_backtest(bot.user, parameters=value)

    assert Backtest.objects.get().parameters == value
    assert Backtest.objects.values_list("parameters", flat=True).get() == value


def test_json_value_is_read_by_its_path(bot: BotConfig) -> None:
    make_backtest(bot.user, parameters={"fees": {"maker": "low"}, "n": [1, 2]})

    row = Backtest.objects.values("parameters__fees__maker", "parameters__n__1").get()

    assert row == {"parameters__fees__maker": "low", "parameters__n__1": 2}


def test_json_null_and_no_json_are_told_apart(bot: BotConfig) -> None:
    make_backtest(bot.user, daily_results=None)

    assert Backtest.objects.filter(daily_results__isnull=True).exists()
    assert Backtest.objects.get().daily_results is None


def test_rows_are_written_in_bulk(bot: BotConfig) -> None:
    keys = [
        APIKey(pk=number, user=bot.user, encrypted_api_key="a")
        for number in (1001, 1002)
    ]
    APIKey.objects.bulk_create(keys)
    runs = [make_backtest(bot.user), make_backtest(bot.user)]
    for run in runs:
        run.parameters = {"x": [1]}
        run.pk = None
    Backtest.objects.bulk_create(runs)

    assert APIKey.objects.filter(pk__in=[1001, 1002]).count() == 2
    assert Backtest.objects.order_by("-id")[0].parameters == {"x": [1]}


def test_json_is_found_by_its_key(bot: BotConfig) -> None:
    make_backtest(bot.user, parameters={"b": 1, "a": 2})

    assert Backtest.objects.filter(parameters__has_key="a").exists()


def test_foreign_key_is_checked(bot: BotConfig) -> None:
    BotState.objects.bulk_create([BotState(bot_config_id=bot.pk + 1)])

    with pytest.raises(IntegrityError), transaction.atomic():
        connection.check_constraints()  # as at the commit
    BotState.objects.all().delete()


def test_deleting_a_user_deletes_what_hangs_on_it(bot: BotConfig) -> None:
    key = APIKey.objects.create(user=bot.user)
    BotConfig.objects.update(api_key=key)
    BotState.objects.create(bot_config=bot)
    make_trade(bot)

    bot.user.delete()

    assert not any(
        model.objects.exists() for model in (APIKey, BotConfig, BotState, Trade)
    )


def test_deleting_an_api_key_leaves_its_bots(bot: BotConfig) -> None:
    key = APIKey.objects.create(user=bot.user)
    BotConfig.objects.update(api_key=key)

    key.delete()

    bot.refresh_from_db()
    assert bot.api_key is None


def test_foreign_key_constraint_survives_a_migration_file() -> None:
    constraint = ForeignKeyConstraint(field="user", name="x_fkey")
    path, args, kwargs = constraint.deconstruct()

    assert path == "tradebot.constraints.ForeignKeyConstraint"
    assert ForeignKeyConstraint(*args, **kwargs) == constraint
    assert ForeignKeyConstraint(field="other", name="x_fkey") != constraint


def test_row_inserted_by_plain_sql_gets_its_defaults() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users (email, hashed_password) VALUES ('raw@example.com', '')"
        )

    user = User.objects.get()

    assert user.created_at is not None
    assert (user.is_staff, user.is_superuser, user.is_active) == (False, False, True)
