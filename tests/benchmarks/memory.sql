-- %(count)s tasks of the account with the number %(user)s.
INSERT INTO tasks_task (
    user_id, uid, title, description, status, priority, tags, completed_at, created_at, updated_at, version,
    tag_keys, search_text, title_key
)
SELECT
    %(user)s, gen_random_uuid()::text, title, description, status, 'medium', '{}',
    CASE status WHEN 'completed' THEN now() END,
    now() - (number || ' seconds')::interval, now() - (number || ' seconds')::interval, number,
    '{}', lower(title) || E'\n' || lower(description), lower(title)
FROM
    generate_series(1, %(count)s) number,
    LATERAL (
        SELECT
            'Task number ' || number || ': buy milk and call' AS title,
            'A description of ordinary length, some words for the task number ' || number AS description,
            (ARRAY['pending', 'in_progress', 'completed'])[1 + number %% 3] AS status
    ) content
ORDER BY number;
