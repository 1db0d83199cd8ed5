from django.db import migrations

COUNT = """
SELECT set_config('tickbase.user_id', '0', true);
UPDATE tasks_feed feed SET live = counted.live, stored = counted.stored FROM (
    SELECT user_id, count(*) FILTER (WHERE deleted_at IS NULL) AS live, count(*) AS stored
    FROM tasks_task GROUP BY user_id
) counted WHERE counted.user_id = feed.user_id
"""


class Migration(migrations.Migration):
    dependencies = [("tasks", "0012_feed_counts")]

    operations = [migrations.RunSQL(COUNT, migrations.RunSQL.noop)]
