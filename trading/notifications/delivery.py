"""Delivery of the outbox: what is due is sent, by several threads at once.

At least once: who was killed between the receiver's yes and the record of it leaves a
notification that is sent again. A webhook tells its receiver the id of the
notification, a mail its server the Message-ID; both are the same at each try. Nothing
else is sent twice: a try is claimed in a transaction before it begins, and no
transaction is open while it lasts.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import logging
import random
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from decimal import Decimal
from typing import Any

import msgspec
from django.db import connection, transaction
from django.db.models import F

from apikeys import crypto
from tradebot import __version__
from tradebot.api.json import encode
from trading.notifications.mails import mail_send
from trading.notifications.models import Channel, Notification, Webhook
from trading.notifications.posting import NotDeliveredError, RefusedError, post

logger = logging.getLogger(__name__)

AT_ONCE = 16
TIMEOUT_S = 5.0
# Longer than any try takes: the name, a webhook or each word with a mail server.
CLAIMED_FOR = dt.timedelta(minutes=5)
FIRST_DELAY = dt.timedelta(seconds=30)
LONGEST_DELAY = dt.timedelta(hours=2)
GIVE_UP_AFTER = dt.timedelta(hours=24)
KEPT_FOR = dt.timedelta(days=30)
_PURGED_AT_ONCE = 500

_read = msgspec.json.Decoder(float_hook=Decimal).decode


def deliver_due(now: dt.datetime, *, go_on: Callable[[], bool] = lambda: True) -> int:
    """Try everything that is due at ``now`` once; return how many were sent.

    What fails is due again later, for a day. ``go_on`` is asked before each claim:
    after a no, what was begun is finished and nothing else. Rows older than 30 days
    go. Several processes can do it at once.
    """
    began = time.monotonic()

    def clock() -> dt.datetime:
        return now + dt.timedelta(seconds=time.monotonic() - began)

    sent = 0
    tries: dict[Future[None], Notification] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="notification") as pool:
        while True:
            free = AT_ONCE - len(tries) if go_on() else 0
            for notification in _claim(due=now, now=clock(), limit=free):
                tries[pool.submit(_deliver, notification, clock())] = notification
            if not tries:
                break
            for future in wait(tries, return_when=FIRST_COMPLETED).done:
                sent += _record(tries.pop(future), future, clock())
    _purge(now)
    return sent


def signature(*, secret: str, body: bytes, now: dt.datetime) -> str:
    """Return what ``X-TradeBot-Signature`` has for a body.

    ``t=SECONDS,v1=HEX``: HMAC-SHA256 of ``SECONDS.BODY`` with the secret of the
    webhook. A receiver that refuses old times cannot be fed what was heard before.
    """
    seconds = int(now.timestamp())
    signed = f"{seconds}.".encode() + body
    digest = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return f"t={seconds},v1={digest}"


def retry_delay(attempts: int) -> dt.timedelta:
    """Return how long to wait after so many tries: twice as long each time, about.

    Not exactly: what failed together does not come back together.
    """
    longest = LONGEST_DELAY / FIRST_DELAY
    times = min(2.0 ** (attempts - 1), longest)
    return FIRST_DELAY * times * random.uniform(0.8, 1.2)  # noqa: S311  # no secret


@transaction.atomic
def _claim(*, due: dt.datetime, now: dt.datetime, limit: int) -> list[Notification]:
    """Take some that are due, the longest first, so that nobody else tries them."""
    if not limit:
        return []
    found = Notification.objects.filter(next_try_at__lte=due).order_by(
        "next_try_at", "pk"
    )
    if connection.features.has_select_for_update_skip_locked:
        found = found.select_for_update(skip_locked=True, of=("self",))
    # Without, on SQLite, this transaction is the only one that writes.
    rows = list(
        found.select_related("user__webhook", "user__notification_settings")[:limit]
    )
    for row in rows:
        row.attempts += 1
    Notification.objects.filter(pk__in=[row.pk for row in rows]).update(
        attempts=F("attempts") + 1, next_try_at=now + CLAIMED_FOR
    )
    return rows


def _deliver(notification: Notification, now: dt.datetime) -> None:
    """Try once; in a thread, and so without the database."""
    body: dict[str, Any] = {
        "id": notification.pk,
        "kind": notification.kind,
        "bot_config_id": notification.bot_config_id,
        "timestamp": notification.created_at.astimezone(dt.UTC).isoformat(),
        **_read(notification.payload),
    }
    user = notification.user
    if notification.channel == Channel.EMAIL:
        mail_send(notification, body, getattr(user, "notification_settings", None))
    else:
        _post(getattr(user, "webhook", None), body, now)


def _post(webhook: Webhook | None, body: dict[str, Any], now: dt.datetime) -> None:
    if webhook is None or not webhook.is_active:
        raise RefusedError("The webhook is deleted or switched off.")
    try:
        secret = crypto.decrypt(webhook.encrypted_secret)
    except crypto.DecryptionError:
        raise RefusedError("The secret cannot be read. Ask for a new one.") from None
    content = encode(body)
    status = post(
        webhook.url,
        content,
        {
            "Content-Type": "application/json",
            "User-Agent": f"TradeBot/{__version__}",
            "X-TradeBot-Id": str(body["id"]),
            "X-TradeBot-Signature": signature(secret=secret, body=content, now=now),
        },
        timeout_s=TIMEOUT_S,
    )
    if not 200 <= status < 300:
        raise NotDeliveredError(f"It was answered with {status}, not with 2xx.")


def _record(notification: Notification, outcome: Future[None], now: dt.datetime) -> int:
    """Write down what became of a try; return 1 where it was sent."""
    error = outcome.exception()
    values: dict[str, Any] = {"last_error": None}
    if error is None:
        values |= {"sent_at": now, "next_try_at": None}
    else:
        values["last_error"] = _told(notification, error)
        again = now + retry_delay(notification.attempts)
        if isinstance(error, RefusedError) or (
            again > notification.created_at + GIVE_UP_AFTER
        ):
            values |= {"given_up_at": now, "next_try_at": None}
        else:
            values["next_try_at"] = again
    with transaction.atomic():
        # Nobody else's try: one that took longer than its claim is not written down.
        mine = Notification.objects.filter(
            pk=notification.pk,
            attempts=notification.attempts,
            next_try_at__isnull=False,
        )
        if mine.update(**values) and notification.channel == Channel.WEBHOOK:
            _mark_webhook(notification.user_id, values["last_error"], now)
    return int(error is None)


def _told(notification: Notification, error: BaseException) -> str:
    """Return what the user reads about an error."""
    if isinstance(error, RefusedError | NotDeliveredError):
        return str(error)
    logger.error("Notification %s was not delivered", notification.pk, exc_info=error)
    return "The server failed. Its operator finds the cause in the log."


def _mark_webhook(user_id: int, error: str | None, now: dt.datetime) -> None:
    mine = Webhook.objects.filter(pk=user_id)
    if error is None:
        mine.filter(failed_at__isnull=False).update(failed_at=None, last_error=None)
    else:
        mine.update(failed_at=now, last_error=error)


def _purge(now: dt.datetime) -> None:
    """Delete what is too old, some at a time: along the key, which grows with it."""
    oldest = Notification.objects.order_by("pk").values_list("pk", "created_at")
    gone = [pk for pk, made in oldest[:_PURGED_AT_ONCE] if made < now - KEPT_FOR]
    Notification.objects.filter(pk__in=gone).delete()
