"""What an e-mail address of a user may be, for all who write one."""

from __future__ import annotations

import email_validator
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

MAX_LENGTH = 254
# With a display name around the address; more is not worth parsing.
_MAX_INPUT_LENGTH = 1000


def normalize_address(text: str) -> str:
    """Return an address in the form in which it is stored.

    The domain in small letters and Unicode; ``Name <address>`` is the address. That the
    domain exists is not asked, but special-use ones (``localhost``, ``.test``) are
    refused. These are the rules of the old program. Raises ValidationError.
    """
    if len(text) <= _MAX_INPUT_LENGTH:
        try:
            address = email_validator.validate_email(
                text.strip(), check_deliverability=False, allow_display_name=True
            ).normalized
        except email_validator.EmailNotValidError:
            pass
        else:
            if len(address) <= MAX_LENGTH:
                return address
    raise ValidationError(
        gettext("Enter a valid e-mail address, such as name@example.com."),
        code="invalid",
    )
