"""Log-ins by Django's own ways: the form of the admin."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import AllowAllUsersModelBackend
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone

from accounts.clients import client_of
from accounts.models import User
from accounts.services import user_authenticate
from tradebot.errors import BusyError, RateLimitError


class LimitedBackend(AllowAllUsersModelBackend):
    """Lets in whom the API lets in, under the same limits."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user; None for wrong credentials.

        Raises ValidationError, which a form shows, where it was tried too often or
        many others try.
        """
        email = kwargs.get(User.USERNAME_FIELD) if username is None else username
        if email is None or password is None:
            return None
        try:
            return user_authenticate(
                email=email,
                password=password,
                client="" if request is None else client_of(request),
                now=timezone.now(),
            )
        except (BusyError, RateLimitError) as error:
            raise ValidationError(str(error), code="rate_limit") from None
