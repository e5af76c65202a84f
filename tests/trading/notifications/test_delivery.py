"""Notifications reach real servers on loopback, whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import re
import signal
import smtplib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import override_settings
from django.utils import timezone

from accounts.models import User
from apikeys import crypto
from tests.databases import as_default, url_of
from tests.factories import make_notification, make_user
from tests.processes import ROOT, SECRETS, environment
from tests.receiver import Receiver, receiver
from tests.smtp import MailServer, mail_server
from trading.notifications import delivery
from trading.notifications.delivery import (
    CLAIMED_FOR,
    GIVE_UP_AFTER,
    deliver_due,
    retry_delay,
    signature,
)
from trading.notifications.models import CHOSEN_KINDS, Kind, Notification, Webhook
from trading.notifications.outbox import (
    notifications_retry,
    notify,
    settings_update,
    webhook_save,
)

HOUR = dt.timedelta(hours=1)
LATER = dt.timedelta(seconds=40)  # than the first delay


@pytest.fixture
def server() -> Iterator[Receiver]:
    networks = [ipaddress.ip_network("127.0.0.0/8")]
    with receiver() as server, override_settings(WEBHOOK_ALLOWED_NETWORKS=networks):
        yield server


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with (
        mail_server() as server,
        override_settings(
            EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend",
            EMAIL_HOST="127.0.0.1",
            EMAIL_PORT=server.server_address[1],
            EMAIL_TIMEOUT=2,
            DEFAULT_FROM_EMAIL="TradeBot <bot@example.com>",
        ),
    ):
        yield server


def hook(user: User, server: Receiver) -> str:
    """Give a user this webhook; return its secret."""
    _, secret, _ = webhook_save(user=user, values={"url": server.url()})
    assert secret is not None
    return secret


def tell(user: User, kind: Kind = Kind.ORDER_FILLED, **payload: Any) -> None:
    notify(user=user, kind=kind, payload=payload, bot_id=3)


def only() -> Notification:
    return Notification.objects.get()


def bodies(server: Receiver) -> list[Any]:
    return [json.loads(each.body, parse_float=Decimal) for each in server.received]


@pytest.mark.django_db
def test_webhook_gets_what_happened_with_all_digits_and_the_signature(
    user: User, server: Receiver
) -> None:
    secret = hook(user, server)
    price = Decimal("12345678.123456789012345678")
    filled_at = dt.datetime(2025, 5, 23, 1, 2, 3, tzinfo=dt.UTC)
    tell(
        user,
        symbol="BTCUSDT",
        side="BUY",
        price=price,
        quantity=Decimal("0.10"),
        order_id="tb-3-1",
        timestamp=filled_at,
    )

    assert deliver_due(timezone.now()) == 1

    row = only()
    (request,) = server.received
    assert bodies(server) == [
        {
            "id": row.pk,
            "kind": "order_filled",
            "bot_config_id": 3,
            "timestamp": "2025-05-23T01:02:03+00:00",
            "symbol": "BTCUSDT",
            "side": "BUY",
            "price": price,
            "quantity": Decimal("0.10"),
            "order_id": "tb-3-1",
        }
    ]
    assert b'"price":12345678.123456789012345678,"quantity":0.10' in request.body
    assert request.headers["X-TradeBot-Id"] == str(row.pk)
    assert request.headers["Content-Type"] == "application/json"
    is_ours = _as_the_readme_says()
    header = request.headers["X-TradeBot-Signature"]
    assert is_ours(secret, header, request.body)
    assert not is_ours(secret, header, request.body + b" ")
    assert not is_ours("another", header, request.body)
    assert (row.sent_at is not None, row.next_try_at, row.attempts) == (True, None, 1)


def _as_the_readme_says() -> Callable[[str, str, bytes], bool]:
    (block,) = re.findall(
        r"<!-- tests/trading/notifications/test_delivery.py runs this block -->\n"
        r"```python\n(.*?)```",
        (ROOT / "README.md").read_text(),
        re.DOTALL,
    )
    names: dict[str, Any] = {}
    exec(block, names)  # noqa: S102  # our own
    is_ours: Callable[[str, str, bytes], bool] = names["is_ours"]
    return is_ours


def test_signature_is_of_the_time_too() -> None:
    now = dt.datetime.fromtimestamp(1_700_000_000.9, dt.UTC)

    # echo -n '1700000000.{}' | openssl dgst -sha256 -hmac secret
    assert signature(secret="secret", body=b"{}", now=now) == (
        "t=1700000000,v1="
        "b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    )


@pytest.mark.django_db
def test_receiver_that_is_down_then_up_gets_it_once(
    user: User, server: Receiver
) -> None:
    hook(user, server)
    tell(user)
    now = timezone.now()
    server.answer.status = 503

    assert deliver_due(now) == 0
    assert deliver_due(now) == 0, "not due yet"
    assert len(server.received) == 1
    row, webhook = only(), Webhook.objects.get()
    assert row.last_error == "It was answered with 503, not with 2xx."
    assert webhook.last_error == row.last_error
    assert webhook.failed_at is not None

    server.answer.status = 200
    assert deliver_due(now + LATER) == 1
    assert deliver_due(now + HOUR) == 0
    assert [body["id"] for body in bodies(server)] == [row.pk] * 2
    row, webhook = only(), Webhook.objects.get()
    assert (row.attempts, row.last_error) == (2, None)
    assert (webhook.failed_at, webhook.last_error) == (None, None)


@pytest.mark.django_db
def test_failures_are_given_up_after_a_day_and_tried_again_when_asked(
    user: User, server: Receiver
) -> None:
    hook(user, server)
    tell(user)
    server.answer.status = 500
    now = began = timezone.now()

    while (row := only()).next_try_at is not None:
        now = row.next_try_at
        deliver_due(now)

    assert row.given_up_at is not None
    assert row.sent_at is None
    assert GIVE_UP_AFTER - 3 * HOUR < now - began < GIVE_UP_AFTER
    assert 15 <= row.attempts <= 25
    assert len(server.received) == row.attempts

    server.answer.status = 200
    notifications_retry(notifications=Notification.objects.all(), now=now)
    assert deliver_due(now) == 1
    assert only().given_up_at is None


def test_delay_doubles_about_and_stays_below_a_bound() -> None:
    for attempts, seconds in ((1, 30), (2, 60), (5, 480), (9, 7200), (5000, 7200)):
        delays = [retry_delay(min(attempts, 900)).total_seconds() for _ in range(20)]
        assert all(0.8 * seconds <= delay <= 1.2 * seconds for delay in delays)
        assert len(set(delays)) > 1


@pytest.mark.django_db
def test_redirect_to_a_private_address_is_not_followed(
    user: User, server: Receiver
) -> None:
    hook(user, server)
    tell(user)
    with receiver() as inside:
        server.answer.status = 307
        server.answer.headers = {"Location": inside.url()}

        assert deliver_due(timezone.now()) == 0

        assert not inside.received
    assert only().last_error == "It was answered with 307, not with 2xx."


@pytest.mark.django_db
def test_address_that_is_refused_is_given_up_at_once(
    user: User, server: Receiver
) -> None:
    hook(user, server)
    tell(user)

    with override_settings(WEBHOOK_ALLOWED_NETWORKS=[]):
        assert deliver_due(timezone.now()) == 0

    assert not server.received
    row = only()
    assert row.given_up_at is not None
    assert "https" in str(row.last_error)


@pytest.mark.django_db
@pytest.mark.parametrize("how", ["deleted", "switched off", "unreadable"])
def test_webhook_that_cannot_be_used_any_more_is_given_up(
    how: str, user: User, server: Receiver
) -> None:
    hook(user, server)
    tell(user)
    match how:
        case "deleted":
            Webhook.objects.all().delete()
        case "switched off":
            Webhook.objects.update(is_active=False)
        case "unreadable":
            Webhook.objects.update(encrypted_secret="gAAAAno-token")

    assert deliver_due(timezone.now()) == 0

    assert not server.received
    row = only()
    assert row.given_up_at is not None
    assert "gAAAA" not in str(row.last_error)


@pytest.mark.django_db
def test_slow_receivers_do_not_hold_up_the_others(user: User, server: Receiver) -> None:
    hook(user, server)
    server.answer.wait_s = 1
    for _ in range(10):
        tell(user)
    with receiver() as quick:
        other = make_user("other@example.com")
        hook(other, quick)
        for _ in range(10):
            tell(other)

        began = time.monotonic()
        assert deliver_due(timezone.now()) == 20

    assert time.monotonic() - began < 4
    assert sorted(body["id"] for body in bodies(quick)) == sorted(
        Notification.objects.filter(user=other).values_list("pk", flat=True)
    )


@pytest.mark.django_db
def test_threads_that_try_do_not_touch_the_database(
    user: User, server: Receiver
) -> None:
    hook(user, server)
    tell(user)
    threads: set[str] = set()

    def note(execute: Any, *args: Any) -> Any:
        threads.add(threading.current_thread().name)
        return execute(*args)

    with connection.execute_wrapper(note):
        assert deliver_due(timezone.now()) == 1

    assert threads == {threading.current_thread().name}


@pytest.mark.usefixtures("shared_database")
def test_several_who_deliver_at_once_send_each_once(server: Receiver) -> None:
    user = make_user()
    hook(user, server)
    for _ in range(60):
        tell(user)
    now = timezone.now() + LATER
    sent: list[int] = []

    def deliver() -> None:
        try:
            sent.append(deliver_due(now))
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    errors = Notification.objects.exclude(last_error=None)
    assert not list(errors.values_list("last_error", flat=True))
    assert sum(sent) == 60
    ids = [body["id"] for body in bodies(server)]
    assert len(ids) == len(set(ids)) == 60
    assert set(Notification.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db
def test_who_took_longer_than_the_claim_does_not_write_down_its_end(
    user: User, server: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(user, server)
    tell(user)
    row = only()

    def wait_too_long(*args: Any, **options: Any) -> Any:
        Notification.objects.update(attempts=2)  # somebody else has claimed it
        return wait(*args, **options)

    monkeypatch.setattr(delivery, "wait", wait_too_long)
    deliver_due(timezone.now())

    row.refresh_from_db()
    assert (row.sent_at, row.attempts) == (None, 2)
    assert row.next_try_at is not None


@pytest.mark.django_db
def test_mail_is_sent_in_the_language_of_its_user(
    user: User, mails: MailServer
) -> None:
    settings_update(user=user, values={"email_kinds": CHOSEN_KINDS, "language": "tr"})
    tell(user, Kind.BOT_ERROR, reason="açık emir yok", price=Decimal("0.10"))

    assert deliver_due(timezone.now()) == 1

    mail = mails.mails.get(timeout=5)
    row = only()
    assert mail["To"] == user.email
    assert mail["From"] == "TradeBot <bot@example.com>"
    made = int(row.created_at.timestamp())
    assert mail["Message-ID"] == f"<notification-{row.pk}-{made}@example.com>"
    text = str(mail.get_payload())
    assert "3 numaralı bot" in text
    assert "reason: açık emir yok\n" in text.replace("\r\n", "\n")
    assert "price: 0.10" in text


@pytest.mark.django_db
@pytest.mark.parametrize("kind", CHOSEN_KINDS)
def test_every_kind_has_a_mail(kind: Kind, user: User, mails: MailServer) -> None:
    settings_update(user=user, values={"email_kinds": [kind]})
    tell(user, kind)

    assert deliver_due(timezone.now()) == 1

    assert str(mails.mails.get(timeout=5)["Subject"]).startswith("TradeBot: ")


@pytest.mark.django_db
def test_mail_that_is_refused_is_tried_again_and_comes_once(user: User) -> None:
    with mail_server(refuses="451 greylisted") as refusing:
        settings = {
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": refusing.server_address[1],
        }
        with override_settings(**settings):
            tell(user, Kind.BOT_ERROR)
            now = timezone.now()
            assert deliver_due(now) == 0
            row = only()
            assert row.last_error == (
                "The mail server did not take it: SMTPRecipientsRefused."
            )
            refusing.refuses = ""
            assert deliver_due(now + LATER) == 1
            assert deliver_due(now + HOUR) == 0
            assert refusing.mails.qsize() == 1


@pytest.mark.django_db
def test_mail_server_that_dies_after_it_took_a_mail_gets_it_once(
    user: User, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(self: Any) -> None:
        raise smtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(smtplib.SMTP, "quit", dead)
    tell(user, Kind.BOT_ERROR)

    assert deliver_due(timezone.now()) == 1
    assert mails.mails.qsize() == 1


@pytest.mark.django_db
@override_settings(EMAIL_BACKEND="django.core.mail.backends.dummy.EmailBackend")
def test_mail_without_a_mail_server_is_given_up_and_not_called_sent(
    user: User,
) -> None:
    make_notification(user, channel="email")

    assert deliver_due(timezone.now()) == 0

    assert only().last_error == "EMAIL_URL is not set: there is no mail server."


@pytest.mark.django_db
def test_fault_of_ours_is_logged_and_told_in_general_words(
    user: User, server: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    hook(user, server)
    make_notification(user, payload="no JSON")
    tell(user)

    assert deliver_due(timezone.now()) == 1, "the other one"

    broken = Notification.objects.get(sent_at=None)
    assert broken.last_error == (
        "The server failed. Its operator finds the cause in the log."
    )
    assert f"Notification {broken.pk} was not delivered" in caplog.text


@pytest.mark.django_db
def test_old_rows_are_deleted(user: User) -> None:
    now = timezone.now()
    old = make_notification(user, sent_at=now, next_try_at=None)
    new = make_notification(user, sent_at=now, next_try_at=None)
    Notification.objects.filter(pk=old.pk).update(created_at=now - dt.timedelta(31))
    Notification.objects.filter(pk=new.pk).update(created_at=now - dt.timedelta(29))

    deliver_due(now)

    assert only() == new


class Deliverer:
    """``deliver_notifications`` as a process of its own, on a database of its own."""

    def __init__(self, database: BaseDatabaseWrapper, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "deliver_notifications", *arguments],
            cwd=ROOT,
            env=environment(
                **SECRETS,
                DATABASE_URL=url_of(database),
                WEBHOOK_ALLOWED_NETWORKS="127.0.0.0/8",
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, number: signal.Signals | None = None) -> str:
        """Have it end, by a signal or by itself; return what it printed."""
        if number is not None:
            self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=30)
        return output


def wait_for(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def one_queued(migrated_database: BaseDatabaseWrapper, server: Receiver) -> None:
    with as_default(migrated_database):
        user = make_user()
        Webhook.objects.create(
            user=user, url=server.url(), encrypted_secret=crypto.encrypt("secret")
        )
        tell(user)


@pytest.mark.usefixtures("one_queued")
def test_killed_in_the_middle_it_is_sent_again_with_the_same_id(
    migrated_database: BaseDatabaseWrapper, server: Receiver
) -> None:
    server.answer.wait_s = 3
    deliverer = Deliverer(migrated_database)
    wait_for(lambda: server.received)
    deliverer.end(signal.SIGKILL)
    assert deliverer.process.returncode == -signal.SIGKILL
    server.answer.wait_s = 0

    now = timezone.now()
    with as_default(migrated_database):
        row = only()
        assert (row.attempts, row.sent_at) == (1, None)
        assert deliver_due(now) == 0, "somebody may be at it"
        assert deliver_due(now + CLAIMED_FOR) == 1
        assert only().attempts == 2
    assert [body["id"] for body in bodies(server)] == [row.pk] * 2


@pytest.mark.usefixtures("one_queued")
def test_at_sigterm_what_was_begun_is_finished(
    migrated_database: BaseDatabaseWrapper, server: Receiver
) -> None:
    server.answer.wait_s = 1
    deliverer = Deliverer(migrated_database)
    wait_for(lambda: server.received)

    output = deliverer.end(signal.SIGTERM)

    assert deliverer.process.returncode == 0, output
    assert "Sent: 1." in output
    with as_default(migrated_database):
        assert only().sent_at is not None
    assert len(server.received) == 1


@pytest.mark.usefixtures("one_queued")
def test_once_delivers_what_is_due_and_ends(
    migrated_database: BaseDatabaseWrapper, server: Receiver
) -> None:
    deliverer = Deliverer(migrated_database, "--once")

    assert deliverer.end() == "Sent: 1.\n"

    assert deliverer.process.returncode == 0
    assert len(server.received) == 1


@pytest.mark.long
@pytest.mark.usefixtures("one_queued")
def test_table_that_is_away_for_a_while_is_waited_for(
    migrated_database: BaseDatabaseWrapper, server: Receiver
) -> None:
    rename = "ALTER TABLE {} RENAME TO {}"
    with as_default(migrated_database), connection.cursor() as cursor:
        cursor.execute(rename.format("notifications", "away"))
    once = Deliverer(migrated_database, "--once")
    assert "The database cannot be used: " in once.end()
    assert once.process.returncode == 1

    deliverer = Deliverer(migrated_database)
    assert deliverer.process.stdout is not None
    assert "Trying again in 5 s." in deliverer.process.stdout.readline()
    with as_default(migrated_database), connection.cursor() as cursor:
        cursor.execute(rename.format("away", "notifications"))
    wait_for(lambda: server.received)

    assert "Sent: 1." in deliverer.end(signal.SIGTERM)
    assert deliverer.process.returncode == 0
