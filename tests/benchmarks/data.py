"""The same users and tasks for everybody: in Tickbase's own database, and in the one that the peers share."""

from pathlib import Path
from typing import NamedTuple

import psycopg
from django.db import connection

from config.database.isolation import all_users

PEERS = "peers"
SCHEMA = Path(__file__).parent / "peers" / "schema.sql"


class Size(NamedTuple):
    """Users up to `rich` have `many` tasks, the others `few`."""

    users: int = 600
    rich: int = 300
    many: int = 1000
    few: int = 100

    def first_task(self, user: int) -> int:
        return (user - 1) * self.many + 1

    def head(self, user: int) -> int:
        return self.many if user <= self.rich else self.few


_TASKS = """
    SELECT (user_id - 1) * %(many)s::bigint + number AS id, user_id, number, 1 + number %% 3 AS state,
        'Task ' || number || ' of user ' || user_id || ': buy milk and call' AS title,
        'A description of ordinary length, some words for the task number ' || number
            || ', with "quotes" and a dash - end.' AS description,
        now() - make_interval(mins => %(many)s - number) AS created_at,
        now() - make_interval(secs => %(many)s - number) AS updated_at
    FROM generate_series(1, %(users)s) AS user_id,
        generate_series(1, CASE WHEN user_id <= %(rich)s THEN %(many)s ELSE %(few)s END) AS number
"""
_TICKBASE = [
    """
    INSERT INTO users_user (id, password, is_superuser, email, email_canonical, name, timezone, is_active, is_staff,
        created_at, token_version)
    SELECT id, '!', false, email, email, '', 'UTC', true, false, now(), 0
    FROM (SELECT id, 'user' || id || '@example.com' AS email FROM generate_series(1, %(users)s) AS id)
    """,
    """
    INSERT INTO users_session (id, user_id, user_agent, created_at, last_used_at, generation)
    SELECT uuidv7(), id, '', now(), now(), 0 FROM users_user
    """,
    f"""
    INSERT INTO tasks_task (id, user_id, uid, title, description, status, priority, tags, completed_at, created_at,
        updated_at, version, tag_keys, search_text, title_key)
    SELECT id, user_id, uuidv7(), title, description,
        (ARRAY['pending', 'in_progress', 'completed'])[state], 'medium', '{{}}',
        CASE state WHEN 3 THEN updated_at END, created_at, updated_at, number, '{{}}',
        lower(title) || chr(31) || lower(description), lower(title)
    FROM ({_TASKS}) AS task ORDER BY id
    """,
    "INSERT INTO tasks_feed (user_id, head, floor) SELECT user_id, max(version), 0 FROM tasks_task GROUP BY user_id",
    "SELECT setval(pg_get_serial_sequence('users_user', 'id'), %(users)s)",
    "SELECT setval(pg_get_serial_sequence('tasks_task', 'id'), %(users)s::bigint * %(many)s)",
]
_PEERS = [
    "INSERT INTO auth_user (id, username) SELECT id, 'user' || id FROM generate_series(1, %(users)s) AS id",
    f"""
    INSERT INTO tasks_task (id, user_id, title, description, status, created_at, updated_at)
    SELECT id, user_id, title, description, (ARRAY['todo', 'in_progress', 'done'])[state], created_at, updated_at
    FROM ({_TASKS}) AS task ORDER BY id
    """,
    "SELECT setval(pg_get_serial_sequence('auth_user', 'id'), %(users)s)",
    "SELECT setval(pg_get_serial_sequence('tasks_task', 'id'), %(users)s::bigint * %(many)s)",
]


def seed_tickbase(size: Size) -> None:
    """Into an empty, migrated database."""
    with all_users(), connection.cursor() as cursor:
        for statement in _TICKBASE:
            cursor.execute(statement, size._asdict())


def seed_peers(url: str, size: Size) -> None:
    with psycopg.connect(url) as peers:
        peers.execute(SCHEMA.read_bytes())
        for statement in _PEERS:
            peers.execute(statement.encode(), size._asdict())


def prepare(size: Size) -> str:
    """Make and fill both databases; returns the URL of the peers'."""
    seed_tickbase(size)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
        cursor.execute(f"CREATE DATABASE {PEERS}")
    url = url_of(PEERS)
    seed_peers(url, size)
    with psycopg.connect(url, autocommit=True) as peers:
        peers.execute("VACUUM ANALYZE")
    return url


def url_of(database: str) -> str:
    """Through the socket in the data directory, as Tickbase itself connects."""
    settings = connection.settings_dict
    return f"postgresql://{settings['USER']}@/{database}?host={settings['HOST']}"
