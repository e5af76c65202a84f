"""Encryption of exchange credentials: Fernet, with keys that can be rotated.

The first of ``settings.FERNET_KEYS`` encrypts; all of them decrypt.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from tradebot.errors import MisconfiguredError


class DecryptionError(MisconfiguredError):
    """A stored secret cannot be read with any of FERNET_KEYS; add the key it has."""


def encrypt(secret: str) -> str:
    """Return ``secret`` as a Fernet token (text that begins with ``gAAAA``)."""
    return _cipher(tuple(settings.FERNET_KEYS)).encrypt(secret.encode()).decode()


def decrypt(token: str) -> str:
    """Return the secret in a Fernet token.

    Raises DecryptionError where no key of FERNET_KEYS opens it.
    """
    try:
        return _cipher(tuple(settings.FERNET_KEYS)).decrypt(token.encode()).decode()
    except InvalidToken:
        raise DecryptionError(DecryptionError.__doc__) from None


def is_current(token: str) -> bool:
    """Say whether the first of FERNET_KEYS opens a token: whether it has made it."""
    return _opens(settings.FERNET_KEYS[:1], token)


def is_readable(token: str) -> bool:
    """Say whether any of FERNET_KEYS opens a token."""
    return _opens(settings.FERNET_KEYS, token)


def rotate(token: str) -> str:
    """Return the same secret, encrypted with the first of FERNET_KEYS.

    Raises DecryptionError where no key opens the token.
    """
    try:
        return _cipher(tuple(settings.FERNET_KEYS)).rotate(token.encode()).decode()
    except InvalidToken:
        raise DecryptionError(DecryptionError.__doc__) from None


def _opens(keys: Sequence[str], token: str) -> bool:
    try:
        _cipher(tuple(keys)).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
