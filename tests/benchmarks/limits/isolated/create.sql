\set user random(301, 600)
BEGIN;
SELECT set_config('tickbase.user_id', (:user)::text, true);
INSERT INTO tasks_feed AS feed (user_id, head, floor) VALUES (:user, 1, 0)
ON CONFLICT (user_id) DO UPDATE SET head = feed.head + 1 RETURNING head AS version \gset
INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, created_at, updated_at, version,
    tag_keys, search_text, title_key)
VALUES (:user, uuidv7(), 'A new task from the benchmark', 'some text of the task', 'pending', 'medium', '{}', now(),
    now(), :version, '{}', 'a new task from the benchmark' || chr(10) || 'some text of the task',
    'a new task from the benchmark')
RETURNING id;
COMMIT;
