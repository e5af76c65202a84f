"""Build the index on the lower case of addresses anew on SQLite.

LOWER knows letters beyond ASCII there now. Nothing changes on PostgreSQL, and the
reverse has nothing to do.
"""

from django.db import migrations

from tradebot.operations import ReindexOnSQLite


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_create_rate_limit_table"),
    ]

    operations = [
        ReindexOnSQLite("users_email_lower"),
    ]
