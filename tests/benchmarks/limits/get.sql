\set user random(1, 200)
\set task (:user - 1) * 1000 + random(1, 1000)
SELECT id, user_id, title, description, status, created_at, updated_at FROM tasks_task
WHERE id = :task AND user_id = :user;
