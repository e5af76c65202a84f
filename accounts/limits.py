"""How often something may be tried: counters in the database, exact for all processes.

A try is counted by one atomic statement before what it is for begins, so that of many
at once no more than the limit pass. Each counter begins anew when its time is over.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connection
from django.db.models import F
from django.utils.crypto import salted_hmac

from accounts.models import RateLimit
from tradebot.errors import RateLimitError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """``tries`` within ``seconds``, counted from the first of them."""

    name: str
    tries: int
    seconds: int


LOGINS_OF_CLIENT = Limit(name="logins of client", tries=5, seconds=60)
LOGINS_OF_ACCOUNT = Limit(name="logins of account", tries=10, seconds=3600)
RESET_MAILS_OF_CLIENT = Limit(name="reset mails of client", tries=5, seconds=60)
RESET_MAILS_OF_ACCOUNT = Limit(name="reset mails of account", tries=3, seconds=3600)
RESETS_OF_CLIENT = Limit(name="resets of client", tries=10, seconds=60)
REGISTRATIONS_OF_CLIENT = Limit(name="registrations of client", tries=20, seconds=3600)

# Not where the limit is reached: a try that is refused leaves the counter as it is.
_TAKE = """
    INSERT INTO rate_limits (key, tries, ends) VALUES (%(key)s, 1, %(ends)s)
    ON CONFLICT (key) DO UPDATE SET
        tries = CASE WHEN rate_limits.ends <= %(now)s THEN 1
                ELSE rate_limits.tries + 1 END,
        ends = CASE WHEN rate_limits.ends <= %(now)s THEN excluded.ends
               ELSE rate_limits.ends END
    WHERE rate_limits.ends <= %(now)s OR rate_limits.tries < %(limit)s
    RETURNING tries, ends
"""
# A few for each counter that begins: there are never many more than are in use.
_CLEAN_UP = """
    DELETE FROM rate_limits WHERE key IN (
        SELECT key FROM rate_limits WHERE ends <= %s ORDER BY ends LIMIT 10 {lock}
    )
"""
# Others may be counting there, or cleaning up too.
_LOCKS = {"postgresql": "FOR UPDATE SKIP LOCKED", "sqlite": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """One that has been counted: by which counter, and until when that runs."""

    key: str
    ends: int


def take(limit: Limit, subject: str, *, now: dt.datetime) -> Try:
    """Count a try of ``subject``: of a client or of an account.

    It stays counted whatever becomes of it, so there must be no transaction around.
    Raises RateLimitError where the limit is reached.
    """
    second = int(now.timestamp())
    key = _digest(limit, subject)
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "key": key,
                "now": second,
                "ends": second + limit.seconds,
                "limit": limit.tries,
            },
        )
        rows = cursor.fetchall()
        if not rows:
            raise RateLimitError(retry_after_s=_rest(key, second))
        ((tries, ends),) = rows
        if tries == 1:
            lock = _LOCKS[connection.vendor]
            cursor.execute(_CLEAN_UP.format(lock=lock), [second])
    return Try(key=key, ends=ends)


def give_back(*tries: Try) -> None:
    """Count these no longer: they were none of what is limited."""
    for one in tries:
        RateLimit.objects.filter(key=one.key, ends=one.ends, tries__gt=0).update(
            tries=F("tries") - 1
        )


def forget(limit: Limit, subject: str) -> bool:
    """Begin the counter of ``subject`` anew; return whether there was one."""
    deleted, _ = RateLimit.objects.filter(key=_digest(limit, subject)).delete()
    return bool(deleted)


def _rest(key: str, second: int) -> int:
    """Return in how many seconds the counter begins anew."""
    ends = RateLimit.objects.filter(key=key).values_list("ends", flat=True).first()
    return max(1, (ends or second) - second)


def _digest(limit: Limit, subject: str) -> str:
    # Keyed: addresses are few enough to try them all.
    return salted_hmac(limit.name, subject, algorithm="sha256").hexdigest()
