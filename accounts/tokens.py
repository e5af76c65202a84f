"""Access tokens: JWTs, as the old program signed them.

``sub`` is the user's e-mail address, ``user_id`` their id, ``exp`` and ``iat`` are Unix
seconds.
"""

from __future__ import annotations

import datetime as dt
import warnings
from typing import Any

import jwt
from django.conf import settings

from accounts.models import User

# The settings say how long a secret has to be.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)


def token_issue(*, user: User, remember: bool, now: dt.datetime) -> str:
    """Return a token that lasts from ``now`` for as long as the settings say."""
    minutes = (
        settings.REMEMBER_ME_EXPIRE_MINUTES
        if remember
        else settings.ACCESS_TOKEN_EXPIRE_MINUTES
    )
    claims = {
        "sub": user.email,
        "user_id": user.pk,
        "iat": int(now.timestamp()),
        "exp": int((now + dt.timedelta(minutes=minutes)).timestamp()),
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
    user = (
        User.objects.only("id", "email", "is_active").filter(email=claims["sub"])
    ).first()
    if user is None or claims.get("user_id", user.pk) != user.pk:
        return None
    return user


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
            options={"require": ["exp", "sub"]},
        )
    except jwt.InvalidTokenError:
        return None
    return claims
