from django.db import migrations, models

# For tasks that the old version writes until it is stopped.
DEFAULT = "ALTER TABLE tasks_task ALTER COLUMN completions SET DEFAULT 0"
DROP = "ALTER TABLE tasks_task ALTER COLUMN completions DROP DEFAULT"


class Migration(migrations.Migration):
    """The series of tasks; no row is rewritten, and each statement takes its lock for a moment."""

    dependencies = [("tasks", "0023_validate_references")]

    operations = [
        migrations.AddField("task", "recurrence", models.JSONField(blank=True, null=True)),
        migrations.AddField("task", "completions", models.IntegerField(default=0, editable=False)),
        migrations.AddField("task", "last_completed_at", models.DateTimeField(editable=False, null=True)),
        migrations.RunSQL(DEFAULT, DROP),
    ]
