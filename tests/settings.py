"""The product's settings with secrets of its own, whatever the machine has in .env."""

import os

os.environ |= {
    # Nothing listens there: no test leaves the machine.
    "BINANCE_FUTURES_URL": "http://127.0.0.1:1",
    "BINANCE_SPOT_URL": "http://127.0.0.1:1",
    "BINANCE_TESTNET_FUTURES_URL": "http://127.0.0.1:1",
    "BINANCE_TESTNET_SPOT_URL": "http://127.0.0.1:1",
    "ENV_FILE": os.devnull,
    "FERNET_KEYS": "dGVzdHMgb25seTogbm90IGEgc2VjcmV0IG9mIGFueSE=",
    "HTTPS_ONLY": "false",
    "JWT_SECRET": "tests only: a signing key of more than 64 bytes, as HS512 wants it",
    "SECRET_KEY": "tests only: fifty characters or more, or Django would warn",
}

from tradebot.settings import *  # noqa: F403
from tradebot.settings import DATABASES

if DATABASES["default"]["ENGINE"] == "tradebot.sqlite":
    # pytest-django knows the engine of Django only as one that tests in memory.
    DATABASES["default"]["TEST"] = {"NAME": ":memory:"}

# A file is looked for when it is asked for. Else each of the two thousand clients that
# tests make would read the whole list of them first: a quarter of the time of a run.
WHITENOISE_AUTOREFRESH = True
