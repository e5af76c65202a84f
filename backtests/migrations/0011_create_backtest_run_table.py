"""Create ``backtest_runs``: backtests that were asked for, until they are done.

The reverse drops it.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("backtests", "0010_add_backtest_result_columns"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="BacktestRun",
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
                ("request", models.JSONField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("done", "Done"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="queued",
                    ),
                ),
                ("progress", models.FloatField(default=0)),
                ("cancel_asked", models.BooleanField(default=False)),
                ("error", models.TextField(blank=True, null=True)),
                ("error_code", models.CharField(blank=True, null=True)),
                ("worker", models.CharField(blank=True, null=True)),
                ("beat_at", models.DateTimeField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(), editable=False
                    ),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "backtest",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="run",
                        to="backtests.backtest",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="backtest_runs",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "backtest_runs",
                "indexes": [
                    models.Index(fields=["user"], name="backtest_runs_user"),
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["id"],
                        name="backtest_runs_open",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["queued", "running", "done", "failed", "cancelled"],
                            )
                        ),
                        name="backtest_runs_status",
                    )
                ],
            },
        ),
    ]
