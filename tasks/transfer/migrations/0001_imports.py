import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import isolate


class Migration(migrations.Migration):
    initial = True

    dependencies = [migrations.swappable_dependency(settings.AUTH_USER_MODEL), ("users", "0007_isolation")]

    operations = [
        migrations.CreateModel(
            name="Import",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("format", models.CharField(max_length=40)),
                ("status", models.CharField(choices=[("running", "Running"), ("done", "Done")], max_length=20)),
                ("total", models.IntegerField()),
                ("done", models.IntegerField(default=0)),
                ("operation", models.BigIntegerField(null=True)),
                ("report", models.JSONField(default=dict)),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="imports",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(
                        models.F("user"), models.OrderBy(models.F("id"), descending=True), name="transfer_import_list"
                    ),
                    models.Index(models.F("created_at"), name="transfer_import_created"),
                ],
            },
        ),
        isolate("transfer_import"),
    ]
