"""What a new password must be like. Logging in does not ask."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from accounts.hashers import MAX_BYTES

MIN_LENGTH = 12


class PasswordPolicyValidator:
    """At least 12 characters with a lower-case and an upper-case letter, a digit and
    a character that is neither; at most the 72 bytes that bcrypt hashes.
    """

    def validate(self, password: str, user: Any = None) -> None:
        """Raise ValidationError with every rule that the password breaks."""
        broken = [
            ValidationError(message, code=code)
            for kept, code, message in (
                (
                    len(password) >= MIN_LENGTH,
                    "password_too_short",
                    gettext("The password must have at least %(count)s characters.")
                    % {"count": MIN_LENGTH},
                ),
                (
                    len(password.encode("utf-8", "surrogatepass")) <= MAX_BYTES,
                    "password_too_long",
                    gettext("The password must have at most %(count)s bytes.")
                    % {"count": MAX_BYTES},
                ),
                (
                    any(character.islower() for character in password),
                    "password_no_lower",
                    gettext("The password must contain a lower-case letter."),
                ),
                (
                    any(character.isupper() for character in password),
                    "password_no_upper",
                    gettext("The password must contain an upper-case letter."),
                ),
                (
                    any(character.isdigit() for character in password),
                    "password_no_digit",
                    gettext("The password must contain a digit."),
                ),
                (
                    any(not character.isalnum() for character in password),
                    "password_no_symbol",
                    gettext(
                        "The password must contain a character that is neither a "
                        "letter nor a digit."
                    ),
                ),
            )
            if not kept
        ]
        if broken:
            raise ValidationError(broken)

    def get_help_text(self) -> str:
        return (
            f"At least {MIN_LENGTH} characters and at most {MAX_BYTES} bytes, with a "
            "lower-case and an upper-case letter, a digit and another character."
        )
