\set user random(201, 300)
\set task (:user - 1) * 1000 + random(1, 1000)
\set number random(1, 1000000000)
UPDATE tasks_task SET title = 'changed title of a task ' || :number, updated_at = now()
WHERE id = :task AND user_id = :user
RETURNING id, user_id, title, description, status, created_at, updated_at;
