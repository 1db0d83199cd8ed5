import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import isolate, refer, validate_reference

# Triggers, so that every way to write a task keeps its rows, in the same statement: REST, admin, commands, imports, undo
# and SQL by hand. A task without reminders has none of it: the conditions are checked before anything is called.
FOLLOW = """
CREATE FUNCTION reminders_is_muted(task tasks_task) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT task.deleted_at IS NOT NULL OR task.status NOT IN ('pending', 'in_progress') OR EXISTS (
        SELECT FROM projects_project AS project WHERE project.user_id = task.user_id AND project.id = task.project_id
            AND project.archived_at IS NOT NULL
    )
$$;

CREATE FUNCTION reminders_follow_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM reminders_reminder WHERE user_id = NEW.user_id AND task_id = NEW.id
        AND uid NOT IN (SELECT each->>'uid' FROM jsonb_array_elements(NEW.reminders) AS each);
    INSERT INTO reminders_reminder AS row (user_id, task_id, uid, planned_at, is_muted)
        SELECT NEW.user_id, NEW.id, each->>'uid', coalesce(
            (each->>'at')::timestamptz, NEW.remind_from - make_interval(mins => (each->>'minutes_before')::int)
        ), reminders_is_muted(NEW)
        FROM jsonb_array_elements(NEW.reminders) AS each
    ON CONFLICT (user_id, task_id, uid) DO UPDATE SET planned_at = EXCLUDED.planned_at, is_muted = EXCLUDED.is_muted
        WHERE (row.planned_at, row.is_muted) IS DISTINCT FROM (EXCLUDED.planned_at, EXCLUDED.is_muted);
    RETURN NULL;
END
$$;
CREATE TRIGGER reminders_task_inserted AFTER INSERT ON tasks_task
    FOR EACH ROW WHEN (NEW.reminders <> '[]') EXECUTE FUNCTION reminders_follow_task();
CREATE TRIGGER reminders_task_updated
    AFTER UPDATE OF reminders, remind_from, status, deleted_at, project_id ON tasks_task
    FOR EACH ROW WHEN ((OLD.reminders <> '[]' OR NEW.reminders <> '[]')
        AND (OLD.reminders <> NEW.reminders OR OLD.remind_from IS DISTINCT FROM NEW.remind_from
            OR OLD.status <> NEW.status OR OLD.deleted_at IS DISTINCT FROM NEW.deleted_at
            OR OLD.project_id IS DISTINCT FROM NEW.project_id))
    EXECUTE FUNCTION reminders_follow_task();

CREATE FUNCTION reminders_follow_project() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE reminders_reminder AS row SET is_muted = reminders_is_muted(task) FROM tasks_task AS task
        WHERE task.user_id = NEW.user_id AND task.project_id = NEW.id AND task.reminders <> '[]'
            AND row.user_id = task.user_id AND row.task_id = task.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER reminders_project_updated AFTER UPDATE OF archived_at ON projects_project
    FOR EACH ROW WHEN ((OLD.archived_at IS NULL) <> (NEW.archived_at IS NULL))
    EXECUTE FUNCTION reminders_follow_project();

-- When it fires, by what the other two and a snooze have set. Whoever has claimed it for another moment loses the lease.
CREATE FUNCTION reminders_plan() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF (OLD.planned_at, OLD.snoozed_until, OLD.is_muted)
                IS NOT DISTINCT FROM (NEW.planned_at, NEW.snoozed_until, NEW.is_muted) THEN
            RETURN NEW;
        END IF;
        IF NEW.planned_at IS DISTINCT FROM OLD.planned_at THEN
            NEW.snoozed_until := NULL;
        END IF;
    END IF;
    NEW.remind_at := CASE WHEN NOT NEW.is_muted THEN coalesce(NEW.snoozed_until, NEW.planned_at) END;
    NEW.due_at := CASE WHEN NEW.remind_at IS DISTINCT FROM NEW.settled_for THEN NEW.remind_at END;
    NEW.leased_until := NULL;
    RETURN NEW;
END
$$;
CREATE TRIGGER reminders_reminder_planned
    BEFORE INSERT OR UPDATE OF planned_at, snoozed_until, is_muted ON reminders_reminder
    FOR EACH ROW EXECUTE FUNCTION reminders_plan();
"""
DROP = """
DROP TRIGGER reminders_project_updated ON projects_project;
DROP TRIGGER reminders_task_updated ON tasks_task;
DROP TRIGGER reminders_task_inserted ON tasks_task;
DROP FUNCTION reminders_follow_project, reminders_follow_task, reminders_plan CASCADE;
DROP FUNCTION reminders_is_muted(tasks_task);
"""
LEASED = [
    ("due_at", models.DateTimeField(editable=False, null=True)),
    ("leased_until", models.DateTimeField(editable=False, null=True)),
    ("attempts", models.PositiveIntegerField(db_default=0, default=0, editable=False)),
]


def owned(to: str, name: str, on_delete: object) -> models.ForeignKey:
    return models.ForeignKey(db_constraint=False, db_index=False, on_delete=on_delete, related_name=name, to=to)


def indexes(name: str) -> list[models.Index]:
    return [
        models.Index(condition=models.Q(("due_at__isnull", False)), fields=["due_at"], name=f"reminders_{name}_due"),
        models.Index(
            condition=models.Q(("leased_until", None), _negated=True),
            fields=["leased_until"],
            name=f"reminders_{name}_leased",
        ),
    ]


class Migration(migrations.Migration):
    """The tables are empty, so their references are validated at once."""

    initial = True

    dependencies = [
        ("tasks", "0026_reminders"),
        ("projects", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Digest",
            fields=[
                *LEASED,
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="digest",
                        serialize=False,
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("sent_at", models.DateTimeField(null=True)),
            ],
            options={"abstract": False, "default_permissions": (), "indexes": indexes("digest")},
        ),
        migrations.CreateModel(
            name="Reminder",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                *LEASED,
                ("uid", models.CharField(max_length=255)),
                ("planned_at", models.DateTimeField(null=True)),
                ("is_muted", models.BooleanField()),
                ("snoozed_until", models.DateTimeField(null=True)),
                ("remind_at", models.DateTimeField(null=True)),
                ("settled_for", models.DateTimeField(null=True)),
                ("sent_at", models.DateTimeField(null=True)),
                ("missed_at", models.DateTimeField(null=True)),
                ("task", owned("tasks.task", "reminder_rows", django.db.models.deletion.DO_NOTHING)),
                ("user", owned(settings.AUTH_USER_MODEL, "reminders", django.db.models.deletion.CASCADE)),
            ],
            options={
                "abstract": False,
                "default_permissions": ("view",),
                "indexes": indexes("reminder"),
                "constraints": [models.UniqueConstraint(fields=("user", "task", "uid"), name="reminders_reminder_uid")],
            },
        ),
        isolate("reminders_digest"),
        isolate("reminders_reminder"),
        refer("reminders_reminder", "task_id", "tasks_task", required=True),
        validate_reference("reminders_reminder", "task_id"),
        migrations.RunSQL(FOLLOW, DROP),
    ]
