import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [("users", "0015_epoch")]

    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user", "version", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.BigIntegerField()),
                ("operation", models.BigIntegerField()),
                ("kind", models.CharField(max_length=20)),
                ("type", models.CharField(max_length=60)),
                ("object_id", models.BigIntegerField()),
                ("previous", models.BigIntegerField(null=True)),
                ("undoes", models.BigIntegerField(null=True)),
                ("at", models.DateTimeField()),
                ("actor", models.TextField()),
                ("diff", models.JSONField(default=dict)),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"default_permissions": ()},
        ),
        isolate("users_change"),
    ]
