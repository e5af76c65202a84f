from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots.bounds import BOUNDS, Bounds
from bots.models import BotConfig, BotState
from tests.admin_data import (
    LONG,
    SMALL,
    Rows,
    admin_url,
    cells_of,
    client_of,
    form_data,
    make_api_key,
    make_rows,
    make_staff,
    make_superuser,
)
from tests.factories import make_bot, make_symbols, make_user
from tradebot.fields import ExactDecimalField

pytestmark = pytest.mark.django_db

DECIMAL_FIELDS = [
    field.name
    for field in BotConfig._meta.fields
    if isinstance(field, ExactDecimalField)
    # What has other bounds could not take the numbers below.
    and BOUNDS[field.name] == Bounds(0)
]


@pytest.fixture
def rows() -> Rows:
    return make_rows()


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


def edit(superuser: Client, bot: BotConfig, **values: str) -> None:
    """Open the form of a bot, type these values and save."""
    path = admin_url("change", bot)
    form = form_data(superuser, path)
    response = superuser.post(path, {**form, **values})
    assert response.status_code == 302, response.context["adminform"].errors


@pytest.mark.alike
@pytest.mark.parametrize(
    "digits",
    [
        "12345678.123456789012345678",
        "0.00000001",
        "0.000000000000000001",
        "0.10",
        "100",
        "123456789012345678901234567890.123456789012345678901234567890",
        "0",
    ],
)
def test_decimals_on_the_form_are_plain_and_saved_as_typed(
    superuser: Client, rows: Rows, digits: str
) -> None:
    edit(superuser, rows.bot, **dict.fromkeys(DECIMAL_FIELDS, digits))

    rows.bot.refresh_from_db()
    for name in DECIMAL_FIELDS:
        assert format(getattr(rows.bot, name), "f") == digits, name
    form = form_data(superuser, admin_url("change", rows.bot))
    assert {form[name][0] for name in DECIMAL_FIELDS} == {digits}


@pytest.mark.alike
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ema_fast", "99999999999"),
        ("leverage", "126"),
        ("leverage", "0"),
        ("ema_fast", "-5"),
        ("stop_loss_perc", "-0.000000000000000001"),
        ("custom_stop_loss", "10.000000000000000001"),
    ],
)
def test_value_out_of_its_bounds_is_refused(
    superuser: Client, rows: Rows, name: str, value: str
) -> None:
    path = admin_url("change", rows.bot)

    response = superuser.post(path, {**form_data(superuser, path), name: value})

    assert response.context["adminform"].errors == {
        name: [f"This must be {BOUNDS[name]}."]
    }


@pytest.mark.alike
def test_bot_that_breaks_bounds_can_be_repaired_field_by_field(
    superuser: Client, rows: Rows
) -> None:
    BotConfig.objects.update(rsi_period=-5, ema_fast=-1)

    edit(superuser, rows.bot, rsi_period="14")

    rows.bot.refresh_from_db()
    assert (rows.bot.rsi_period, rows.bot.ema_fast) == (14, -1)


@pytest.mark.alike
def test_form_sent_unedited_changes_nothing(superuser: Client, rows: Rows) -> None:
    columns = [field.name for field in BotConfig._meta.fields]
    columns.remove("updated_at")
    before = BotConfig.objects.values_list(*columns).get()

    edit(superuser, rows.bot)

    assert BotConfig.objects.values_list(*columns).get() == before
    assert LogEntry.objects.get().get_change_message() == "No fields changed."


@pytest.mark.alike
def test_form_saves_null_where_a_field_is_emptied(
    superuser: Client, rows: Rows
) -> None:
    edit(superuser, rows.bot, initial_capital="", position_type="", api_key="")

    rows.bot.refresh_from_db()
    assert rows.bot.initial_capital is None
    assert rows.bot.position_type is None
    assert rows.bot.api_key is None


@pytest.mark.alike
@pytest.mark.parametrize(
    "text", ["many", "NaN", "Infinity", "1e999999999", "1e-20000", "1,5", "0x10"]
)
def test_decimal_that_is_no_usable_number_is_refused(
    superuser: Client, rows: Rows, text: str
) -> None:
    path = admin_url("change", rows.bot)
    form = form_data(superuser, path)

    response = superuser.post(path, {**form, "initial_capital": text})

    assert response.status_code == 200
    assert "initial_capital" in response.context["adminform"].form.errors
    rows.bot.refresh_from_db()
    assert rows.bot.initial_capital == LONG


@pytest.mark.alike
def test_edit_writes_no_column_that_was_not_edited(
    superuser: Client, rows: Rows
) -> None:
    path = admin_url("change", rows.bot)
    form = form_data(superuser, path)

    with CaptureQueriesContext(connection) as queries:
        superuser.post(path, {**form, "name": "Renamed"})

    (update,) = [
        query["sql"]
        for query in queries
        if query["sql"].startswith('UPDATE "bot_configs"')
    ]
    assert '"name" = ' in update
    assert '"updated_at" = ' in update
    assert update.count(" = ") == 3  # these two and the key
    rows.bot.refresh_from_db()
    assert rows.bot.name == "Renamed"


@pytest.mark.alike
def test_bot_is_not_given_away_by_a_forged_form(superuser: Client, rows: Rows) -> None:
    someone = make_user("someone@example.com")

    edit(superuser, rows.bot, user=str(someone.pk))

    rows.bot.refresh_from_db()
    assert rows.bot.user == rows.owner


@pytest.mark.alike
def test_bot_that_never_was_active_is_activated_and_deactivated(
    superuser: Client,
) -> None:
    make_symbols()
    bot = make_bot(
        make_user(), is_active=None, strategy="ema", position_size_fixed=Decimal(50)
    )

    edit(superuser, bot)
    bot.refresh_from_db()
    assert bot.is_active is None

    edit(superuser, bot, is_active="on")
    bot.refresh_from_db()
    assert bot.is_active is True

    form = form_data(superuser, admin_url("change", bot))
    del form["is_active"]
    superuser.post(admin_url("change", bot), form)
    bot.refresh_from_db()
    assert bot.is_active is False


@pytest.mark.alike
def test_state_of_a_running_bot_is_not_deleted(superuser: Client, rows: Rows) -> None:
    BotConfig.objects.update(is_active=True)
    path = admin_url("delete", rows.state)

    response = superuser.post(path, {"post": "yes"}, follow=True)

    assert "Stop the bot first." in response.content.decode()
    assert BotState.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.alike
def test_key_of_another_user_is_refused(superuser: Client, rows: Rows) -> None:
    foreign = make_api_key(make_user("someone@example.com"))
    path = admin_url("change", rows.bot)
    form = form_data(superuser, path)

    response = superuser.post(path, {**form, "api_key": foreign.pk})

    assert response.status_code == 200
    assert "This API key belongs to another user." in response.content.decode()
    rows.bot.refresh_from_db()
    assert rows.bot.api_key == rows.api_key


@pytest.mark.alike
def test_bot_added_is_stored_stopped(superuser: Client, rows: Rows) -> None:
    path = admin_url("add", BotConfig)
    form = form_data(superuser, path)
    settings = {
        "user": rows.owner.pk,
        "api_key": rows.api_key.pk,
        "name": "Second",
        "symbol": "ETHUSDT",
        "timeframe": "5m",
        "stop_loss_perc": "1.5",
        "take_profit_perc": "0.00000001",
        "ema_fast": 9,
        "ema_slow": 21,
        "rsi_period": 14,
        "rsi_oversold": 30,
        "rsi_overbought": 70,
    }

    response = superuser.post(path, {**form, **settings})

    assert response.status_code == 302, response.context["adminform"].errors
    bot = BotConfig.objects.get(name="Second")
    assert bot.user == rows.owner
    assert bot.api_key == rows.api_key
    assert bot.take_profit_perc == Decimal("0.00000001")
    assert bot.is_active is False
    assert bot.created_at is not None


@pytest.mark.alike
def test_bot_added_without_user_or_with_a_foreign_key_is_refused(
    superuser: Client, rows: Rows
) -> None:
    path = admin_url("add", BotConfig)
    form = form_data(superuser, path)
    someone = make_user("someone@example.com")

    nobodys = superuser.post(path, {**form, "api_key": rows.api_key.pk})
    foreign = superuser.post(
        path, {**form, "api_key": rows.api_key.pk, "user": someone.pk}
    )

    errors = nobodys.context["adminform"].form.errors
    assert "user" in errors
    assert "api_key" not in errors
    assert "api_key" in foreign.context["adminform"].form.errors
    assert BotConfig.objects.count() == 1


@pytest.mark.alike
def test_user_field_completes_e_mail_addresses(superuser: Client, rows: Rows) -> None:
    response = superuser.get(
        "/admin/autocomplete/",
        {
            "term": "OWNER1",
            "app_label": "bots",
            "model_name": "botconfig",
            "field_name": "user",
        },
    )

    assert response.json()["results"] == [
        {"id": str(rows.owner.pk), "text": "owner1@example.com"}
    ]


@pytest.mark.alike
def test_list_shows_null_as_not_active_and_no_status_without_state(
    superuser: Client,
) -> None:
    make_bot(make_user(), is_active=None)

    text = superuser.get(admin_url("changelist", BotConfig)).content.decode()

    assert cells_of(text, "active") == ["close_small"]  # the icon of no
    assert cells_of(text, "status") == ["-"]


@pytest.mark.alike
def test_filter_by_not_active_finds_null(superuser: Client) -> None:
    owner = make_user()
    for active in (True, False, None):
        make_bot(owner, is_active=active)
    path = admin_url("changelist", BotConfig)

    def found(**query: str) -> int:
        count: int = superuser.get(path, query).context["cl"].result_count
        return count

    assert found(is_active="yes") == 1
    assert found(is_active="no") == 2
    assert found() == 3


@pytest.mark.alike
def test_state_shows_all_digits(superuser: Client, rows: Rows) -> None:
    for path in (admin_url("changelist", BotState), admin_url("change", rows.state)):
        text = superuser.get(path).content.decode()

        assert format(LONG, "f") in text
        assert format(SMALL, "f") in text


@pytest.mark.alike
def test_bot_without_state_shows_no_status(superuser: Client) -> None:
    bot = make_bot(make_user())

    for path in (admin_url("changelist", BotConfig), admin_url("change", bot)):
        page = superuser.get(path)

        assert page.status_code == 200
        assert "None" not in page.content.decode()


@pytest.mark.alike
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("name", "ab", "Use at least 3 characters."),
        (
            "name",
            "x" * 256,
            "Ensure this value has at most 255 characters (it has 256).",
        ),
        ("timeframe", "zz", "Choose one of: 1m, 5m, 15m, 30m, 1h, 4h, 1d."),
        (
            "stop_loss_perc",
            f"0.{'0' * 30}1",
            "Ensure that there are no more than 30 decimal places.",
        ),
    ],
)
def test_value_that_the_api_refuses_is_refused(
    superuser: Client, rows: Rows, name: str, value: str, message: str
) -> None:
    path = admin_url("change", rows.bot)

    response = superuser.post(path, {**form_data(superuser, path), name: value})

    assert response.context["adminform"].errors == {name: [message]}


@pytest.mark.alike
def test_bot_with_words_of_the_old_program_can_be_stopped(
    superuser: Client, rows: Rows
) -> None:
    BotConfig.objects.update(is_active=True, strategy="macd", timeframe="2h", name="")

    edit(superuser, rows.bot, is_active="", name="Named now")

    rows.bot.refresh_from_db()
    assert not rows.bot.is_active
    assert (rows.bot.strategy, rows.bot.timeframe) == ("macd", "2h")


@pytest.mark.alike
@pytest.mark.parametrize(
    ("row", "column"),
    [("trade", "price"), ("state", "entry_price"), ("bot", "initial_capital")],
)
def test_row_with_nan_of_the_old_program_can_be_seen(
    superuser: Client, rows: Rows, row: str, column: str
) -> None:
    instance = getattr(rows, row)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {instance._meta.db_table} SET {column} = 'NaN'")  # noqa: S608  # its own names

    for path in (
        admin_url("changelist", type(instance)),
        admin_url("change", instance),
    ):
        assert superuser.get(path).status_code == 200


@pytest.mark.alike
def test_bots_are_stopped_by_the_action_once_it_is_confirmed(
    superuser: Client, rows: Rows
) -> None:
    BotConfig.objects.update(is_active=True)
    BotState.objects.update(status="running")
    path = admin_url("changelist", BotConfig)
    data = {"action": "stop", "_selected_action": [rows.bot.pk]}

    question = superuser.post(path, data)
    assert "Stop these bots?" in question.content.decode()
    rows.bot.refresh_from_db()
    assert rows.bot.is_active is True

    done = superuser.post(path, {**data, "post": "yes"}, follow=True)
    assert "Stopped: 1." in done.content.decode()
    rows.bot.refresh_from_db()
    assert rows.bot.is_active is False
    assert BotState.objects.get(pk=rows.bot.pk).status == "stopped"
    assert LogEntry.objects.get().get_change_message() == "Changed Active."


@pytest.mark.alike
def test_bots_are_not_stopped_by_who_may_only_see_them(rows: Rows) -> None:
    BotConfig.objects.update(is_active=True)
    reader = client_of(make_staff("view_botconfig"))
    data = {"action": "stop", "_selected_action": [rows.bot.pk], "post": "yes"}

    reader.post(admin_url("changelist", BotConfig), data)

    rows.bot.refresh_from_db()
    assert rows.bot.is_active is True
