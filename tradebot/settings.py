"""All settings. What differs between installations comes from the environment.

``.env.example`` lists the variables; a test holds it against this file.
"""

import base64
import ipaddress
import os
import re
import sys
import zoneinfo
from pathlib import Path
from urllib.parse import urlsplit

from tradebot import __version__
from tradebot.env import Environment, malformed

BASE_DIR = Path(__file__).resolve().parent.parent

env = Environment(
    Path(os.environ.get("ENV_FILE", BASE_DIR / ".env")),
    elsewhere=frozenset(
        {
            "DJANGO_SUPERUSER_EMAIL",
            "DJANGO_SUPERUSER_PASSWORD",
            "ENV_FILE",
            "POSTGRES_PASSWORD",
            "WEB_ADDRESS",
            "WEB_PORT",
        }
    ),
)


_TESTNETS = {
    "demo-api.binance.com",
    "demo-fapi.binance.com",
    "testnet.binance.vision",
    "testnet.binancefuture.com",
}


def _check_secret(value: str) -> str | None:
    if len(value.encode()) < 32:
        return "must have 32 characters or more"
    return None


def _check_old_secret(value: str) -> str | None:
    # Shorter ones are found by trying, and with them tokens of any user are made.
    if len(value.encode()) < 8:
        return "must have 8 characters or more"
    return None


def _check_metrics_token(value: str) -> str | None:
    if len(value) < 16 or not value.isascii() or not value.isprintable():
        return "must have 16 ASCII characters or more"
    return None


def _check_fernet_key(value: str) -> str | None:
    try:
        valid = len(base64.urlsafe_b64decode(value)) == 32
    except ValueError:
        valid = False
    return None if valid else "must hold keys of 32 bytes in URL-safe base64"


def _check_address(value: str) -> str | None:
    match = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", value)
    valid = match is not None and 0 < int(match[1]) < 65536
    return None if valid else "must be an address and a port"


def _check_host(value: str) -> str | None:
    # A name, with a dot before it for those below it; or an address.
    if re.fullmatch(r"\*|\.?[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]", value):
        return None
    return "must hold names without a scheme and without a port"


def _check_origin(value: str) -> str | None:
    if re.fullmatch(r"https?://[^\s/?#]+", value):
        return None
    return "must hold a scheme and a host without a path"


def _check_proxy(value: str) -> str | None:
    try:
        known = value == "unix" or bool(ipaddress.ip_network(value))
    except ValueError:
        known = False
    return None if known else "must hold addresses, networks or unix"


def _check_network(value: str) -> str | None:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        return "must hold networks or addresses"
    return None


def _check_sender(value: str) -> str | None:
    if re.fullmatch(r"[^\s<>@]+@[^\s<>@]+|[^<>@\r\n]+<[^\s<>@]+@[^\s<>@]+>", value):
        return None
    return "must be an e-mail address, with a name before it perhaps"


def _check_site(value: str) -> str | None:
    if re.fullmatch(r"https?://[^\s/?#]+(?:/[^\s?#]*)?", value):
        return None
    return "must be a URL without a query"


def _check_page_origin(value: str) -> str | None:
    if value == "*":
        return None
    # Browsers send it in small letters; it is compared as text.
    if value == value.lower() and "*" not in value:
        return _check_origin(value)
    return "must hold origins in small letters, or only *"


def _check_exchange(value: str) -> str | None:
    here = r"http://(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])"
    found = re.fullmatch(rf"(?:https://[^\s/?#@:]+|{here})(?::([0-9]{{1,5}}))?", value)
    if not found:
        return "must be an address with https:// and without a path"
    if not 1 <= int(found[1] or 443) <= 65_535:
        return "must have a port between 1 and 65535, or none"
    return None


def _check_testnet(value: str) -> str | None:
    # What is not known to be one might be the real exchange.
    host = (urlsplit(value).hostname or "").lower()
    if host in _TESTNETS or value.startswith("http://"):
        return _check_exchange(value)
    return f"must be a host of a testnet ({', '.join(sorted(_TESTNETS))})"


def _check_zone(value: str) -> str | None:
    known = value in zoneinfo.available_timezones()
    return None if known else "must be the name of a time zone"


# --- Security ---------------------------------------------------------------------

DEBUG = env.flag("DEBUG", default=False)
SECRET_KEY = env.text(
    "SECRET_KEY", example="<50 random characters>", check=_check_secret
)
# The first key encrypts exchange credentials and secrets of webhooks, all decrypt.
FERNET_KEYS = env.words(
    "FERNET_KEYS",
    example="<the output of: openssl rand -base64 32 | tr '+/' '-_'>",
    check=_check_fernet_key,
)
ALLOWED_HOSTS = [
    *env.words(
        "ALLOWED_HOSTS",
        default="localhost,[::1]",
        example="bots.example.com",
        check=_check_host,
    ),
    "127.0.0.1",  # the container's health check asks there
]
CSRF_TRUSTED_ORIGINS = env.words(
    "CSRF_TRUSTED_ORIGINS",
    default=",",
    example="https://bots.example.com",
    check=_check_origin,
)
# Off only where the server is used without a TLS proxy in front, as on one's own
# machine.
HTTPS_ONLY = env.flag("HTTPS_ONLY", default=True)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [r"^health"]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS_ONLY else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576  # bytes in a request body

# Whose X-Forwarded-For is believed: addresses and networks, and "unix" for sockets.
TRUSTED_PROXIES = env.words(
    "TRUSTED_PROXIES", default=",", example="172.18.0.0/16", check=_check_proxy
)

# --- Server -----------------------------------------------------------------------
# For gunicorn_config.py. Read here, so that a wrong value stops the migration before
# the server: gunicorn reads WEB_CONCURRENCY itself too, and fails with a traceback.

BIND = env.text(
    "BIND", default="127.0.0.1:8000", example="0.0.0.0:8000", check=_check_address
)
# wsgi answers more requests; asgi serves event streams besides.
WEB_WORKER = env.choice("WEB_WORKER", ("asgi", "wsgi"), default="asgi")
WEB_CONCURRENCY = env.integer("WEB_CONCURRENCY", default=2)
# More than people who log in at once: each of them keeps one busy for a while.
WEB_THREADS = env.integer("WEB_THREADS", default=8)

# Processes beside the server that run backtests; 0 where runworker is run elsewhere.
# They give way to it: a sweep may have all processors.
BACKTEST_WORKERS = env.integer(
    "BACKTEST_WORKERS", default=os.cpu_count() or 1, minimum=0
)
# Processes beside the server that run bots.
BOT_RUNNERS = env.integer("BOT_RUNNERS", default=1, minimum=0)


def _check_broker_url(value: str) -> str | None:
    if value.startswith(("redis://", "rediss://", "unix://")):
        return None
    return "must be the URL of a Redis"


# For those who run bots or backtests by Celery; nothing else asks for it.
CELERY_BROKER_URL = (
    env.text(
        "CELERY_BROKER_URL", example="redis://redis:6379/0", check=_check_broker_url
    )
    if env.given("CELERY_BROKER_URL")
    else None
)

# --- Applications -----------------------------------------------------------------

INSTALLED_APPS = [
    "tradebot",
    "accounts",
    "apikeys",
    "bots",
    "trading",
    "backtests",
    "unfold",  # before Django's admin, whose site and pages it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "tradebot.logs.RequestLogMiddleware",  # all that happens belongs to a request
    # Before the rest: a browser takes no redirect for a preflight, and shows no error
    # to a page that these headers do not let in.
    "corsheaders.middleware.CorsMiddleware",
    # What those after it refuse is told in a language too.
    "tradebot.api.middleware.LanguageMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "tradebot.api.middleware.OptionalSlashMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "tradebot.adminsite.middleware.ContentSecurityPolicyMiddleware",
    "tradebot.adminsite.middleware.UnreadableInputMiddleware",
]
# Not in a cookie, for which each request of the API would make a signer.
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"
ROOT_URLCONF = "tradebot.urls"
WSGI_APPLICATION = "tradebot.wsgi.application"
APPEND_SLASH = False  # OptionalSlashMiddleware serves both forms
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
# The image collects the static files; a checkout serves them from the packages.
_collected = BASE_DIR / "staticfiles"
STATIC_ROOT = _collected if _collected.exists() else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = STATIC_ROOT is None
if WHITENOISE_USE_FINDERS:
    STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )

# --- Admin ------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "TradeBot",
    "SITE_HEADER": "TradeBot",
    "SITE_SUBHEADER": f"Version {__version__}",
    "SITE_SYMBOL": "candlestick_chart",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": "tradebot.adminsite.assets.icon",
        }
    ],
    "STYLES": ["tradebot.adminsite.assets.styles"],
    "SITE_URL": None,  # there are no pages for browsers to go back to
    "SHOW_BACK_BUTTON": True,
    "ENVIRONMENT": ["Debug", "danger"] if DEBUG else None,
    "SIDEBAR": {"navigation": "tradebot.adminsite.navigation.navigation"},
    "DASHBOARD_CALLBACK": "trading.dashboard.page.dashboard",
}

# --- Database ---------------------------------------------------------------------

DATABASES = {
    "default": env.database(
        "DATABASE_URL", default="sqlite:///tradebot.sqlite3", base=BASE_DIR
    )
}
# Where migrate goes if the one above is reached through a pooler in transaction mode.
MIGRATION_DATABASE = (
    env.database("MIGRATION_DATABASE_URL", default="", base=BASE_DIR)
    if env.given("MIGRATION_DATABASE_URL")
    else None
)
# A pooler's servers keep no statements. Django's own cursors prepare none: this is for
# DatabaseWrapper.prepared_cursor().
if MIGRATION_DATABASE is None and DATABASES["default"]["ENGINE"].endswith("postgresql"):
    DATABASES["default"]["OPTIONS"]["prepare_threshold"] = 1
# How long a transaction of migrate waits for locks, and how long it is tried again.
MIGRATION_LOCK_TIMEOUT_MS = env.integer("MIGRATION_LOCK_TIMEOUT_MS", default=50)
MIGRATION_LOCK_WAIT_S = env.integer("MIGRATION_LOCK_WAIT_S", default=600)
# How long migrate and wait_for_schema wait for a server that is about to come.
DATABASE_WAIT_S = env.integer("DATABASE_WAIT_S", default=60, minimum=0, maximum=86_400)
# How times without a zone were written, where the server's own zone is not UTC.
NAIVE_TIMES_ZONE = (
    env.text("NAIVE_TIMES_ZONE", example="Europe/Berlin", check=_check_zone)
    if env.given("NAIVE_TIMES_ZONE")
    else None
)
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "UTC"
USE_TZ = True

# --- Languages --------------------------------------------------------------------
# Of the API's messages. Everything else is in English.

USE_I18N = True
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("tr", "Turkish")]

# --- Users ------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
# Inactive users are told so, after the right password only; nothing lets them in.
AUTHENTICATION_BACKENDS = ["accounts.backends.LimitedBackend"]
# The first makes new hashes, all of them verify.
_hashers = {
    "bcrypt": "accounts.hashers.BcryptPasswordHasher",
    "argon2id": "accounts.hashers.Argon2idPasswordHasher",
}
_chosen = env.choice("PASSWORD_HASHER", tuple(_hashers), default="bcrypt")
PASSWORD_HASHERS = [_hashers.pop(_chosen), *_hashers.values()]
AUTH_PASSWORD_VALIDATORS = [{"NAME": "accounts.passwords.PasswordPolicyValidator"}]

# --- Mail -------------------------------------------------------------------------

# Nobody gets a mail by default; who is told to send some needs an address to send from
# and one that links lead to.
EMAIL_BACKEND = (
    "django.core.mail.backends.console.EmailBackend"
    if DEBUG
    else "django.core.mail.backends.dummy.EmailBackend"
)
vars().update(env.email("EMAIL_URL"))
_needed = env.given("EMAIL_URL")
DEFAULT_FROM_EMAIL = env.text(
    "DEFAULT_FROM_EMAIL",
    default=None if _needed else "tradebot@localhost",
    example="TradeBot <tradebot@example.com>",
    check=_check_sender,
)
# Of the web frontend; its page /reset-password?token=… sets a new password.
FRONTEND_URL = env.text(
    "FRONTEND_URL",
    default=None if _needed else "http://localhost:3000",
    example="https://bots.example.com",
    check=_check_site,
).rstrip("/")

# --- Webhooks ---------------------------------------------------------------------

# Networks that are not of the public internet, to which users may have webhooks sent.
WEBHOOK_ALLOWED_NETWORKS = [
    ipaddress.ip_network(network)
    for network in env.words(
        "WEBHOOK_ALLOWED_NETWORKS",
        default=",",
        example="192.168.1.0/24",
        check=_check_network,
    )
]

# --- API --------------------------------------------------------------------------

JWT_SECRET = env.text(
    "JWT_SECRET", example="<64 random characters>", check=_check_secret
)
# A former secret, as that of the old program: its tokens are accepted, none is made.
JWT_OLD_SECRET = (
    env.text("JWT_OLD_SECRET", example="<the former secret>", check=_check_old_secret)
    if env.given("JWT_OLD_SECRET")
    else None
)
# The old program's tokens do not say when they were issued.
JWT_WITHOUT_IAT_UNTIL = env.day("JWT_WITHOUT_IAT_UNTIL", example="2027-01-31")
JWT_ALGORITHM = env.choice("JWT_ALGORITHM", ("HS256", "HS512"), default="HS512")
ACCESS_TOKEN_EXPIRE_MINUTES = env.integer("ACCESS_TOKEN_EXPIRE_MINUTES", default=10_080)
REMEMBER_ME_EXPIRE_MINUTES = env.integer("REMEMBER_ME_EXPIRE_MINUTES", default=43_200)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.api.authentication.JWTAuthentication"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tradebot.api.negotiation.JSONOnly",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is a method like others that are not
    "DEFAULT_PARSER_CLASSES": ["tradebot.api.json.ExactJSONParser"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["tradebot.api.json.ExactJSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "tradebot.api.schema.ProblemAutoSchema",
    "COERCE_DECIMAL_TO_STRING": False,
    "EXCEPTION_HANDLER": "tradebot.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
# Origins whose pages may use the API; * are those of all. Without cookies in any case:
# a page has to know a token.
CORS_ALLOWED_ORIGINS = env.words(
    "CORS_ALLOWED_ORIGINS",
    default=",",
    example="https://app.example.com",
    check=_check_page_origin,
)
CORS_ALLOW_ALL_ORIGINS = "*" in CORS_ALLOWED_ORIGINS
if CORS_ALLOW_ALL_ORIGINS and len(CORS_ALLOWED_ORIGINS) > 1:
    raise malformed(
        "CORS_ALLOWED_ORIGINS",
        "must hold origins, or only *",
        "https://app.example.com",
    )
if CORS_ALLOW_ALL_ORIGINS:
    CORS_ALLOWED_ORIGINS = []
CORS_URLS_REGEX = r"/(?:api/v1/|health|openapi\.json)"
CORS_PREFLIGHT_MAX_AGE = 600  # seconds
CORS_ALLOW_HEADERS = ["authorization", "content-type", "last-event-id"]
CORS_EXPOSE_HEADERS = [
    "Age",
    "Cache-Status",
    "Content-Disposition",
    "Link",
    "Retry-After",
    "X-Request-ID",
    "X-Total-Count",
]
SPECTACULAR_SETTINGS = {
    "TITLE": "TradeBot API",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_AUTHENTICATION": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "tradebot.api.schema.answers_without_bounds",
    ],
    "PATH_CONVERTER_OVERRIDES": {"id": {"type": "integer", "minimum": 1}},
    "ENUM_NAME_OVERRIDES": {
        "PositionType": "bots.models.PositionType",
        "RunStatus": "backtests.models.BacktestRun.Status",
        "NotificationKind": "trading.notifications.models.Kind",
        "ChosenKind": "trading.notifications.models.CHOSEN_KINDS",
        "QueuedStatus": ["queued"],
        "SuccessStatus": ["success"],
    },
}

# --- Exchange ---------------------------------------------------------------------

# Asked for what it tells everybody; see trading/exchange_info.py.
BINANCE_SPOT_URL = env.text(
    "BINANCE_SPOT_URL",
    default="https://api.binance.com",
    example="https://data-api.binance.vision",
    check=_check_exchange,
)
BINANCE_FUTURES_URL = env.text(
    "BINANCE_FUTURES_URL",
    default="https://fapi.binance.com",
    example="https://fapi.binance.com",
    check=_check_exchange,
)
# Where orders for no money go. Where those for money go is no setting: see
# trading/exchanges/environments.py, which has the other two locks on it.
BINANCE_TESTNET_SPOT_URL = env.text(
    "BINANCE_TESTNET_SPOT_URL",
    default="https://testnet.binance.vision",
    example="https://testnet.binance.vision",
    check=_check_testnet,
)
BINANCE_TESTNET_FUTURES_URL = env.text(
    "BINANCE_TESTNET_FUTURES_URL",
    default="https://demo-fapi.binance.com",
    example="https://demo-fapi.binance.com",
    check=_check_testnet,
)
LIVE_TRADING_ENABLED = env.flag("LIVE_TRADING_ENABLED", default=False)

# --- Logging ----------------------------------------------------------------------

LOG_LEVEL = env.choice(
    "LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"), default="INFO"
)
# Who may read /metrics; without one nobody.
METRICS_TOKEN = (
    env.text("METRICS_TOKEN", example="<32 characters>", check=_check_metrics_token)
    if env.given("METRICS_TOKEN")
    else None
)


def _is_at_a_terminal() -> bool:
    """Say whether a person waits for this command; not of one that keeps running."""
    name, *command = sys.argv
    keep_running = {"deliver_notifications", "runbots", "runworker"}
    return (
        Path(name).name == "manage.py"
        and keep_running.isdisjoint(command[:1])
        and sys.stderr.isatty()
    )


# json for programs, plain for people.
LOG_FORMAT = env.choice(
    "LOG_FORMAT",
    ("json", "plain"),
    default="plain" if _is_at_a_terminal() else "json",
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "tradebot.logs.JSONFormatter"},
        "plain": {
            "()": "tradebot.logs.PlainFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Their own handlers would print each record twice.
        "django": {"handlers": [], "propagate": True, "level": LOG_LEVEL},
        # What it says of an answer with 4xx, tradebot.access has said already.
        "django.request": {"level": "CRITICAL" if LOG_LEVEL == "CRITICAL" else "ERROR"},
        "gunicorn.error": {"handlers": [], "propagate": True, "level": LOG_LEVEL},
        # Anyone can send any Host; the answer is 400.
        "django.security.DisallowedHost": {"level": "CRITICAL"},
        # At DEBUG statements hold personal data, and every variable that a page of the
        # admin leaves out comes with all the others, the hash of a password among them.
        "django.db.backends": {"level": "INFO"},
        "django.template": {"level": "INFO"},
        # At DEBUG they log requests to an exchange, with key and signature.
        "ccxt": {"level": "INFO"},
        "urllib3": {"level": "INFO"},
    },
}

env.refuse_unknown()
