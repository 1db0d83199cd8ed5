\set user random(1, 200)
\set task (:user - 1) * 1000 + random(1, 1000)
BEGIN;
SELECT set_config('tickbase.user_id', (:user)::text, true);
SELECT id, uid, user_id, title, description, status, priority, tags, due_date, due_at, completed_at, created_at,
    updated_at, version
FROM tasks_task WHERE id = :task AND user_id = :user AND deleted_at IS NULL;
COMMIT;
