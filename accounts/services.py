"""Log-ins, and writes of users."""

from __future__ import annotations

import datetime as dt
import unicodedata

from django.db import connection, transaction
from django.utils.translation import gettext

from accounts import limits
from accounts.hashers import algorithm_of, hash_otherwise, place_to_hash
from accounts.models import User
from tradebot.errors import BusyError, ConflictError, RateLimitError

# Sets the locks on addresses apart from other advisory locks: any number does.
_REGISTRATION = 1_380_272_457


def user_authenticate(
    *, email: str, password: str, client: str, now: dt.datetime
) -> User | None:
    """Return the user whose address and password these are, active or not.

    Failures count, for the client and for the account; and so does what is not decided
    yet, or many guesses at once would pass. Raises RateLimitError, and BusyError where
    many are logging in.
    """
    by_client = limits.take(limits.LOGINS_OF_CLIENT, client, now=now)
    try:
        by_account = limits.take(limits.LOGINS_OF_ACCOUNT, account_of(email), now=now)
    except RateLimitError:
        limits.give_back(by_client)  # it has guessed nothing
        raise
    user = User.objects.with_email(email).first()
    try:
        with place_to_hash():
            right = _is_password(password, user)
    except BusyError:
        limits.give_back(by_client, by_account)
        raise
    if not right:
        return None
    limits.give_back(by_client, by_account)
    return user


def user_register(*, email: str, password: str) -> User:
    """Store a new, active user.

    Raises ConflictError where the address is taken, in whatever case, and BusyError.
    """
    user = User(email=email)
    with place_to_hash():
        user.set_password(password)  # slow: not while others wait
    with transaction.atomic():
        _lock_email(email)
        if User.objects.with_email(email).exists():
            raise ConflictError(
                gettext(
                    "This e-mail address is already registered. Log in, or use another."
                )
            )
        user.save()
    return user


@transaction.atomic
def user_delete(*, user: User) -> None:
    """Delete a user with all that is theirs.

    Raises ConflictError where one of their bots holds a position, or has orders, on an
    exchange: nobody would look after it any more.
    """
    bots = user.bot_configs.exclude(environment="paper")
    holding = bots.filter(positions__isnull=False, positions__closed_at__isnull=True)
    ordering = bots.filter(orders__status__in=["NEW", "UNKNOWN", "OPEN", "PARTIAL"])
    if names := sorted({bot.name for bot in (*holding, *ordering)}):
        raise ConflictError(
            gettext(
                "Bots of this user have positions or orders on an exchange: %(bots)s. "
                "Stop them with close=true first."
            )
            % {"bots": ", ".join(names)}
        )
    user.delete()


def user_unlock(*, user: User) -> bool:
    """Forget the wrong log-ins and the reset mails of an account, not those of clients.

    Returns whether there were any.
    """
    account = account_of(user.email)
    of_account = (limits.LOGINS_OF_ACCOUNT, limits.RESET_MAILS_OF_ACCOUNT)
    forgotten = [limits.forget(limit, account) for limit in of_account]
    return any(forgotten)


def account_of(email: str) -> str:
    """Return what the rate limits of an account count by.

    At least as much alike as what the database takes for one address: two spellings
    that reach one user must not have two counters.
    """
    letters = unicodedata.normalize("NFKD", email.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def _is_password(password: str, user: User | None) -> bool:
    """Say whether it is the user's; no takes as long whoever is asked for."""
    encoded = "" if user is None else user.password
    if user and algorithm_of(encoded) and user.check_password(password):
        return True
    hash_otherwise(password, than=encoded)
    return False


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
