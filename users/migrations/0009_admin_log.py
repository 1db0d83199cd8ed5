from django.db import migrations

# The admin's log kept the titles of tasks, and went with the account of who had done it.
MOVE = """
SELECT set_config('tickbase.user_id', '0', true);
INSERT INTO users_auditevent (
    at, action, actor_id, actor_email, subject_id, subject_email, object_type, object_id, request_id, details
)
SELECT
    log.action_time,
    CASE log.action_flag WHEN 1 THEN 'staff.added' WHEN 2 THEN 'staff.changed' ELSE 'staff.deleted' END,
    log.user_id, actor.email, subject.id, coalesce(subject.email, ''),
    coalesce(type.app_label || '.' || type.model, ''), coalesce(log.object_id, ''), '', '{}'
FROM django_admin_log log
JOIN users_user actor ON actor.id = log.user_id
LEFT JOIN django_content_type type ON type.id = log.content_type_id
LEFT JOIN users_user subject
    ON type.app_label = 'users' AND type.model = 'user' AND subject.id::text = log.object_id
ORDER BY log.id;
DELETE FROM django_admin_log;
"""


class Migration(migrations.Migration):
    dependencies = [("users", "0008_audit"), ("admin", "0003_logentry_add_action_flag_choices")]

    operations = [migrations.RunSQL(MOVE, migrations.RunSQL.noop)]
