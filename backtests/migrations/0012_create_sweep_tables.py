"""Create ``sweeps``, their ``sweep_pieces`` and ``sweep_results``: grids of backtests.

The reverse drops them.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import tradebot.fields


class Migration(migrations.Migration):
    dependencies = [
        ("backtests", "0011_create_backtest_run_table"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Sweep",
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
                ("combinations", models.IntegerField()),
                ("fingerprint", models.CharField(blank=True, null=True)),
                ("summary", models.JSONField(blank=True, null=True)),
                ("error", models.TextField(blank=True, null=True)),
                ("error_code", models.CharField(blank=True, null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=tradebot.fields.TransactionNow(), editable=False
                    ),
                ),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sweeps",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "db_table": "sweeps",
                "indexes": [models.Index(fields=["user"], name="sweeps_user")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            (
                                "status__in",
                                ["queued", "running", "done", "failed", "cancelled"],
                            )
                        ),
                        name="sweeps_status",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SweepPiece",
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
                ("start", models.IntegerField()),
                ("stop", models.IntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("done", "Done"),
                        ],
                        default="queued",
                    ),
                ),
                ("worker", models.CharField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("beat_at", models.DateTimeField(blank=True, null=True)),
                (
                    "sweep",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pieces",
                        to="backtests.sweep",
                    ),
                ),
            ],
            options={
                "db_table": "sweep_pieces",
                "indexes": [
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["id"],
                        name="sweep_pieces_open",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("sweep", "start"), name="sweep_pieces_start"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status__in", ["queued", "running", "done"])
                        ),
                        name="sweep_pieces_status",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SweepResult",
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
                ("number", models.IntegerField()),
                ("parameters", models.JSONField()),
                ("score", models.FloatField(blank=True, null=True)),
                ("metrics", models.JSONField()),
                ("train_scores", models.JSONField(blank=True, null=True)),
                (
                    "sweep",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="results",
                        to="backtests.sweep",
                    ),
                ),
            ],
            options={
                "db_table": "sweep_results",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("sweep", "number"), name="sweep_results_number"
                    )
                ],
            },
        ),
    ]
