"""Access tokens: JWTs, as the old program signed them.

``sub`` is the user's e-mail address, ``user_id`` their id, ``exp`` and ``iat`` are Unix
seconds. The old program wrote no ``iat``.
"""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any

import jwt
from django.conf import settings
from django.utils import timezone

from accounts.models import User

# The settings say how long a secret has to be.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)


# Asked for by each request: composed by the ORM it takes three times as long.
_CALLER = "SELECT id, email, is_active, password_changed_at FROM users WHERE email = %s"


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
    user = next(iter(User.objects.raw(_CALLER, [claims["sub"]])), None)
    if user is None or claims.get("user_id", user.pk) != user.pk:
        return None
    return user if _is_in_force(claims.get("iat"), user.password_changed_at) else None


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
        claims: dict[str, Any] = jwt.decode(
            token,
            secret,
            algorithms=list(algorithms),
            # Issued right after a change of the password, iat is in the next second.
            options={"require": ["exp", "sub"], "verify_iat": False},
        )
    except jwt.InvalidTokenError:
        return None
    return claims
