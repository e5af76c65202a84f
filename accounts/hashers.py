"""How passwords are hashed: as the old program did, or in the modern way.

``settings.PASSWORD_HASHER`` chooses for new passwords. Both kinds let their owners in,
and a log-in turns the hash into one of the chosen kind.

Hashing takes time by intent. It is done by threads of a lower priority, which leave a
processor free, so that those who log in hold up nobody else.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import bcrypt
from django.conf import settings
from django.contrib.auth.hashers import (
    Argon2PasswordHasher,
    BCryptPasswordHasher,
    get_hashers,
)
from django.db import connection

from tradebot.errors import BusyError

MAX_BYTES = 72


def _step_back() -> None:
    if sys.platform == "linux":  # where threads have a priority of their own
        lower = min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), lower)


# Both kinds release the interpreter's lock while they hash, but want it at the end of
# each: a thread that has it and no processor, at its priority, holds up all the others.
_threads = ThreadPoolExecutor(
    max(((os.cpu_count() or 1) - 1) // settings.WEB_CONCURRENCY, 1),
    thread_name_prefix="hashing",
    initializer=_step_back,
)


# Those who wait for a hash keep a thread. Two of wsgi's stay for other requests;
# asgi's are made as they are needed.
_MOST_AT_ONCE = (
    max(settings.WEB_THREADS - 2, 1) if settings.WEB_WORKER != "asgi" else 32
)
_places = threading.BoundedSemaphore(_MOST_AT_ONCE)


@contextmanager
def place_to_hash() -> Iterator[None]:
    """Take one of the places of those who hash passwords, and hold up nobody else.

    A connection of the pool goes back to it for that time. Raises BusyError where all
    places are taken.
    """
    if not _places.acquire(blocking=False):
        raise BusyError
    try:
        pooled = connection.settings_dict["OPTIONS"].get("pool")
        if pooled and not connection.in_atomic_block:
            connection.close()
        yield
    finally:
        _places.release()


class BcryptPasswordHasher(BCryptPasswordHasher):
    """bcrypt at cost 12 over the first 72 bytes of the password.

    passlib cut longer passwords without a word, so their owners must still get in;
    bcrypt 5 raises instead. New passwords that are longer are refused before they get
    here (``PasswordPolicyValidator``).
    """

    rounds = 12

    def encode(self, password: str, salt: bytes | str) -> str:
        salt = salt.encode() if isinstance(salt, str) else salt
        secret = password.encode()[:MAX_BYTES]
        hashed = _threads.submit(bcrypt.hashpw, secret, salt).result()
        return f"{self.algorithm}${hashed.decode('ascii')}"

    def verify(self, password: str, encoded: str) -> bool:
        try:
            return super().verify(password, encoded)
        except ValueError:  # the column holds what is no hash: no password is right
            return False


class Argon2idPasswordHasher(Argon2PasswordHasher):
    """Argon2id as OWASP's Password Storage Cheat Sheet asks for at least.

    Django's own takes 100 MiB and eight threads for a hash: too much for a small server
    on which several people log in at once.
    """

    memory_cost = 19_456  # KiB
    time_cost = 2
    parallelism = 1

    def encode(self, password: str, salt: str) -> str:
        return _threads.submit(super().encode, password, salt).result()

    def verify(self, password: str, encoded: str) -> bool:
        return _threads.submit(super().verify, password, encoded).result()


def hash_otherwise(password: str, *, than: str) -> None:
    """Hash a password, for nothing, in each way but the one of the hash ``than``.

    With the look at that hash every way is gone once: how long a wrong log-in takes
    tells neither whether there is such a user nor how their password is hashed.
    """
    done = algorithm_of(than)
    for hasher in get_hashers():
        if hasher.algorithm != done:
            hasher.encode(password, hasher.salt())


def algorithm_of(encoded: str) -> str | None:
    """Return the way in which a hash was made; None where it is not one of ours."""
    name = encoded.partition("$")[0]
    known = {hasher.algorithm for hasher in get_hashers()}
    return name if name in known else None
