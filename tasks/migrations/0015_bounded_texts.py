from django.db import migrations
from django.db.models import CharField, CheckConstraint, F, Func, IntegerField, Q
from django.db.models.lookups import Exact, IsNull, LessThanOrEqual

import users.resources.models

BOUND = """
ALTER TABLE tasks_task ALTER uid TYPE varchar(255), ALTER title TYPE varchar(200),
    ALTER description TYPE varchar(20000)
"""
UNBOUND = "ALTER TABLE tasks_task ALTER uid TYPE text, ALTER title TYPE text, ALTER description TYPE text"
REPLACED = ("title", "description", "tags", "uid_length", "status", "priority", "completed", "due")


class Migration(migrations.Migration):
    """Lengths by type and the other rules in one CHECK, as PostgreSQL parses each CHECK for every write.

    PostgreSQL writes the table and its indexes anew, while nobody else reads or writes it (docs/deployment.md says for
    how long): all columns in one statement, so that it does so once. What the constraints allowed, the new ones do.
    """

    dependencies = [("tasks", "0014_feed_moved")]

    operations = [
        *(migrations.RemoveConstraint("task", f"tasks_task_{name}") for name in REPLACED),
        migrations.RunSQL(
            BOUND,
            UNBOUND,
            state_operations=[
                migrations.AlterField("task", "uid", CharField(default=users.resources.models.new_uid, max_length=255)),
                migrations.AlterField("task", "title", CharField(max_length=200)),
                migrations.AlterField("task", "description", CharField(blank=True, default="", max_length=20_000)),
            ],
        ),
        migrations.AddConstraint("task", CheckConstraint(name="tasks_task_uid_not_empty", condition=Q(uid__gt=""))),
        migrations.AddConstraint(
            "task",
            CheckConstraint(
                name="tasks_task_valid",
                condition=Q(
                    LessThanOrEqual(Func(F("tags"), function="CARDINALITY", output_field=IntegerField()), 20),
                    Exact(Exact(F("status"), "completed"), IsNull(F("completed_at"), False)),
                    Q(due_at=None) | Q(due_date__isnull=False),
                    title__gt="",
                    status__in=["pending", "in_progress", "completed", "cancelled"],
                    priority__in=["low", "medium", "high"],
                ),
            ),
        ),
    ]
