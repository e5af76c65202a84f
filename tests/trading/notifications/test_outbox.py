"""What is told is written with what it tells of."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from tests.factories import make_bot, make_notification
from trading.notifications.models import CHOSEN_KINDS, Kind, Notification
from trading.notifications.outbox import (
    notifications_retry,
    notify,
    settings_update,
    webhook_save,
)

pytestmark = pytest.mark.django_db

NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"
URL = {"url": "https://receiver.example.com/"}
FILL: dict[str, Any] = {
    "symbol": "BTCUSDT",
    "side": "BUY",
    "price": Decimal("12345678.123456789012345678"),
    "quantity": Decimal("0.10"),
    "order_id": "tb-1",
    "timestamp": dt.datetime(
        2025, 5, 23, 3, 2, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=3))
    ),
}


@pytest.fixture(autouse=True)
def _mail_is_on() -> Any:
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend"):
        yield


def queued() -> list[tuple[str, str]]:
    return list(Notification.objects.order_by("pk").values_list("kind", "channel"))


def test_payload_keeps_every_digit_and_times_are_utc(user: User) -> None:
    webhook_save(user=user, values=URL)

    notify(user=user, kind=Kind.ORDER_FILLED, payload=FILL, bot_id=7)

    row = Notification.objects.get()
    assert row.payload == (
        '{"symbol":"BTCUSDT","side":"BUY","price":12345678.123456789012345678,'
        '"quantity":0.10,"order_id":"tb-1",'
        '"timestamp":"2025-05-23T00:02:01.000005+00:00"}'
    )
    assert (row.bot_config_id, row.attempts, row.user) == (7, 0, user)
    assert row.next_try_at is not None
    assert row.next_try_at <= timezone.now()


@pytest.mark.parametrize("with_webhook", [False, True])
def test_defaults_are_alarms_by_mail_and_all_by_webhook(
    user: User, with_webhook: bool
) -> None:
    if with_webhook:
        webhook_save(user=user, values=URL)

    for kind in CHOSEN_KINDS:
        notify(user=user, kind=kind, payload={})

    mailed = {kind for kind, channel in queued() if channel == "email"}
    assert mailed == {"bot_error", "bot_paused", "trading_halted"}
    posted = [kind for kind, channel in queued() if channel == "webhook"]
    assert posted == (CHOSEN_KINDS if with_webhook else [])


def test_user_chooses_what_is_told(user: User) -> None:
    webhook_save(user=user, values=URL)
    settings_update(user=user, values={"email_kinds": ["order_filled"]})
    settings_update(user=user, values={"webhook_kinds": []})

    for kind in CHOSEN_KINDS:
        notify(user=user, kind=kind, payload={})

    assert queued() == [("order_filled", "email")]


def test_nothing_is_queued_for_a_webhook_that_is_off_or_without_a_mail_server(
    user: User,
) -> None:
    webhook_save(user=user, values={**URL, "is_active": False})

    with override_settings(
        EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend"
    ):
        notify(user=user, kind=Kind.BOT_ERROR, payload={})

    assert queued() == []


def test_nothing_is_told_of_what_is_rolled_back(user: User) -> None:
    with transaction.atomic():
        make_bot(user)
        notify(user=user, kind=Kind.BOT_ERROR, payload={})
        assert queued() == [("bot_error", "email")]
        transaction.set_rollback(True)

    assert queued() == []
    assert not user.bot_configs.exists()


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (1.5, TypeError),
        ([], TypeError),
        ({"a": 1}, TypeError),
        (Decimal("NaN"), ValueError),
        (Decimal("Infinity"), ValueError),
        (dt.datetime(2025, 1, 1), ValueError),  # noqa: DTZ001  # without a zone
    ],
)
def test_value_that_would_be_told_wrongly_is_refused(
    user: User, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        notify(user=user, kind=Kind.BOT_ERROR, payload={"value": value})

    assert queued() == []


def test_notify_takes_two_queries(user: User) -> None:
    webhook_save(user=user, values=URL)

    with CaptureQueriesContext(connection) as captured:
        notify(user=user, kind=Kind.BOT_ERROR, payload={"reason": "x"})

    assert len(queued()) == 2
    assert len(captured) == 2


def test_secret_is_another_one_only_when_asked_for(user: User) -> None:
    webhook, first, is_new = webhook_save(user=user, values=URL)
    assert is_new
    assert first is not None
    assert first not in webhook.encrypted_secret

    assert webhook_save(user=user, values={"is_active": False})[1:] == (None, False)
    webhook, second, is_new = webhook_save(user=user, values=URL, roll_secret=True)

    assert second not in (None, first)
    assert not is_new
    assert not webhook.is_active, "what is left out stays"


def test_retry_takes_what_was_given_up_alone(user: User) -> None:
    now = timezone.now()
    given_up = make_notification(user, given_up_at=now, next_try_at=None)
    sent = make_notification(user, sent_at=now, next_try_at=None)
    waiting = make_notification(user, next_try_at=now + dt.timedelta(hours=1))

    assert notifications_retry(notifications=Notification.objects.all(), now=now) == 1

    rows = Notification.objects.in_bulk()
    assert rows[given_up.pk].next_try_at == now
    assert rows[given_up.pk].given_up_at is None
    assert rows[sent.pk].next_try_at is None
    assert rows[waiting.pk].next_try_at == now + dt.timedelta(hours=1)
