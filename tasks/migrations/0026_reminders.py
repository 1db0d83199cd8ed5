from django.db import migrations, models

import config.values

# For tasks that the old version writes until it is stopped.
DEFAULT = "ALTER TABLE tasks_task ALTER COLUMN reminders SET DEFAULT '[]'"
DROP = "ALTER TABLE tasks_task ALTER COLUMN reminders DROP DEFAULT"


class Migration(migrations.Migration):
    """The reminders of tasks; no row is rewritten. When they fire is in a table of the app `reminders`."""

    dependencies = [("tasks", "0025_completions")]

    operations = [
        migrations.AddField("task", "reminders", models.JSONField(blank=True, default=config.values.JsonList)),
        migrations.AddField("task", "remind_from", models.DateTimeField(editable=False, null=True)),
        migrations.RunSQL(DEFAULT, DROP),
    ]
