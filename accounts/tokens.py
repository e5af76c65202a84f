"""Access tokens: JWTs, as the old program signed them.

``sub`` is the user's e-mail address, ``user_id`` their id, ``exp`` and ``iat`` are Unix
seconds. The old program wrote no ``iat``.
"""

from __future__ import annotations

import datetime as dt
import time
import warnings
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts.models import User

# The settings say how long a secret has to be.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)


# Asked for by each request: composed by the ORM it takes four times as long.
_FIELDS = ("id", "email", "is_active", "password_changed_at")
_CALLER = f"SELECT {', '.join(_FIELDS)} FROM users WHERE email = %s"  # noqa: S608


def token_issue(*, user: User, remember: bool, now: dt.datetime) -> str:
    """Return a token that lasts from ``now`` for as long as the settings say.

    ``now`` is when the user was read, not when their password had been verified: it may
    have been changed between the two, and then the token is void from the start.
    """
    minutes = (
        settings.REMEMBER_ME_EXPIRE_MINUTES
        if remember
        else settings.ACCESS_TOKEN_EXPIRE_MINUTES
    )
    # After a change in this very second: what was issued before it is void.
    issued = max(now, user.password_changed_at or now)
    claims = {
        "sub": user.email,
        "user_id": user.pk,
        "iat": int(issued.timestamp()),
        "exp": int((issued + dt.timedelta(minutes=minutes)).timestamp()),
    }
    return jwt.encode(claims, settings.JWT_SECRET, algorithm=settings.JWT_ALGORITHM)


def token_user(*, token: str) -> User | None:
    """Return the user that a token is for; None for one that proves nothing.

    An address may have gone to another user since: where the token names an id, it has
    to be theirs.
    """
    claims = _read(token, settings.JWT_SECRET, settings.JWT_ALGORITHM)
    if claims is None and settings.JWT_OLD_SECRET:
        # Which of the two the old program used is not known here.
        claims = _read(token, settings.JWT_OLD_SECRET, "HS256", "HS512")
    if claims is None:
        return None
    if not claims["sub"].isprintable():  # which no address and not every column takes
        return None
    user = _user_with(claims["sub"])
    if user is None or claims.get("user_id", user.pk) != user.pk:
        return None
    return user if _is_in_force(claims.get("iat"), user.password_changed_at) else None


def _user_with(email: str) -> User | None:
    with connection.prepared_cursor() as cursor:  # type: ignore[attr-defined]  # ours
        cursor.execute(_CALLER, [email])
        row = cursor.fetchone()
    if row is None:
        return None
    user = User.from_db(connection.alias, _FIELDS, row)
    if user.password_changed_at is not None:  # which SQLite has in UTC, without a zone
        user.password_changed_at = user.password_changed_at.replace(tzinfo=dt.UTC)
    return user


def _is_in_force(iat: Any, password_changed_at: dt.datetime | None) -> bool:
    """Say whether a token was issued since the password was last changed."""
    if iat is None:
        until = settings.JWT_WITHOUT_IAT_UNTIL
        never_changed = password_changed_at is None
        return until is not None and never_changed and timezone.now() < until
    if not isinstance(iat, int):
        return False
    return password_changed_at is None or iat >= password_changed_at.timestamp()


def token_expiry(*, token: str) -> dt.datetime:
    """Return when a token ends that has been accepted."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return dt.datetime.fromtimestamp(claims["exp"], dt.UTC)


def _read(token: str, secret: str, *algorithms: str) -> dict[str, Any] | None:
    """Return the claims of a token that this secret has signed and that is in force."""
    try:
        claims = _verify(token, secret, *algorithms)
    except jwt.InvalidTokenError:
        return None
    return claims if int(claims["exp"]) > time.time() else None


# What it says of a token stays true but for the time that is up. Only what was signed
# here is kept.
@lru_cache(maxsize=1024)
def _verify(token: str, secret: str, *algorithms: str) -> dict[str, Any]:
    """Return the claims of a token; raises InvalidTokenError."""
    claims: dict[str, Any] = jwt.decode(
        token,
        secret,
        algorithms=list(algorithms),
        # Issued right after a change of the password, iat is in the next second.
        options={"require": ["exp", "sub"], "verify_iat": False},
    )
    return claims
