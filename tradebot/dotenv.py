"""Write a ``.env`` with fresh secrets, from ``.env.example``.

    python -m tradebot.dotenv [NAME=VALUE …]

The values given replace those of the example. A file that exists is kept as it is. It
needs nothing but Python, for it runs before anything is installed or configured.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / ".env.example"
# Without characters that a URL, compose or the reader of the file would interpret.
SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "JWT_SECRET": lambda: secrets.token_urlsafe(64),
    "FERNET_KEYS": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "POSTGRES_PASSWORD": lambda: secrets.token_urlsafe(32),
}


def fill(example: str, values: Mapping[str, str]) -> str:
    """Return the example with these settings in place of its own.

    Raises KeyError with a name that the example does not have.
    """
    lines = example.splitlines()
    # Prose begins with "# ", a setting that is left at its default with "#".
    at = {line.removeprefix("#").partition("=")[0]: i for i, line in enumerate(lines)}
    for name, value in values.items():
        lines[at[name]] = f"{name}={value}"
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    path = Path(os.environ.get("ENV_FILE", ROOT / ".env"))
    values = {name: generate() for name, generate in SECRETS.items()}
    for argument in arguments:
        name, _, value = argument.partition("=")
        values[name] = value
    try:
        text = fill(EXAMPLE.read_text(encoding="utf-8"), values)
    except KeyError as error:
        sys.stderr.write(f"{error.args[0]} is not a setting; .env.example has all.\n")
        return 2
    try:
        # Never over a file that exists, and never readable by others.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stdout.write(f"Settings: {path}, kept as it is.\n")
        return 0
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    sys.stdout.write(
        f"Settings: {path}, written with fresh secrets. Back it up: without "
        "FERNET_KEYS stored exchange credentials cannot be read.\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
