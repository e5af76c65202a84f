"""Writes of exchange keys. The credentials come in clear and are stored encrypted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import User
from apikeys import crypto
from apikeys.models import APIKey, Environment
from tradebot.errors import ConflictError

_ENCRYPTED = {"api_key": "encrypted_api_key", "secret_key": "encrypted_secret_key"}


@transaction.atomic
def api_key_create(*, user: User, values: Mapping[str, Any]) -> APIKey:
    """Store a key: ``api_key``, ``secret_key`` and perhaps ``label``, ``environment``.

    It is for the test network where it does not say, and not valid until the exchange
    has accepted it. Raises ConflictError where the user has this key or this label
    already.
    """
    _lock_keys_of(user.pk)
    key = APIKey(user=user, environment=Environment.TESTNET)
    _assign(key, values)
    key.save()
    return key


@transaction.atomic
def api_key_update(*, api_key: APIKey, values: Mapping[str, Any]) -> APIKey:
    """Change a key: any of ``api_key``, ``secret_key``, ``label`` and ``environment``.

    New credentials, and those for another environment, have to be accepted by the
    exchange again. Raises ConflictError where the user has them or the label already,
    or where a running bot trades with the old ones.
    """
    _lock_keys_of(api_key.user_id)
    key = api_key_lock(pk=api_key.pk)
    if _assign(key, values):
        _refuse_while_bots_run(
            key,
            gettext(
                "Bots run or hold positions with this API key: %(bots)s. Stop them "
                "with close=true before changing its credentials or its environment."
            ),
        )
    key.save()
    return key


@transaction.atomic
def api_key_accept(*, api_key: APIKey, permissions: Sequence[str] | None) -> APIKey:
    """Store what the exchange lets a key do; None where it does not accept it.

    Raises ConflictError where the key is not the one any more that it was asked about.
    """
    key = api_key_lock(pk=api_key.pk)
    asked = ("encrypted_api_key", "encrypted_secret_key", "environment")
    if any(getattr(key, name) != getattr(api_key, name) for name in asked):
        raise ConflictError(
            gettext("This API key was changed meanwhile. Validate it again.")
        )
    key.is_valid = permissions is not None
    key.permissions = None if permissions is None else list(permissions)
    key.validated_at = timezone.now()
    key.save()
    return key


@transaction.atomic
def api_key_delete(*, api_key: APIKey) -> None:
    """Delete a key; its bots stay, stopped and without a key.

    Raises ConflictError where one of them is running.
    """
    key = api_key_lock(pk=api_key.pk)
    _refuse_while_bots_run(
        key,
        gettext(
            "Bots run or hold positions with this API key: %(bots)s. Stop them with "
            "close=true before deleting it."
        ),
    )
    key.bot_configs.update(api_key=None, is_active=False, updated_at=timezone.now())
    key.delete()


def api_key_lock(*, pk: int) -> APIKey:
    """Return a key that nobody deletes or gives to a bot before the transaction ends.

    Where a bot is locked as well, the key comes first. Raises APIKey.DoesNotExist.
    """
    return APIKey.objects.select_for_update().get(pk=pk)


def _lock_keys_of(user_id: int) -> None:
    """Let one request at a time look for duplicates and write.

    Equal credentials are encrypted differently: no constraint could tell.
    """
    User.objects.select_for_update(no_key=True).only("pk").get(pk=user_id)


def _assign(key: APIKey, values: Mapping[str, Any]) -> bool:
    """Set the values; return whether the exchange has to accept the key anew."""
    others = APIKey.objects.filter(user_id=key.user_id).exclude(pk=key.pk)
    if "label" in values:
        key.label = values["label"]
        if key.label is not None and others.filter(label=key.label).exists():
            raise ConflictError(
                gettext(
                    "You have an API key with this label already. Choose another label."
                )
            )
    changed = "environment" in values and values["environment"] != key.environment
    if changed:
        key.environment = values["environment"]
    for name, column in _ENCRYPTED.items():
        if name in values and _decrypt(getattr(key, column)) != values[name]:
            setattr(key, column, crypto.encrypt(values[name]))
            changed = True
    if changed:
        key.is_valid, key.permissions, key.validated_at = False, None, None
        if "api_key" in values:
            _refuse_duplicate(values["api_key"], others)
    return changed


def _refuse_duplicate(api_key: str, others: Any) -> None:
    for other in others.only("encrypted_api_key", "label"):
        if _decrypt(other.encrypted_api_key) == api_key:
            raise ConflictError(
                gettext(
                    "You have stored this API key already, as number %(id)s. Change or "
                    "delete that one."
                )
                % {"id": other.pk}
            )


def _decrypt(token: str) -> str | None:
    """Return the secret; None where there is none or it cannot be read any more."""
    try:
        return crypto.decrypt(token) if token else None
    except crypto.DecryptionError:
        return None


def _refuse_while_bots_run(key: APIKey, message: str) -> None:
    """Raise ConflictError where bots trade with a key, or have a position by it."""
    bots = key.bot_configs.select_for_update().order_by("pk")
    positioned = set(
        key.bot_configs.exclude(environment=Environment.PAPER)
        .filter(positions__isnull=False, positions__closed_at__isnull=True)
        .values_list("pk", flat=True)
    )
    at_work = [str(bot.pk) for bot in bots if bot.is_active or bot.pk in positioned]
    if at_work:
        raise ConflictError(message % {"bots": ", ".join(at_work)})
