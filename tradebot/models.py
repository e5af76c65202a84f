"""The record of what was done to the schema; ``schema/history.py`` writes it.

Its table is made by the migration system itself, as ``django_migrations`` is: no
migration can record that it began in a table that a later one makes.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Action(models.TextChoices):
    """What was done with a migration."""

    APPLY = "apply"
    REVERSE = "reverse"
    ADOPT = "adopt"
    """Recorded as applied: the old program had made what it makes."""
    RETURN = "return"
    """Recorded as not applied: the database went back to the old program."""
    FAKE = "fake"
    """Recorded as applied because the operator said so."""
    UNFAKE = "unfake"
    """Recorded as not applied because the operator said so."""


class Event(models.TextChoices):
    """What happened to an action."""

    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class SchemaEvent(models.Model):
    """One row of a table that can only grow.

    An action that takes time has two: it started, and it succeeded or failed. An action
    without an end was cut off, if it does not run still. Deleting and updating are
    refused by the database.
    """

    at = models.DateTimeField("time (UTC)", db_default=Now())
    run = models.UUIDField()
    """The same for all that one command did."""
    start = models.OneToOneField(
        "self",
        null=True,
        on_delete=models.DO_NOTHING,
        related_name="end",
        # Who writes an end has written the start.
        db_constraint=False,
    )
    """The row that this one ends."""
    action = models.CharField(choices=Action)
    event = models.CharField(choices=Event)
    app = models.CharField(blank=True, db_default="")
    name = models.CharField("migration", blank=True, db_default="")
    seconds = models.FloatField(null=True)
    os_user = models.CharField("system user", blank=True, db_default="")
    host = models.CharField(blank=True, db_default="")
    pid = models.IntegerField("process", null=True)
    session = models.IntegerField("database session", null=True)
    db_user = models.CharField("database user", blank=True, db_default="")
    version = models.CharField(blank=True, db_default="")
    checksum = models.CharField(blank=True, db_default="")
    error = models.TextField(blank=True, db_default="")
    details = models.JSONField(null=True)

    class Meta:
        managed = False
        db_table = "tradebot_schema_events"
        default_permissions = ("view",)
        verbose_name = "schema event"
        verbose_name_plural = "schema history"

    def __str__(self) -> str:
        return f"{self.action} {self.app}.{self.name}".strip(" .")
