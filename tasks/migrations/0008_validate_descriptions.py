from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Reads all rows, while writes go on."""

    dependencies = [("tasks", "0007_longer_descriptions")]

    operations = [ValidateConstraint("task", "tasks_task_description")]
