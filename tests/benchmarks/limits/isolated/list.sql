\set user random(1, 200)
BEGIN;
SELECT set_config('tickbase.user_id', (:user)::text, true);
SELECT id, uid, user_id, title, description, status, priority, tags, due_date, due_at, completed_at, created_at,
    updated_at, version
FROM tasks_task WHERE user_id = :user AND deleted_at IS NULL AND status = 'pending'
ORDER BY created_at DESC, id DESC LIMIT 51;
COMMIT;
