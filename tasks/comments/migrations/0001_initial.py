import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

import users.resources.models
from config.database.isolation import isolate, refer, validate_reference


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("users", "0016_change"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("tasks", "0025_completions"),
    ]

    operations = [
        migrations.CreateModel(
            name="Comment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.CharField(default=users.resources.models.new_uid, max_length=255)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("version", models.BigIntegerField()),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("erased_at", models.DateTimeField(blank=True, null=True)),
                ("text", models.CharField(max_length=10000)),
                ("search_text", models.TextField(default="", editable=False)),
                (
                    "task",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="tasks.task",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(class)ss",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "permissions": [("view_comment_text", "Can read the text of comments")],
                "abstract": False,
                "indexes": [
                    models.Index(
                        models.F("user"),
                        models.OrderBy(models.F("deleted_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        condition=models.Q(("deleted_at__isnull", False)),
                        name="comments_comment_trash",
                    ),
                    models.Index(
                        "user",
                        models.F("created_at").desc(),
                        models.F("id").desc(),
                        name="comments_comment_list",
                        condition=Q(deleted_at=None),
                    ),
                    models.Index("user", "task", "id", name="comments_comment_task"),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "uid"), name="comments_comment_uid"),
                    models.UniqueConstraint(fields=("user", "id"), name="comments_comment_own"),
                    models.CheckConstraint(condition=models.Q(("uid__gt", "")), name="comments_comment_uid_not_empty"),
                    models.CheckConstraint(
                        name="comments_comment_valid", condition=Q(erased_at__isnull=False) | (Q(text__gt=""))
                    ),
                ],
            },
        ),
        isolate("comments_comment"),
        refer("comments_comment", "task_id", "tasks_task", required=True),
        validate_reference("comments_comment", "task_id"),
    ]
