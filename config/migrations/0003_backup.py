from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("config", "0002_work")]

    operations = [
        migrations.CreateModel(
            name="Backup",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("made_at", models.DateTimeField()),
            ],
            options={
                "db_table": "config_backup",
                "constraints": [models.CheckConstraint(condition=models.Q(("pk", 1)), name="config_backup_one_row")],
            },
        ),
    ]
