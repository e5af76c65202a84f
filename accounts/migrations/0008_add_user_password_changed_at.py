"""Add to ``users`` when the password was last changed: older tokens are void.

Null for the users who are there: nobody knows. The reverse drops the column.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0007_add_user_email_lower_unique"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="password_changed_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
