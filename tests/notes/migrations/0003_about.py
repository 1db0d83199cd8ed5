import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import isolate, refer_each


class Migration(migrations.Migration):
    dependencies = [("notes", "0002_references"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.AddField(
            "note",
            "about_ids",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(), blank=True, default=list, size=None
            ),
        ),
        migrations.CreateModel(
            name="NoteAbout",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user", "row_id", "target_id", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("row_id", models.BigIntegerField()),
                ("target_id", models.BigIntegerField()),
                (
                    "user",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        models.F("user"), models.F("target_id"), models.F("row_id"), name="notes_noteabout_target"
                    )
                ],
            },
        ),
        isolate("notes_noteabout"),
        refer_each("notes_note", "about_ids", "notes_noteabout", "projects_project"),
    ]
