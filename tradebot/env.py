"""Settings from the environment and the ``.env`` file, checked as they are read.

A value that is missing, malformed or unknown stops the start with the variable's name
and an example. Values are not repeated in the message: many of them are secrets.
"""

from __future__ import annotations

import datetime as dt
import difflib
import io
import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}
_POSTGRESQL, _SQLITE = "django.db.backends.postgresql", "django.db.backends.sqlite3"

# What a database URL may set in its query besides libpq's parameters, and the types.
_DATABASE_OPTIONS: dict[str, tuple[type, ...]] = {
    "ATOMIC_REQUESTS": (bool,),
    "AUTOCOMMIT": (bool,),
    "CONN_HEALTH_CHECKS": (bool,),
    "CONN_MAX_AGE": (int, type(None)),
    "DISABLE_SERVER_SIDE_CURSORS": (bool,),
}

_MAIL_SERVERS = {"smtp", "smtp+tls", "smtp+ssl"}
_NO_MAIL_SERVER = (
    "must be the URL of a mail server with its port (smtp://…, smtp+tls://…, "
    "smtp+ssl://…), or consolemail:// to print mails"
)

_LINE = re.compile(r"^(?:export )?([A-Za-z_0-9]+)=", re.MULTILINE)


class Environment:
    """Reads settings and remembers their names, to tell a misspelt one.

    ``elsewhere`` names the variables in the ``.env`` file that others read: gunicorn,
    compose, createsuperuser.
    """

    def __init__(self, env_file: Path, elsewhere: frozenset[str]) -> None:
        self.env_file = env_file
        self.names: set[str] = set(elsewhere)
        try:
            content = env_file.read_text(encoding="utf-8")
        except FileNotFoundError:
            content = ""
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"{env_file} cannot be read: {error}") from error
        for number, line in enumerate(content.splitlines(), start=1):
            if line.strip() and not line.startswith("#") and not _LINE.match(line):
                raise ImproperlyConfigured(
                    f"Line {number} of {env_file} is no setting. Write NAME=value, "
                    "without spaces around the name, or # in front of a comment."
                )
        environ.Env.read_env(io.StringIO(content))
        # Not what is new in os.environ: Django imports settings that failed once more,
        # and an unknown name has to stop the second import too.
        self._from_file = {
            name
            for name in re.findall(_LINE, content)
            if not name.startswith("COMPOSE_")
        }

    def text(
        self,
        name: str,
        *,
        example: str,
        default: str | None = None,
        check: Callable[[str], str | None] = lambda value: None,
    ) -> str:
        """Return a setting; without ``default`` it must be given.

        ``check`` returns what is wrong with a value, or None.
        """
        self.names.add(name)
        value = os.environ.get(name, "").strip() or default
        if value is None:
            raise ImproperlyConfigured(
                f"{name} is not set. Set it in the environment or in "
                f"{self.env_file}, for example {name}={example}"
            )
        if problem := check(value):
            raise malformed(name, problem, example)
        return value

    def given(self, name: str) -> bool:
        """Say whether an optional setting has a value."""
        self.names.add(name)
        return bool(os.environ.get(name, "").strip())

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> str:
        def check(value: str) -> str | None:
            return None if value in choices else f"must be one of {', '.join(choices)}"

        return self.text(name, example=default, default=default, check=check)

    def integer(
        self, name: str, *, default: int, minimum: int = 1, maximum: int = 10**6
    ) -> int:
        def check(value: str) -> str | None:
            valid = re.fullmatch("[0-9]{1,9}", value) and (
                minimum <= int(value) <= maximum
            )
            between = f"between {minimum} and {maximum}"
            return None if valid else f"must be a whole number {between}"

        example = default_text = str(default)
        return int(self.text(name, example=example, default=default_text, check=check))

    def day(self, name: str, *, example: str) -> dt.datetime | None:
        """Return the beginning of a day in UTC; None where it is not given."""

        def check(value: str) -> str | None:
            try:
                dt.date.fromisoformat(value)
            except ValueError:
                return "must be a date"
            return None

        if not self.given(name):
            return None
        day = dt.date.fromisoformat(self.text(name, example=example, check=check))
        return dt.datetime.combine(day, dt.time(), tzinfo=dt.UTC)

    def flag(self, name: str, *, default: bool) -> bool:
        def check(value: str) -> str | None:
            known = value.lower() in _TRUE | _FALSE
            return None if known else "must be true or false"

        text = "true" if default else "false"
        value = self.text(name, example=text, default=text, check=check)
        return value.lower() in _TRUE

    def words(
        self,
        name: str,
        *,
        example: str,
        default: str | None = None,
        check: Callable[[str], str | None] = lambda word: None,
    ) -> list[str]:
        """Return the parts of a list separated by commas."""

        def split(value: str) -> list[str]:
            return [word.strip() for word in value.split(",") if word.strip()]

        def check_all(value: str) -> str | None:
            if default is None and not split(value):
                return "must hold at least one value"
            return next(filter(None, map(check, split(value))), None)

        return split(self.text(name, example=example, default=default, check=check_all))

    def database(self, name: str, *, default: str, base: Path) -> dict[str, Any]:
        """Return a Django database configuration from a URL.

        A relative SQLite path counts from ``base``.
        """
        example = "postgres://tradebot:secret@localhost:5432/tradebot"
        url = self.text(name, default=default, example=example)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                config: dict[str, Any] = environ.Env.db_url_config(url)
        except (ValueError, UserWarning, environ.ImproperlyConfigured):
            config = {}
        engine = config.get("ENGINE")
        if engine not in (_POSTGRESQL, _SQLITE) or not config.get("NAME"):
            raise malformed(
                name,
                "must be the URL of a PostgreSQL database (postgres://…) or of an "
                "SQLite file (sqlite:///…)",
                example,
            )
        if not _understood(config):
            raise malformed(
                name,
                "has an option in its query that is unknown or of a wrong type",
                f"{example}?conn_max_age=60",
            )
        options = config.setdefault("OPTIONS", {})
        if engine == _POSTGRESQL:
            config["ENGINE"] = "tradebot.postgresql"
            config.setdefault("CONN_MAX_AGE", 60)
            config.setdefault("CONN_HEALTH_CHECKS", True)
            options.setdefault("connect_timeout", 10)
        else:
            config["ENGINE"] = "tradebot.sqlite"
            if config["NAME"] != ":memory:":
                config["NAME"] = str(base / config["NAME"])
            # A writer waits for its turn at BEGIN instead of failing half-way;
            # readers are not held up by it.
            options.setdefault("transaction_mode", "IMMEDIATE")
            options.setdefault("timeout", 20)
            options.setdefault(
                "init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"
            )
        return config

    def email(self, name: str) -> dict[str, Any]:
        """Return Django's settings for a mail server from a URL; none if not given."""
        example = "smtp+tls://user:secret@mail.example.com:587"
        if not self.given(name):
            return {}

        def check(value: str) -> str | None:
            try:
                url = urlsplit(value)
                server = url.scheme in _MAIL_SERVERS and url.hostname and url.port
            except ValueError:
                server = False
            return None if server or value == "consolemail://" else _NO_MAIL_SERVER

        url = self.text(name, example=example, check=check)
        config: dict[str, Any] = environ.Env.email_url_config(url)
        return {**config, "EMAIL_TIMEOUT": 10}

    def refuse_unknown(self) -> None:
        """Stop where the ``.env`` file sets what nothing reads: a misspelt name."""
        for name in sorted(self._from_file - self.names):
            close = difflib.get_close_matches(name, sorted(self.names), 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ImproperlyConfigured(
                f"{name} in {self.env_file} is not a setting of TradeBot.{hint} "
                "Correct or remove it; .env.example lists them all."
            )


def _understood(config: dict[str, Any]) -> bool:
    """Say whether Django can work with the options in the query of a database URL.

    libpq checks its own when it connects; Python's sqlite3 fails with a TypeError.
    """
    options = config.get("OPTIONS", {})
    if config["ENGINE"] == _SQLITE and (
        options.keys() - {"timeout"} or type(options.get("timeout", 0)) is not int
    ):
        return False
    return all(
        type(config[name]) in types
        for name, types in _DATABASE_OPTIONS.items()
        if name in config
    )


def malformed(name: str, problem: str, example: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} {problem}, for example {name}={example}")
