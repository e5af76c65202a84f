"""Create the tables ``webhooks``, ``notification_settings`` and ``notifications``.

The reverse drops them with their rows.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0011_create_order_tables"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="NotificationSettings",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="notification_settings",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("email_kinds", models.JSONField()),
                ("webhook_kinds", models.JSONField()),
                (
                    "language",
                    models.CharField(
                        choices=[("en", "English"), ("tr", "Turkish")], default="en"
                    ),
                ),
            ],
            options={
                "verbose_name": "notification settings",
                "verbose_name_plural": "notification settings",
                "db_table": "notification_settings",
            },
        ),
        migrations.CreateModel(
            name="Webhook",
            fields=[
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="webhook",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("url", models.CharField(verbose_name="URL")),
                ("encrypted_secret", models.CharField(editable=False)),
                ("is_active", models.BooleanField(default=True, verbose_name="active")),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(), editable=False
                    ),
                ),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.TextField(blank=True, null=True)),
            ],
            options={
                "db_table": "webhooks",
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "bot_config_id",
                    models.IntegerField(blank=True, null=True, verbose_name="bot"),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("order_filled", "Order filled"),
                            ("position_closed", "Position closed"),
                            ("bot_error", "Bot stopped by an error"),
                            ("bot_paused", "Bot paused by a limit"),
                            ("bot_stopped", "Bot stopped"),
                            ("trading_halted", "Trading halted"),
                            ("test", "Test"),
                        ]
                    ),
                ),
                (
                    "channel",
                    models.CharField(
                        choices=[("email", "E-mail"), ("webhook", "Webhook")]
                    ),
                ),
                ("payload", models.TextField()),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(), editable=False
                    ),
                ),
                ("attempts", models.IntegerField(default=0)),
                (
                    "next_try_at",
                    models.DateTimeField(
                        blank=True,
                        db_default=tradebot.fields.TransactionNow(),
                        null=True,
                    ),
                ),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("given_up_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.TextField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "notifications",
                "indexes": [
                    models.Index(fields=["user", "id"], name="notifications_user_id"),
                    models.Index(
                        condition=models.Q(("next_try_at__isnull", False)),
                        fields=["next_try_at"],
                        name="notifications_due",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "kind__in",
                                [
                                    "order_filled",
                                    "position_closed",
                                    "bot_error",
                                    "bot_paused",
                                    "bot_stopped",
                                    "trading_halted",
                                    "test",
                                ],
                            )
                        ),
                        name="notifications_kind",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("channel__in", ["email", "webhook"])),
                        name="notifications_channel",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("next_try_at__isnull", False),
                                ("given_up_at__isnull", True),
                                ("sent_at__isnull", True),
                            ),
                            models.Q(
                                ("next_try_at__isnull", True),
                                models.Q(
                                    models.Q(
                                        ("given_up_at__isnull", True),
                                        ("sent_at__isnull", False),
                                    ),
                                    models.Q(
                                        ("given_up_at__isnull", False),
                                        ("sent_at__isnull", True),
                                    ),
                                    _connector="OR",
                                ),
                            ),
                            _connector="OR",
                        ),
                        name="notifications_state",
                    ),
                ],
            },
        ),
    ]
