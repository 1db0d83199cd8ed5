\set user random(1, 200)
SELECT id, user_id, title, description, status, created_at, updated_at FROM tasks_task
WHERE user_id = :user AND status = 'todo' ORDER BY id DESC LIMIT 50;
