import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import users.resources.models
from config.database.isolation import isolate, refer, validate_reference


class Migration(migrations.Migration):
    initial = True

    dependencies = [("users", "0016_change"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Project",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uid", models.CharField(default=users.resources.models.new_uid, max_length=255)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                ("version", models.BigIntegerField()),
                ("deleted_at", models.DateTimeField(blank=True, null=True)),
                ("erased_at", models.DateTimeField(blank=True, null=True)),
                ("position", models.CharField(db_collation="C", default="a0", editable=False, max_length=100)),
                ("extra", models.JSONField(blank=True, default=dict)),
                ("name", models.CharField(max_length=120)),
                ("description", models.CharField(blank=True, default="", max_length=10000)),
                ("color", models.CharField(blank=True, max_length=7, null=True)),
                ("archived_at", models.DateTimeField(blank=True, null=True)),
                ("name_key", models.CharField(db_collation="C", default="", editable=False, max_length=120)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="children",
                        to="projects.project",
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
                "permissions": [("view_project_text", "Can read the names and descriptions of projects")],
                "indexes": [
                    models.Index(
                        models.F("user"),
                        models.OrderBy(models.F("deleted_at"), descending=True),
                        models.OrderBy(models.F("id"), descending=True),
                        condition=models.Q(("deleted_at__isnull", False)),
                        name="projects_project_trash",
                    ),
                    models.Index(
                        models.F("user"),
                        models.F("position"),
                        models.F("id"),
                        condition=models.Q(("deleted_at", None)),
                        name="projects_project_list",
                    ),
                    models.Index(
                        models.F("user"),
                        models.F("parent"),
                        models.F("id"),
                        condition=models.Q(("parent__isnull", False)),
                        name="projects_project_parent",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(fields=("user", "uid"), name="projects_project_uid"),
                    models.UniqueConstraint(fields=("user", "id"), name="projects_project_own"),
                    models.CheckConstraint(condition=models.Q(("uid__gt", "")), name="projects_project_uid_not_empty"),
                    models.CheckConstraint(
                        condition=models.Q(("name__gt", ""), ("erased_at__isnull", False), _connector="OR"),
                        name="projects_project_valid",
                    ),
                ],
            },
        ),
        isolate("projects_project"),
        refer("projects_project", "parent_id", "projects_project"),
        validate_reference("projects_project", "parent_id"),
    ]
