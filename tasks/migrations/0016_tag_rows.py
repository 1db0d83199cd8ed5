import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from config.database.isolation import isolate

# A trigger, so that every way to write a task keeps the index of tags: REST, admin, commands, COPY and SQL by hand.
# Two of a task's tags may have one key: those of before migration 0011.
# No parallel workers: they would read all of a common tag's tasks before the first page is there.
INDEX = """
ALTER TABLE tasks_tasktag SET (parallel_workers = 0);
CREATE FUNCTION tasks_task_index_tags() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM tasks_tasktag WHERE user_id = OLD.user_id AND tag_key = ANY (OLD.tag_keys)
            AND created_at = OLD.created_at AND task_id = OLD.id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO tasks_tasktag (user_id, tag_key, created_at, task_id)
            SELECT DISTINCT NEW.user_id, tag_key, NEW.created_at, NEW.id FROM unnest(NEW.tag_keys) AS tag_key;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER tasks_task_tags_inserted AFTER INSERT ON tasks_task
    FOR EACH ROW WHEN (NEW.tag_keys <> '{}') EXECUTE FUNCTION tasks_task_index_tags();
CREATE TRIGGER tasks_task_tags_updated AFTER UPDATE OF id, user_id, created_at, tag_keys ON tasks_task
    FOR EACH ROW WHEN (OLD.id <> NEW.id OR OLD.user_id <> NEW.user_id OR OLD.created_at <> NEW.created_at
        OR OLD.tag_keys <> NEW.tag_keys)
    EXECUTE FUNCTION tasks_task_index_tags();
CREATE TRIGGER tasks_task_tags_deleted AFTER DELETE ON tasks_task
    FOR EACH ROW WHEN (OLD.tag_keys <> '{}') EXECUTE FUNCTION tasks_task_index_tags();
"""
DROP = """
DROP TRIGGER tasks_task_tags_inserted ON tasks_task;
DROP TRIGGER tasks_task_tags_updated ON tasks_task;
DROP TRIGGER tasks_task_tags_deleted ON tasks_task;
DROP FUNCTION tasks_task_index_tags();
"""


def reference(to: str, name: str) -> models.ForeignKey:
    return models.ForeignKey(
        to, django.db.models.deletion.DO_NOTHING, db_constraint=False, db_index=False, related_name=name
    )


class Migration(migrations.Migration):
    """The index of tags, which serves `tag=` behind row level security; the next migration fills it."""

    dependencies = [("tasks", "0015_bounded_texts"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="TaskTag",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "user",
                        "tag_key",
                        "created_at",
                        "task",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("user", reference(settings.AUTH_USER_MODEL, "+")),
                ("tag_key", models.TextField(db_collation="C")),
                ("created_at", models.DateTimeField()),
                ("task", reference("tasks.task", "tag_rows")),
            ],
            options={"default_permissions": ()},
        ),
        isolate("tasks_tasktag"),
        migrations.RunSQL(INDEX, DROP),
    ]
