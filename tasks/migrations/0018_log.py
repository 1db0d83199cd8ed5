import django.db.models.lookups
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    """The log keeps changes in order now, in place of the unique versions; erased rows may have an empty title.

    Each statement takes its lock for a moment; what is stored is looked at by the next migration.
    """

    dependencies = [("tasks", "0017_fill_tag_rows"), ("users", "0016_change")]

    operations = [
        migrations.RemoveConstraint("task", "tasks_task_version"),
        migrations.AddField("task", "erased_at", models.DateTimeField(blank=True, null=True)),
        migrations.RemoveConstraint("task", "tasks_task_valid"),
        AddConstraintNotValid(
            "task",
            models.CheckConstraint(
                condition=models.Q(
                    django.db.models.lookups.LessThanOrEqual(
                        models.Func(models.F("tags"), function="CARDINALITY", output_field=models.IntegerField()), 20
                    ),
                    django.db.models.lookups.Exact(
                        django.db.models.lookups.Exact(models.F("status"), "completed"),
                        django.db.models.lookups.IsNull(models.F("completed_at"), False),
                    ),
                    models.Q(("due_at", None), ("due_date__isnull", False), _connector="OR"),
                    models.Q(("title__gt", ""), ("erased_at__isnull", False), _connector="OR"),
                    ("priority__in", ["low", "medium", "high"]),
                    ("status__in", ["pending", "in_progress", "completed", "cancelled"]),
                ),
                name="tasks_task_valid",
            ),
        ),
    ]
