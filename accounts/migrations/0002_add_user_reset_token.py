"""Add the columns of the password reset to ``users``, where they are missing.

Some databases got them by hand before this revision, which therefore looks first. The
reverse drops the columns that are there.
"""

from django.db import migrations, models

from tradebot.operations import AddFieldIfMissing


class Migration(migrations.Migration):
    revision = "d24f9f7e7532"
    revises = ("8dff47bdfa5f",)

    dependencies = [("accounts", "0001_create_user_table")]

    operations = [
        AddFieldIfMissing(
            model_name="user",
            name="reset_token",
            field=models.CharField(blank=True, editable=False, null=True),
        ),
        AddFieldIfMissing(
            model_name="user",
            name="reset_token_expires",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
