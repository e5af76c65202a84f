"""Password resets: a link by mail, which is good once and for an hour.

Mails are sent by one thread of each process, beside the requests: how long an answer
takes tells neither whether there is such a user nor how the mail server is.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

from django.conf import settings
from django.core.mail import send_mail
from django.db import connection
from django.utils import timezone
from django.utils.translation import get_language, gettext, override

from accounts.hashers import place_to_hash
from accounts.models import User
from tradebot.errors import MisconfiguredError, TradeBotError

logger = logging.getLogger(__name__)

LIFETIME = dt.timedelta(hours=1)
_TOKEN_BYTES = 32
_MAX_WAITING = 1000
_waiting = BoundedSemaphore(_MAX_WAITING)
# What is in its queue when the process is asked to end is sent before it does.
_sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="mail")


class MailOffError(MisconfiguredError):
    """EMAIL_URL is not set: nothing can be mailed."""


class ResetTokenError(TradeBotError):
    """A token is unknown, used up, replaced or too old."""


class ResetInactiveError(TradeBotError):
    """A token is good, but its user may not log in."""


def reset_request(*, email: str) -> None:
    """Have a link mailed to the user of this address, where there is an active one.

    The mail is in the language that is active.
    Returns at once and says nothing about that. Raises MailOffError.
    """
    if settings.EMAIL_BACKEND == "django.core.mail.backends.dummy.EmailBackend":
        raise MailOffError
    if not _waiting.acquire(blocking=False):
        logger.error(
            "A mail for a password reset was given up: %s are waiting to be sent. Look "
            "at the mail server that EMAIL_URL names.",
            _MAX_WAITING,
        )
        return
    _sender.submit(_send, email, get_language())


def reset_send(*, email: str, now: dt.datetime) -> None:
    """Mail a link; of an earlier one nothing is good any more."""
    user = User.objects.with_email(email).filter(is_active=True).first()
    if user is None:
        return
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    User.objects.filter(pk=user.pk).update(
        reset_token=_digest(token), reset_token_expires=now + LIFETIME
    )
    send_mail(
        gettext("Reset your TradeBot password"),
        gettext(
            "Somebody, you hopefully, wants to set a new password for this address on "
            "TradeBot. This link does it, once and within an hour:\n\n"
            "%(link)s\n\n"
            "If it was not you, do nothing: your password stays as it is.\n"
        )
        % {"link": f"{settings.FRONTEND_URL}/reset-password?token={token}"},
        None,
        [user.email],
    )


def reset_finish(*, token: str, password: str, now: dt.datetime) -> None:
    """Set the password of the user to whom this token was mailed.

    It ends the token, and all access tokens from before. Raises ResetTokenError, and
    ResetInactiveError where the user may not log in, and BusyError.
    """
    digest = _digest(token)
    open_resets = User.objects.filter(reset_token=digest, reset_token_expires__gt=now)
    user = open_resets.first()
    if user is None:
        raise ResetTokenError
    if not user.is_active:
        raise ResetInactiveError
    with place_to_hash():
        user.set_password(password)  # slow: the token may be used up meanwhile
    done = open_resets.filter(pk=user.pk, is_active=True).update(
        password=user.password,
        password_changed_at=user.password_changed_at,
        reset_token=None,
        reset_token_expires=None,
        updated_at=now,
    )
    if not done:
        raise ResetTokenError


def _send(email: str, language: str | None) -> None:
    try:
        with override(language):
            reset_send(email=email, now=timezone.now())
    except Exception as error:
        # Its text, and a traceback, may have the address or the token in it.
        logger.error(
            "A mail for a password reset was not sent: %s. Look at EMAIL_URL and at "
            "the mail server that it names.",
            type(error).__name__,
        )
    finally:
        connection.close()
        _waiting.release()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
