from django.db import migrations

from config.database.isolation import refer


class Migration(migrations.Migration):
    """Each statement takes its lock for a moment; the next migration looks at the rows."""

    dependencies = [("tasks", "0021_fill_places")]

    operations = [
        refer("tasks_task", "project_id", "projects_project"),
        refer("tasks_task", "parent_id", "tasks_task"),
    ]
