from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations
from django.db.models import CheckConstraint, Q


class Migration(migrations.Migration):
    """NOT VALID: a scan of the rows would lock the table meanwhile. Cannot be reversed once a row is longer."""

    dependencies = [("tasks", "0006_dashboard_indexes")]

    operations = [
        migrations.RemoveConstraint("task", "tasks_task_description"),
        AddConstraintNotValid(
            "task", CheckConstraint(name="tasks_task_description", condition=Q(description__length__lte=20_000))
        ),
    ]
