"""The bcrypt that the old program used, with its limit of 72 bytes."""

from __future__ import annotations

import bcrypt
from django.contrib.auth.hashers import BCryptPasswordHasher

MAX_BYTES = 72


class BcryptPasswordHasher(BCryptPasswordHasher):
    """bcrypt at cost 12 over the first 72 bytes of the password.

    passlib cut longer passwords without a word, so their owners must still get in;
    bcrypt 5 raises instead. New passwords that are longer are refused before they get
    here (``PasswordPolicyValidator``).
    """

    rounds = 12

    def encode(self, password: str, salt: bytes | str) -> str:
        salt = salt.encode() if isinstance(salt, str) else salt
        hashed = bcrypt.hashpw(password.encode()[:MAX_BYTES], salt)
        return f"{self.algorithm}${hashed.decode('ascii')}"
