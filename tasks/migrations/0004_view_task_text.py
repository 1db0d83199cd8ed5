from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("tasks", "0003_indexes")]

    operations = [
        migrations.AlterModelOptions(
            name="task",
            options={"permissions": [("view_task_text", "Can read the titles, descriptions and tags of tasks")]},
        ),
    ]
