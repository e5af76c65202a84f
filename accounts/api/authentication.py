"""Who is asking: the bearer token of a request."""

from __future__ import annotations

from django.utils.encoding import force_str
from django.utils.translation import gettext, gettext_lazy
from rest_framework import status
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import (
    APIException,
    AuthenticationFailed,
    NotAuthenticated,
)
from rest_framework.request import Request

from accounts.models import User
from accounts.tokens import token_user

_SCHEME = "Bearer"


class InactiveUser(APIException):
    """Not 401, on which clients would log in again, in vain."""

    status_code = status.HTTP_400_BAD_REQUEST
    default_detail = gettext_lazy(
        "This user is inactive. Ask the operator to activate it."
    )
    default_code = "inactive"


class JWTAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; other schemes count as no login at all."""

    def authenticate(self, request: Request) -> tuple[User, str] | None:
        scheme, _, token = get_authorization_header(request).partition(b" ")
        if scheme.lower() != _SCHEME.lower().encode():
            return None
        text = force_str(token.strip(), errors="replace")
        user = token_user(token=text)
        if user is None:
            raise AuthenticationFailed(
                gettext("The access token is invalid or has expired. Log in again.")
            )
        if not user.is_active:
            raise InactiveUser
        return user, text

    def authenticate_header(self, request: Request) -> str:
        return _SCHEME


def caller(request: Request) -> User:
    """Return the user who sent an authenticated request."""
    if not isinstance(request.user, User):
        raise NotAuthenticated
    return request.user
