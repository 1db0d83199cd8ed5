import django.db.models.deletion
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import migrations, models

from config.database.isolation import isolate, refer, validate_reference


def newest_first(name: str, *columns: str) -> models.Index:
    last = (models.OrderBy(models.F(each), descending=True) for each in ("at", "id"))
    return models.Index(*map(models.F, columns), *last, name=name)


def owned(to: str, name: str, on_delete: object) -> models.ForeignKey:
    return models.ForeignKey(db_constraint=False, db_index=False, on_delete=on_delete, related_name=name, to=to)


class Migration(migrations.Migration):
    """The completions of tasks. The table is empty, so its reference is validated at once."""

    dependencies = [("tasks", "0024_recurrence"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Completion",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField()),
                ("occurrence_date", models.DateField(null=True)),
                ("occurrence_at", models.DateTimeField(null=True)),
                (
                    "kind",
                    models.CharField(choices=[("completed", "Completed"), ("skipped", "Skipped")], max_length=20),
                ),
                ("missed", models.IntegerField(default=0)),
                ("version", models.BigIntegerField()),
                ("revoked_at", models.DateTimeField(null=True)),
                ("revoked_versions", ArrayField(models.BigIntegerField(), null=True)),
                ("task", owned("tasks.task", "completion_rows", django.db.models.deletion.DO_NOTHING)),
                (
                    "user",
                    owned(settings.AUTH_USER_MODEL, "completions", django.db.models.deletion.CASCADE),
                ),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    newest_first("tasks_completion_list", "user"),
                    newest_first("tasks_completion_task", "user", "task"),
                    models.Index(
                        models.F("at"),
                        condition=models.Q(("kind", "completed"), ("revoked_at", None)),
                        include=("user",),
                        name="tasks_completion_counted",
                    ),
                ],
            },
        ),
        isolate("tasks_completion"),
        refer("tasks_completion", "task_id", "tasks_task", required=True),
        validate_reference("tasks_completion", "task_id"),
    ]
