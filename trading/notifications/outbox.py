"""Writes of the outbox, of webhooks and of what users want to be told."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext

from accounts.models import User
from apikeys import crypto
from tradebot.api.json import encode
from tradebot.errors import ConflictError
from trading.notifications.models import (
    Channel,
    Kind,
    Notification,
    NotificationSettings,
    Webhook,
    default_kinds,
)

Value = str | int | Decimal | dt.datetime | None
_NO_MAIL = "django.core.mail.backends.dummy.EmailBackend"


def notify(
    *, user: User, kind: Kind, payload: Mapping[str, Value], bot_id: int | None = None
) -> None:
    """Queue a notification by each channel by which the user wants this kind.

    It is written in the transaction of the caller, which is that of what it tells of:
    both are committed or neither is. ``payload`` is told as it is: no secrets in it.
    Times have a zone, money is Decimal; raises TypeError for a float, ValueError for
    what JSON cannot say.
    """
    notify_all(users=[user.pk], kind=kind, payload=payload, bot_id=bot_id)


def notify_all(
    *,
    users: Collection[int],
    kind: Kind,
    payload: Mapping[str, Value],
    bot_id: int | None = None,
) -> None:
    """Queue the same notification for users, by their keys, as ``notify`` does."""
    ways = list(_ways(users, kind))
    if not ways:
        return
    text = encode({name: _plain(value) for name, value in payload.items()}).decode()
    Notification.objects.bulk_create(
        Notification(
            user_id=user, bot_config_id=bot_id, kind=kind, channel=channel, payload=text
        )
        for user, channel in ways
    )


def mail_is_on() -> bool:
    """Say whether there is a mail server to send by."""
    return settings.EMAIL_BACKEND != _NO_MAIL


def settings_of(user: User) -> NotificationSettings:
    """Return what a user has chosen, or the defaults, which are not stored."""
    chosen = NotificationSettings.objects.filter(user=user).first()
    return chosen or _default_settings(user)


@transaction.atomic
def settings_update(*, user: User, values: Mapping[str, Any]) -> NotificationSettings:
    """Change what a user is told: ``email_kinds``, ``webhook_kinds``, ``language``."""
    _lock(user)
    chosen = settings_of(user)
    for name, value in values.items():
        setattr(chosen, name, value)
    chosen.save()
    return chosen


@transaction.atomic
def webhook_save(
    *, user: User, values: Mapping[str, Any], roll_secret: bool = False
) -> tuple[Webhook, str | None, bool]:
    """Make or change the webhook of a user: ``url`` and ``is_active``.

    Returns it, its secret where that is new, and whether the webhook is. The secret is
    not to be had again, only another one with ``roll_secret``.
    """
    _lock(user)
    stored = Webhook.objects.filter(user=user).first()
    webhook = stored or Webhook(user=user)
    secret = None
    if stored is None or roll_secret:
        secret = f"whsec_{secrets.token_urlsafe(32)}"
        webhook.encrypted_secret = crypto.encrypt(secret)
    for name, value in values.items():
        setattr(webhook, name, value)
    webhook.save()
    webhook.refresh_from_db()  # the time that the database has set
    return webhook, secret, stored is None


@transaction.atomic
def webhook_test(*, webhook: Webhook) -> Notification:
    """Queue a test for a webhook.

    Raises ConflictError where it is switched off, or another test is not over.
    """
    _lock(webhook.user)
    if not webhook.is_active:
        raise ConflictError(gettext("Your webhook is switched off: switch it on."))
    mine = Notification.objects.filter(user=webhook.user, kind=Kind.TEST)
    if mine.filter(next_try_at__isnull=False).exists():
        raise ConflictError(
            gettext(
                "A test is on its way already. What became of it is in the list of "
                "notifications."
            )
        )
    test = Notification.objects.create(
        user=webhook.user, kind=Kind.TEST, channel=Channel.WEBHOOK, payload="{}"
    )
    test.refresh_from_db()
    return test


def notifications_retry(
    *, notifications: QuerySet[Notification], now: dt.datetime
) -> int:
    """Have those that were given up tried again, once where they are a day old.

    Returns how many.
    """
    given_up = notifications.filter(given_up_at__isnull=False)
    return given_up.update(given_up_at=None, next_try_at=now)


def _ways(users: Collection[int], kind: Kind) -> Iterator[tuple[int, Channel]]:
    """Yield who wants this kind, with each channel by which they do."""
    wanted = User.objects.filter(pk__in=users).values_list(
        "pk",
        "notification_settings__email_kinds",
        "notification_settings__webhook_kinds",
        "webhook__is_active",
    )
    for user, *kinds, webhook_is_on in wanted:
        is_open = {Channel.EMAIL: mail_is_on(), Channel.WEBHOOK: bool(webhook_is_on)}
        for channel, listed in zip(Channel, kinds, strict=True):
            chosen = default_kinds()[channel] if listed is None else listed
            if is_open[channel] and kind in chosen:
                yield user, channel


def _default_settings(user: User) -> NotificationSettings:
    kinds = default_kinds()
    return NotificationSettings(
        user=user,
        email_kinds=kinds[Channel.EMAIL],
        webhook_kinds=kinds[Channel.WEBHOOK],
    )


def _plain(value: Value) -> str | int | Decimal | None:
    """Return a value as JSON has it; raises TypeError and ValueError, see notify()."""
    match value:
        case dt.datetime():
            if value.tzinfo is None:
                raise ValueError("A time of a notification needs a zone.")
            return value.astimezone(dt.UTC).isoformat()
        case Decimal():
            if not value.is_finite():
                raise ValueError(f"JSON has no number {value}.")
            return value
        case str() | int() | None:
            return value
    raise TypeError(
        f"A notification cannot have {value!r}: pass text, a whole number, a Decimal "
        "or a time."
    )


def _lock(user: User) -> None:
    """Let one request at a time look for rows of a user and write them."""
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user.pk)
