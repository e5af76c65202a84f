"""Writes of users."""

from __future__ import annotations

from django.db import connection, transaction

from accounts.models import User
from tradebot.errors import ConflictError

# Sets the locks on addresses apart from other advisory locks: any number does.
_REGISTRATION = 1_380_272_457


def user_register(*, email: str, password: str) -> User:
    """Store a new, active user.

    Raises ConflictError where the address is taken, in whatever case.
    """
    user = User(email=email)
    user.set_password(password)  # slow: not while others wait
    with transaction.atomic():
        _lock_email(email)
        if User.objects.with_email(email).exists():
            raise ConflictError(
                "This e-mail address is already registered. Log in, or use another."
            )
        user.save()
    return user


def _lock_email(email: str) -> None:
    """Make others who register this address wait until the transaction ends.

    The unique index tells capital from small letters, and a row that is not there yet
    cannot be locked. On SQLite every transaction waits for the one before.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(upper(%s)))",
            [_REGISTRATION, email],
        )
