from django.db import migrations

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [("tasks", "0001_initial"), ("users", "0007_isolation")]

    operations = [isolate("tasks_feed"), isolate("tasks_task")]
