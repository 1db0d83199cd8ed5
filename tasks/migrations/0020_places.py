import django.db.models.deletion
from django.db import migrations, models

# The key that `tasks.positions.newest` makes, for the tasks that are there, and for those that the old version writes
# until it is stopped.
NEWEST = """
CREATE FUNCTION tasks_position(at timestamptz) RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT 'h' || string_agg(substr(digits, (ms / (62 ^ place)::bigint % 62)::int + 1, 1), '' ORDER BY place DESC)
        || substr(min(digits), floor(random() * 62)::int + 1, 1) || substr(min(digits), floor(random() * 61)::int + 2, 1)
    FROM (
        SELECT greatest(0, floor(extract(epoch FROM at) * 1000))::bigint AS ms,
            '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz' AS digits
    ) AS clock, generate_series(0, 7) AS place
$$;
ALTER TABLE tasks_task ALTER COLUMN position SET DEFAULT tasks_position(clock_timestamp());
ALTER TABLE tasks_task ALTER COLUMN extra SET DEFAULT '{}';
"""
DROP = """
ALTER TABLE tasks_task ALTER COLUMN extra DROP DEFAULT;
ALTER TABLE tasks_task ALTER COLUMN position DROP DEFAULT;
DROP FUNCTION tasks_position;
"""


def reference(to: str, name: str) -> models.ForeignKey:
    return models.ForeignKey(
        blank=True,
        db_constraint=False,
        db_index=False,
        null=True,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name=name,
        to=to,
    )


class Migration(migrations.Migration):
    """Projects and parents of tasks, and their order; each statement takes its lock for a moment."""

    dependencies = [("projects", "0001_initial"), ("tasks", "0019_log_begins")]

    operations = [
        migrations.AddField("task", "project", reference("projects.project", "tasks")),
        migrations.AddField("task", "parent", reference("tasks.task", "children")),
        migrations.AddField(
            "task", "position", models.CharField(db_collation="C", default="a0", editable=False, max_length=100)
        ),
        migrations.AddField("task", "extra", models.JSONField(blank=True, default=dict)),
        migrations.RunSQL(NEWEST, DROP),
    ]
