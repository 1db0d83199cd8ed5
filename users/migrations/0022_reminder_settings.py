import datetime as dt

import django.contrib.postgres.fields
from django.db import migrations, models

import users.models.preferences

# For accounts that the old version makes until it is stopped.
DEFAULTS = """
ALTER TABLE users_user ALTER COLUMN reminder_time SET DEFAULT '09:00',
    ALTER COLUMN reminder_channels SET DEFAULT '{mail,webhook}';
"""
DROP = """
ALTER TABLE users_user ALTER COLUMN reminder_time DROP DEFAULT, ALTER COLUMN reminder_channels DROP DEFAULT;
"""


class Migration(migrations.Migration):
    """No row is rewritten."""

    dependencies = [("users", "0021_support_roles")]

    operations = [
        migrations.AddField("user", "reminder_time", models.TimeField(default=dt.time(9))),
        migrations.AddField(
            "user",
            "reminder_channels",
            django.contrib.postgres.fields.ArrayField(
                models.TextField(), default=users.models.preferences.all_channels
            ),
        ),
        migrations.AddField("user", "default_reminder_minutes", models.IntegerField(blank=True, null=True)),
        migrations.AddField("user", "digest_time", models.TimeField(blank=True, null=True)),
        migrations.AddConstraint(
            "user",
            models.CheckConstraint(
                condition=models.Q(default_reminder_minutes=None)
                | models.Q(default_reminder_minutes__gte=0, default_reminder_minutes__lte=40_320),
                name="users_user_reminders",
            ),
        ),
        migrations.RunSQL(DEFAULTS, DROP),
    ]
