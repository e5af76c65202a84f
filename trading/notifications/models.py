"""The outbox of notifications, and where and how each user wants to be told."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from tradebot.fields import TransactionNow


class Kind(models.TextChoices):
    """What a notification tells of."""

    ORDER_FILLED = "order_filled", "Order filled"
    POSITION_CLOSED = "position_closed", "Position closed"
    BOT_ERROR = "bot_error", "Bot stopped by an error"
    BOT_PAUSED = "bot_paused", "Bot paused by a limit"
    BOT_STOPPED = "bot_stopped", "Bot stopped"
    TRADING_HALTED = "trading_halted", "Trading halted"
    TEST = "test", "Test"


CHOSEN_KINDS = [kind for kind in Kind if kind is not Kind.TEST]
"""Those that users choose from; a test is asked for each time."""


class Channel(models.TextChoices):
    """The way by which a notification reaches its user."""

    EMAIL = "email", "E-mail"
    WEBHOOK = "webhook", "Webhook"


def default_kinds() -> dict[Channel, list[str]]:
    """Return what users are told by each channel until they choose."""
    # By mail, what somebody should look at; programs can read it all.
    alarms: list[str] = [Kind.BOT_ERROR, Kind.BOT_PAUSED, Kind.TRADING_HALTED]
    return {Channel.EMAIL: alarms, Channel.WEBHOOK: list(CHOSEN_KINDS)}


class NotificationSettings(models.Model):
    """What a user wants to be told, by channel. Who has no row has the defaults."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="notification_settings",
    )
    email_kinds = models.JSONField()
    webhook_kinds = models.JSONField()
    language = models.CharField(choices=settings.LANGUAGES, default="en")

    class Meta:
        db_table = "notification_settings"
        verbose_name = verbose_name_plural = "notification settings"

    def __str__(self) -> str:
        return f"Notification settings of user {self.pk}"


class Webhook(models.Model):
    """Where a user's own server wants to be told, and the secret that signs it.

    ``failed_at`` and ``last_error`` are of the last try; null where it succeeded.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="webhook",
    )
    url = models.CharField("URL")
    encrypted_secret = models.CharField(editable=False)
    is_active = models.BooleanField("active", default=True)
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    failed_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "webhooks"

    def __str__(self) -> str:
        return f"Webhook of user {self.pk}"


class Notification(models.Model):
    """The outbox: one message by one channel, until it is sent or given up.

    ``next_try_at`` is null once that is so. Who delivers sets it to a later time
    first, so that what a killed process was at becomes due again.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="notifications",
        db_index=False,
    )
    # A number without a key: the log outlives the bot.
    bot_config_id = models.IntegerField("bot", null=True, blank=True)
    kind = models.CharField(choices=Kind)
    channel = models.CharField(choices=Channel)
    # JSON as text: JSON columns are read as floats, which lose digits of money.
    payload = models.TextField()
    created_at = models.DateTimeField(editable=False, db_default=TransactionNow())
    attempts = models.IntegerField(default=0)
    next_try_at = models.DateTimeField(
        null=True, blank=True, db_default=TransactionNow()
    )
    sent_at = models.DateTimeField(null=True, blank=True)
    given_up_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "notifications"
        indexes = [
            models.Index(fields=["user", "id"], name="notifications_user_id"),
            models.Index(
                fields=["next_try_at"],
                condition=Q(next_try_at__isnull=False),
                name="notifications_due",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=Kind.values), name="notifications_kind"
            ),
            models.CheckConstraint(
                condition=Q(channel__in=Channel.values), name="notifications_channel"
            ),
            models.CheckConstraint(
                condition=Q(next_try_at__isnull=False)
                & Q(sent_at__isnull=True, given_up_at__isnull=True)
                | Q(next_try_at__isnull=True)
                & (
                    Q(sent_at__isnull=False, given_up_at__isnull=True)
                    | Q(sent_at__isnull=True, given_up_at__isnull=False)
                ),
                name="notifications_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} by {self.channel} (notification {self.pk})"
