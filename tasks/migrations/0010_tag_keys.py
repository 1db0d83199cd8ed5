from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tasks", "0009_due_time")]

    operations = [
        migrations.AddField(
            "task", "tag_keys", ArrayField(base_field=models.TextField(), default=list, editable=False, size=None)
        ),
    ]
