"""Access tokens: JWTs, as the old program signed them.

``sub`` is the user's e-mail address, ``user_id`` their id, ``exp`` and ``iat`` are Unix
seconds.
"""

from __future__ import annotations

import datetime as dt

import jwt
from django.conf import settings

from accounts.models import User


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
    try:
        claims = jwt.decode(
            token,
            settings.JWT_SECRET,
            algorithms=[settings.JWT_ALGORITHM],
            options={"require": ["exp", "sub"]},
        )
    except jwt.InvalidTokenError:
        return None
    if not claims["sub"].isprintable():  # which no address and not every column takes
        return None
    user = (
        User.objects.only("id", "email", "is_active").filter(email=claims["sub"])
    ).first()
    if user is None or claims.get("user_id", user.pk) != user.pk:
        return None
    return user
