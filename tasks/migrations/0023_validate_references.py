from django.db import migrations

from config.database.isolation import validate_reference


class Migration(migrations.Migration):
    dependencies = [("tasks", "0022_references")]

    operations = [validate_reference("tasks_task", "project_id"), validate_reference("tasks_task", "parent_id")]
