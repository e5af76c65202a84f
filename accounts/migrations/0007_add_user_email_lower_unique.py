"""Make e-mail addresses unique whatever their case.

Beside ``ix_users_email``, which Django needs. The reverse drops the index.
"""

from django.db import migrations, models
from django.db.models.functions import Lower

from tradebot.operations import AddUniqueIndex


class Migration(migrations.Migration):
    atomic = False  # its steps commit one by one
    dependencies = [
        ("accounts", "0006_alter_user_indexes"),
    ]

    operations = [
        AddUniqueIndex(
            model_name="user",
            constraint=models.UniqueConstraint(
                Lower("email"),
                name="users_email_lower",
                violation_error_message="A user with this e-mail address exists.",
            ),
            repair="email = 'duplicate-' || id || '-of-' || email",
            repaired="puts duplicate-ID-of- before the address of the younger user",
        ),
    ]
