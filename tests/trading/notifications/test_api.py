"""The caller's webhook, settings and list of notifications."""

from __future__ import annotations

import datetime as dt

import pytest
from django.test import Client, override_settings
from django.utils import timezone

from accounts.models import User
from apikeys import crypto
from tests.admin_data import admin_url, client_of, make_staff, make_superuser
from tests.clients import JSONClient, broken_fields, read, read_problem
from tests.factories import make_notification
from trading.notifications.models import CHOSEN_KINDS, Notification, Webhook

pytestmark = [pytest.mark.alike, pytest.mark.django_db]

HOOK = "/notifications/webhook"
URL = "https://receiver.example.com/hook"


def test_secret_is_shown_once_and_is_the_one_that_is_stored(
    api: JSONClient, user: User
) -> None:
    made = read(api.send("PUT", HOOK, {"url": URL}), 201)
    assert made["url"] == URL
    assert made["is_active"] is True
    assert made["failed_at"] is None
    assert crypto.decrypt(user.webhook.encrypted_secret) == made["secret"]

    shown = read(api.send("GET", HOOK))
    assert "secret" not in shown
    assert made == {**shown, "secret": made["secret"]}

    again = read(api.send("PUT", HOOK, {"url": URL, "is_active": False}))
    assert again == {**shown, "is_active": False, "secret": None}

    rolled = read(api.send("PUT", HOOK, {"url": URL, "roll_secret": True}))
    assert rolled["secret"] not in (None, made["secret"])
    assert rolled["is_active"] is False, "what is left out stays"
    assert rolled["secret"] not in api.send("GET", HOOK).content.decode()


def test_webhook_that_is_deleted_is_gone(api: JSONClient) -> None:
    read_problem(api.send("GET", HOOK), 404)
    read(api.send("PUT", HOOK, {"url": URL}), 201)

    assert api.send("DELETE", HOOK).status_code == 204

    for method, path in (("GET", HOOK), ("DELETE", HOOK), ("POST", f"{HOOK}/test")):
        read_problem(api.send(method, path), 404)


@pytest.mark.parametrize(
    "url",
    [
        *(
            None,
            "",
            5,
            [],
            "nonsense",
            "http://receiver.example.com",
            "https://10.0.0.1",
        ),
        "https://localhost:8443/",
        *("https://127.0.0.1:8443/", "https://[::1]", "https://user@example.com/"),
    ],
)
def test_url_that_may_not_be_sent_to_is_refused(api: JSONClient, url: object) -> None:
    assert broken_fields(api.send("PUT", HOOK, {"url": url})) == {"url"}
    assert not Webhook.objects.exists()


def test_refusal_of_a_url_is_told_in_turkish(api: JSONClient) -> None:
    response = api.send(
        "PUT", HOOK, {"url": "https://10.0.0.1"}, HTTP_ACCEPT_LANGUAGE="tr"
    )

    (error,) = read_problem(response, 422)["errors"]
    assert error["code"] == "url"
    assert error["message"].startswith("Sunucu genel internette değil")


def test_test_is_queued_one_at_a_time(api: JSONClient, user: User) -> None:
    read(api.send("PUT", HOOK, {"url": URL}), 201)

    queued = read(api.send("POST", f"{HOOK}/test"), 202)

    assert (queued["kind"], queued["channel"]) == ("test", "webhook")
    read_problem(api.send("POST", f"{HOOK}/test"), 409)
    Notification.objects.update(next_try_at=None, sent_at=timezone.now())
    read(api.send("POST", f"{HOOK}/test"), 202)
    listed = read(api.send("GET", "/notifications/"))
    assert [row["id"] for row in listed] == [queued["id"] + 1, queued["id"]]


def test_test_of_a_webhook_that_is_off_is_a_conflict(api: JSONClient) -> None:
    read(api.send("PUT", HOOK, {"url": URL, "is_active": False}), 201)

    read_problem(api.send("POST", f"{HOOK}/test"), 409)

    assert not Notification.objects.exists()


def test_settings_are_the_defaults_until_they_are_chosen(api: JSONClient) -> None:
    path = "/notifications/settings"
    before = read(api.send("GET", path))
    assert before == {
        "email_kinds": ["bot_error", "bot_paused", "trading_halted"],
        "webhook_kinds": CHOSEN_KINDS,
        "language": "en",
    }

    changed = {"email_kinds": ["bot_error", "bot_error"], "language": "tr"}
    after = read(api.send("PUT", path, changed))

    assert after == {**before, "email_kinds": ["bot_error"], "language": "tr"}
    assert read(api.send("GET", path)) == after


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("email_kinds", None),
        ("email_kinds", "bot_error"),
        ("email_kinds", {}),
        ("email_kinds", 5),
        ("webhook_kinds", ["test"]),
        ("webhook_kinds", ["nonsense"]),
        ("webhook_kinds", [None]),
        ("webhook_kinds", [[]]),
        ("language", "de"),
    ],
)
def test_settings_that_are_none_are_refused(
    api: JSONClient, name: str, value: object
) -> None:
    fields = broken_fields(api.send("PUT", "/notifications/settings", {name: value}))

    assert {field.partition(".")[0].partition("[")[0] for field in fields} == {name}


def test_list_is_filtered_and_paged(api: JSONClient, user: User) -> None:
    now = timezone.now()
    first = make_notification(user, bot_config_id=7, channel="email")
    make_notification(user, kind="order_filled")
    third = make_notification(
        user, given_up_at=now, next_try_at=None, last_error="no", attempts=3
    )
    Notification.objects.filter(pk=first.pk).update(created_at=now - dt.timedelta(2))

    def ids(query: str) -> list[int]:
        return [row["id"] for row in read(api.send("GET", f"/notifications/?{query}"))]

    assert ids("bot=7") == [first.pk]
    assert ids("channel=email") == [first.pk]
    assert ids("kind=bot_error") == [third.pk, first.pk]
    assert ids(f"end_date={now - dt.timedelta(1):%Y-%m-%d}") == [first.pk]
    assert ids("limit=1&offset=1") == [first.pk + 1]
    read_problem(api.send("GET", "/notifications/?kind=nonsense"), 422)
    row = read(api.send("GET", "/notifications/?limit=1"))[0]
    assert row == {
        "id": third.pk,
        "kind": "bot_error",
        "channel": "webhook",
        "bot_config_id": None,
        "created_at": row["created_at"],
        "attempts": 3,
        "next_try_at": None,
        "sent_at": None,
        "given_up_at": now.isoformat(),
        "last_error": "no",
    }


@override_settings(WEBHOOK_ALLOWED_NETWORKS=[])
def test_webhooks_of_two_users_are_apart(api: JSONClient, stranger: JSONClient) -> None:
    read(api.send("PUT", HOOK, {"url": URL}), 201)
    read(stranger.send("PUT", HOOK, {"url": f"{URL}/other"}), 201)

    assert read(api.send("GET", HOOK))["url"] == URL
    assert api.send("DELETE", HOOK).status_code == 204
    assert read(stranger.send("GET", HOOK))["url"] == f"{URL}/other"


@pytest.mark.parametrize("permitted", [True, False])
def test_given_up_is_tried_again_by_who_may_change_notifications(
    user: User, permitted: bool
) -> None:
    row = make_notification(user, given_up_at=timezone.now(), next_try_at=None)
    permissions = ["view_notification", "change_notification"]
    staff: Client = client_of(make_staff(*permissions[: 1 + permitted]))

    staff.post(
        admin_url("changelist", Notification),
        {"action": "retry", "_selected_action": row.pk},
    )

    row.refresh_from_db()
    assert (row.next_try_at is not None) == permitted
    assert (row.given_up_at is None) == permitted


@pytest.mark.parametrize("state", ["waiting", "sent", "given up"])
def test_admin_lists_by_state(user: User, state: str) -> None:
    now = timezone.now()
    rows = {
        "waiting": make_notification(user),
        "sent": make_notification(user, sent_at=now, next_try_at=None),
        "given up": make_notification(user, given_up_at=now, next_try_at=None),
    }

    page = client_of(make_superuser()).get(
        admin_url("changelist", Notification), {"state": state}
    )

    assert list(page.context["cl"].result_list) == [rows[state]]
