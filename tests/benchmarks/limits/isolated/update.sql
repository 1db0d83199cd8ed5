\set user random(201, 300)
\set task (:user - 1) * 1000 + random(1, 1000)
\set number random(1, 1000000000)
BEGIN;
SELECT set_config('tickbase.user_id', (:user)::text, true);
UPDATE tasks_feed SET head = head + 1 WHERE user_id = :user RETURNING head AS version \gset
UPDATE tasks_task SET title = 'changed title ' || :number, title_key = 'changed title ' || :number,
    search_text = 'changed title ' || :number || chr(10) || description, updated_at = now(), version = :version
WHERE id = :task AND user_id = :user AND deleted_at IS NULL
RETURNING id, uid, user_id, title, description, status, priority, tags, due_date, due_at, completed_at, created_at,
    updated_at, version;
COMMIT;
