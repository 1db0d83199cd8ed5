import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import users.models
from config.database.isolation import isolate


class Migration(migrations.Migration):
    dependencies = [
        ("users", "0016_change"),
    ]

    operations = [
        migrations.CreateModel(
            name="PersonalToken",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=users.models.new_session_id, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("digest", models.CharField(editable=False, max_length=64)),
                ("prefix", models.CharField(max_length=20)),
                ("name", models.CharField(max_length=100)),
                ("scopes", django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(null=True)),
                ("warned_at", models.DateTimeField(editable=False, null=True)),
                ("last_used_at", models.DateTimeField(null=True)),
                ("last_used_network", models.TextField(blank=True, default="")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="personal_tokens",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["digest"], name="users_personaltoken_digest"),
                    models.Index(fields=["expires_at"], name="users_personaltoken_expires"),
                ],
            },
        ),
        isolate("users_personaltoken"),
    ]
