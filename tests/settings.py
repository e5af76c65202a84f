"""The product's settings with secrets of its own, whatever the machine has in .env."""

import os

os.environ |= {
    "ENV_FILE": os.devnull,
    "FERNET_KEYS": "dGVzdHMgb25seTogbm90IGEgc2VjcmV0IG9mIGFueSE=",
    "HTTPS_ONLY": "false",
    "JWT_SECRET": "tests only: a signing key of more than 64 bytes, as HS512 would have",
    "SECRET_KEY": "tests only: fifty characters or more, or Django would warn",
}

from tradebot.settings import *  # noqa: E402, F403
