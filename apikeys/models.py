"""Exchange API keys, encrypted at rest."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apikeys import crypto
from tradebot.fields import TransactionNow

_MASK = "****"


class Environment(models.TextChoices):
    """Where orders go: nowhere, to the exchange's test network, or to the exchange."""

    PAPER = "paper"
    TESTNET = "testnet"
    LIVE = "live"


class APIKey(models.Model):
    """Credentials for one environment of the exchange.

    ``environment`` is null for keys of the old program, which did not say for which
    they are.
    """

    id = models.AutoField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="api_keys",
        db_index=False,
    )
    encrypted_api_key = models.CharField(editable=False)
    encrypted_secret_key = models.CharField(editable=False)
    label = models.CharField(null=True, blank=True)
    # True once the exchange has accepted the key.
    is_valid = models.BooleanField("valid", default=False, db_default=False)
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    updated_at = models.DateTimeField(auto_now=True, db_default=TransactionNow())
    environment = models.CharField(null=True, blank=True, choices=Environment)
    # What the exchange said that the key may do, and when: null until it is asked.
    permissions = models.JSONField(null=True, blank=True, editable=False)
    validated_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        db_table = "api_keys"
        verbose_name = "API key"
        indexes = [
            models.Index(fields=["user"], name="ix_api_keys_user_id"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(environment__in=["paper", "testnet", "live"]),
                name="api_keys_environment",
                violation_error_message="environment must be paper, testnet or live",
            )
        ]

    def __str__(self) -> str:
        return self.label or f"API key {self.pk}"

    @property
    def masked(self) -> str:
        """The key as it may be shown: its first and last four characters.

        Only ``****`` where eight characters or fewer would give it away, or where it
        cannot be decrypted.
        """
        try:
            key = crypto.decrypt(self.encrypted_api_key)
        except crypto.DecryptionError:
            return _MASK
        return f"{key[:4]}{_MASK}{key[-4:]}" if len(key) > 8 else _MASK
