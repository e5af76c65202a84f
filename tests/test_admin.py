"""Every page of the admin answers, shows no secret, and asks few queries."""

from __future__ import annotations

import html
import logging
import re

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, models
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import User
from backtests.models import Backtest, BacktestRun, Sweep
from bots.models import BotConfig, BotState
from tests.admin_data import (
    MODELS,
    RESET_TOKEN,
    Rows,
    admin_url,
    client_of,
    make_rows,
    make_staff,
    make_superuser,
    secrets_of,
)
from tradebot.adminsite.middleware import UnreadableInputMiddleware
from tradebot.models import SchemaEvent
from trading.models import Trade
from trading.notifications.models import Notification, Webhook

pytestmark = pytest.mark.django_db

RECORDS = (BotState, Trade, Backtest, BacktestRun, Sweep, Notification, Webhook)
READER = [f"view_{model._meta.model_name}" for model in MODELS]
each_model = pytest.mark.parametrize(
    "model", MODELS, ids=[model.__name__ for model in MODELS]
)
each_record = pytest.mark.parametrize(
    "model", RECORDS, ids=[model.__name__ for model in RECORDS]
)


@pytest.fixture
def rows() -> Rows:
    return make_rows()


@pytest.fixture
def superuser() -> Client:
    return client_of(make_superuser())


def row_of(rows: Rows, model: type[models.Model]) -> models.Model:
    return next(row for row in rows.all if isinstance(row, model))


def assert_shows(client: Client, path: str, rows: Rows) -> str:
    """Open a page; return its text."""
    response = client.get(path)
    assert response.status_code == 200, f"{path}: {response.status_code}"
    text = html.unescape(response.content.decode())
    shown = [secret for secret in secrets_of(rows) if secret in text]
    assert not shown, f"{path} shows {shown}"
    return text


@pytest.mark.alike
def test_site_shows_the_name_of_the_program(superuser: Client) -> None:
    text = superuser.get(reverse("admin:index")).content.decode()

    assert re.search(r"<title>\s*Administration \| TradeBot</title>", text)
    assert "Django administration" not in text


@pytest.mark.alike
def test_index_with_rows_lists_every_model(superuser: Client, rows: Rows) -> None:
    text = assert_shows(superuser, reverse("admin:index"), rows)

    for model in MODELS:
        assert admin_url("changelist", model) in text


@pytest.mark.alike
@pytest.mark.parametrize("app", sorted({model._meta.app_label for model in MODELS}))
def test_app_index_with_rows_answers(superuser: Client, rows: Rows, app: str) -> None:
    assert_shows(superuser, reverse("admin:app_list", args=[app]), rows)


@each_model
@pytest.mark.alike
@pytest.mark.parametrize("reader", ["superuser", "viewer"])
def test_pages_of_a_row_show_no_secret(
    model: type[models.Model], reader: str, rows: Rows
) -> None:
    client = client_of(
        make_superuser() if reader == "superuser" else make_staff(*READER)
    )
    row = row_of(rows, model)

    listed = assert_shows(client, admin_url("changelist", model), rows)
    assert admin_url("change", row) in listed
    assert_shows(client, admin_url("change", row), rows)
    assert_shows(client, admin_url("history", row), rows)


@each_model
@pytest.mark.alike
def test_log_of_the_pages_of_a_row_holds_no_secret_at_debug_either(
    model: type[models.Model],
    superuser: Client,
    rows: Rows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # As LOG_LEVEL=DEBUG sets them.
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "django")

    for page in ("change", "delete", "history"):
        superuser.get(admin_url(page, row_of(rows, model)))

    logged = [secret for secret in secrets_of(rows) if secret in caplog.text]
    assert not logged


@each_model
@pytest.mark.alike
def test_delete_page_of_a_row_shows_no_secret(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    assert_shows(superuser, admin_url("delete", row_of(rows, model)), rows)


@pytest.mark.long
@each_model
@pytest.mark.alike
def test_changelist_follows_every_filter_order_and_date(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    path = admin_url("changelist", model)
    text = assert_shows(superuser, path, rows)

    queries = sorted(set(re.findall(r'href="(\?[^"]*)"', text)))
    assert len(queries) > len(admin.site.get_model_admin(model).get_list_filter(None))  # type: ignore[arg-type]
    for query in [*queries, "?_facets=True"]:
        assert_shows(superuser, path + query, rows)


@each_model
@pytest.mark.alike
def test_changelist_search_finds_rows_by_the_owner(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    path = admin_url("changelist", model)

    found = assert_shows(superuser, f"{path}?q=OWNER1@example", rows)
    assert admin_url("change", row_of(rows, model)) in found
    missed = assert_shows(superuser, f"{path}?q=nobody", rows)
    assert admin_url("change", row_of(rows, model)) not in missed


@pytest.mark.long
@each_model
@pytest.mark.alike
def test_changelist_search_for_a_secret_finds_nothing(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    for secret in secrets_of(rows):
        response = superuser.get(admin_url("changelist", model), {"q": secret})

        assert response.context["cl"].result_count == 0, secret


@each_model
@pytest.mark.alike
@pytest.mark.parametrize(
    "lookup",
    [
        "password__startswith",
        "reset_token__startswith",
        "user__password__startswith",
        "user__reset_token__startswith",
        "encrypted_api_key__startswith",
        "encrypted_secret_key__startswith",
        "encrypted_secret__startswith",
        "url__startswith",
        "webhook__url__startswith",
        "user__webhook__encrypted_secret__startswith",
        "api_key__encrypted_secret_key__startswith",
        "bot_config__user__reset_token__startswith",
        "api_keys__encrypted_secret_key__startswith",
        "bot_configs__api_key__encrypted_secret_key__startswith",
    ],
)
def test_changelist_does_not_tell_secrets_by_look_ups(
    model: type[models.Model], lookup: str, superuser: Client, rows: Rows
) -> None:
    response = superuser.get(admin_url("changelist", model), {lookup: "x"})

    # 400: refused; 302: no such look-up.
    assert response.status_code in (302, 400)


@pytest.mark.alike
@pytest.mark.parametrize(
    "path",
    [
        "/admin/bots/botconfig/?symbol=%00",
        "/admin/trading/trade/?price__exact=1E9999999",
        "/admin/autocomplete/?app_label=bots&model_name=botconfig&field_name=user"
        "&term=%00",
    ],
)
def test_page_asked_for_what_no_column_holds_is_refused(
    path: str, superuser: Client, rows: Rows
) -> None:
    # SQLite takes a NUL and any number.
    status = 400 if connection.vendor == "postgresql" else 200
    assert superuser.get(path).status_code == status


@pytest.mark.alike
@pytest.mark.parametrize("view", ["change", "delete", "history"])
def test_page_of_an_id_beyond_every_column_is_missing(
    view: str, superuser: Client
) -> None:
    response = superuser.get(f"/admin/bots/botstate/{'9' * 25}/{view}/")

    # SQLite cannot even look for it.
    status = 302 if connection.vendor == "postgresql" else 400
    assert response.status_code == status


@each_model
@pytest.mark.alike
@pytest.mark.parametrize("pk", ["x", "\0", "9" * 25])
def test_action_on_what_is_no_id_deletes_nothing(
    model: type[models.Model], pk: str, superuser: Client, rows: Rows
) -> None:
    response = superuser.post(
        admin_url("changelist", model),
        {"action": "delete_selected", "_selected_action": pk, "post": "yes"},
    )

    # 302 where PostgreSQL has looked for it.
    assert response.status_code in (302, 400)
    assert model._default_manager.exists()


@pytest.mark.alike
def test_new_bot_of_a_user_who_is_no_number_is_refused(superuser: Client) -> None:
    # The form fails while it is shown again.
    response = superuser.post(admin_url("add", BotConfig), {"user": "x"})

    assert response.status_code == 400


@pytest.mark.alike
def test_fault_elsewhere_stays_one_of_the_server(rf: RequestFactory) -> None:
    middleware = UnreadableInputMiddleware(lambda request: HttpResponse())

    for path, error in (("/admin/", KeyError()), ("/api/v1/trades", ValueError())):
        middleware.process_exception(rf.get(path), error)


@each_model
@pytest.mark.alike
def test_changelist_asks_the_same_number_of_queries_for_more_rows(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    path = admin_url("changelist", model)
    superuser.get(path)  # fills what is cached for the process
    with CaptureQueriesContext(
        connection,
    ) as few:
        superuser.get(path)

    for number in range(2, 8):
        make_rows(number)
    with CaptureQueriesContext(connection) as many:
        response = superuser.get(path)

    assert response.context["cl"].result_count >= 7
    assert len(many) == len(few)


@each_record
@pytest.mark.alike
def test_record_is_neither_added_nor_changed_by_a_superuser(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    row = row_of(rows, model)

    assert superuser.get(admin_url("add", model)).status_code == 403
    assert superuser.post(admin_url("change", row), {}).status_code == 403
    assert (
        'name="_save"' not in superuser.get(admin_url("change", row)).content.decode()
    )


@each_record
@pytest.mark.alike
def test_record_is_deleted_by_a_superuser(
    model: type[models.Model], superuser: Client, rows: Rows
) -> None:
    superuser.post(admin_url("delete", row_of(rows, model)), {"post": "yes"})

    assert not model._default_manager.exists()
    assert BotConfig.objects.exists()


@each_record
@pytest.mark.alike
def test_record_is_not_deleted_by_staff_with_the_permission(
    model: type[models.Model], rows: Rows
) -> None:
    name = model._meta.model_name
    staff = client_of(make_staff(f"view_{name}", f"delete_{name}"))

    response = staff.post(admin_url("delete", row_of(rows, model)), {"post": "yes"})

    assert response.status_code == 403
    assert model._default_manager.exists()


@each_model
@pytest.mark.alike
def test_model_is_closed_to_staff_without_permission(
    model: type[models.Model], rows: Rows
) -> None:
    staff = client_of(make_staff())

    assert staff.get(admin_url("changelist", model)).status_code == 403
    assert staff.get(admin_url("change", row_of(rows, model))).status_code == 403


@each_model
@pytest.mark.alike
def test_model_is_closed_to_the_owner_of_the_rows(
    model: type[models.Model], rows: Rows
) -> None:
    response = client_of(rows.owner).get(admin_url("changelist", model))

    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))


@pytest.mark.alike
def test_user_with_rows_of_every_model_is_deleted_with_them(
    superuser: Client, rows: Rows
) -> None:
    make_rows(2)

    superuser.post(admin_url("delete", rows.owner), {"post": "yes"})

    assert not User.objects.filter(pk=rows.owner.pk).exists()
    for model in MODELS[1:]:
        assert model._default_manager.count() == 1


@pytest.mark.alike
def test_users_are_deleted_together_by_the_action(
    superuser: Client, rows: Rows
) -> None:
    data = {"action": "delete_selected", "_selected_action": [rows.owner.pk]}

    confirmation = superuser.post(admin_url("changelist", User), data)
    assert RESET_TOKEN not in confirmation.content.decode()
    superuser.post(admin_url("changelist", User), {**data, "post": "yes"})

    assert not User.objects.filter(pk=rows.owner.pk).exists()
    assert not Trade.objects.exists()


@pytest.mark.alike
def test_pages_of_the_admin_alone_run_no_inline_script(client: Client) -> None:
    policy = client.get(reverse("admin:login"))["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "script-src 'self' 'unsafe-eval';" in policy
    assert "Content-Security-Policy" not in client.get("/health").headers


@pytest.mark.alike
def test_sidebar_shows_what_its_reader_may_see_and_no_more() -> None:
    reader = client_of(make_staff("view_trade"))

    text = reader.get(reverse("admin:index")).content.decode()

    assert f'href="{admin_url("changelist", Trade)}"' in text
    for model in (User, BotConfig, SchemaEvent, Group):
        assert admin_url("changelist", model) not in text
    assert reverse("admin:tradebot_schema") not in text
