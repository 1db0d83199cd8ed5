\set user random(301, 600)
INSERT INTO tasks_task (user_id, title, description, status)
VALUES (:user, 'A new task from the benchmark', 'some text of the task, of ordinary length for a description', 'todo')
RETURNING id, user_id, title, description, status, created_at, updated_at;
