"""Notifications as mails."""

from __future__ import annotations

import smtplib
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy, override

from trading.notifications.models import Kind, Notification, NotificationSettings
from trading.notifications.outbox import mail_is_on
from trading.notifications.posting import NotDeliveredError, RefusedError

_SUBJECTS: dict[str, str | Promise] = {
    Kind.ORDER_FILLED: gettext_lazy("TradeBot: an order of bot %(bot)s was filled"),
    Kind.POSITION_CLOSED: gettext_lazy("TradeBot: bot %(bot)s has closed its position"),
    Kind.BOT_ERROR: gettext_lazy("TradeBot: bot %(bot)s needs you: an error"),
    Kind.BOT_PAUSED: gettext_lazy("TradeBot: bot %(bot)s has reached a limit"),
    Kind.BOT_STOPPED: gettext_lazy("TradeBot: bot %(bot)s is stopped"),
    Kind.TRADING_HALTED: gettext_lazy("TradeBot: all trading is halted"),
}


def mail_send(
    notification: Notification,
    body: Mapping[str, Any],
    chosen: NotificationSettings | None,
) -> None:
    """Mail a notification to its user, in their language.

    Its Message-ID is the same at each try: most mail servers show such mails once.
    Raises NotDeliveredError, and RefusedError where there is no mail server.
    """
    if not mail_is_on():
        raise RefusedError("EMAIL_URL is not set: there is no mail server.")
    with override(chosen.language if chosen else settings.LANGUAGE_CODE):
        subject = _SUBJECTS[notification.kind] % {"bot": notification.bot_config_id}
        lines = [f"{name}: {value}" for name, value in body.items()]
        end = gettext("Which mails you get is in the settings of your notifications.")
    mail = EmailMessage(
        subject,
        "\n".join([subject, "", *lines, "", end, ""]),
        to=[notification.user.email],
        headers={"Message-ID": _message_id(notification)},
    )
    mail_server = get_connection()
    try:
        mail_server.open()
        mail_server.send_messages([mail])
    except (OSError, smtplib.SMTPException) as error:
        # Not its text, in which there may be the address or the password.
        raise NotDeliveredError(
            f"The mail server did not take it: {type(error).__name__}."
        ) from error
    finally:
        # After the mail was taken: an error here must not send it again.
        with suppress(OSError, smtplib.SMTPException):
            mail_server.close()


def _message_id(notification: Notification) -> str:
    _, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    made = int(notification.created_at.timestamp())
    return f"<notification-{notification.pk}-{made}@{sender.partition('@')[2]}>"
