"""What the tests of hostile input share, and those of plans."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tasks.models import Task
from tests.client import Api
from tests.factories import make_project, make_task, make_user
from tests.problems import stored
from tests.tasks.outlines import OUTLINES, Outline
from users.models import IdempotencyKey, User

ROWS = 6_000  # of which every other one is walter's
COMMON_TAG, RARE_TAG = "work", "passport"  # of every other task of walter's, and of four


@pytest.fixture
def task(alice: User) -> Task:
    return make_task(alice, title="As it was", description="kept", tags=["a"], priority="high")


@pytest.fixture
def unchanged(task: Task, as_alice: Api) -> Iterator[None]:
    """Around a refusal of what alice sends: every row is afterwards as it was before."""
    make_project(task.user)
    IdempotencyKey.objects.create(status=200, user=task.user, created_at=task.created_at, expires_at=task.created_at)
    before = stored()
    assert Task.objects.count() == 1, "nothing is there that could have changed"
    yield
    assert stored() == before


@pytest.fixture(params=OUTLINES, ids=lambda outline: outline.plural)
def outline(request: pytest.FixtureRequest) -> Outline:
    found: Outline = request.param
    return found


@pytest.fixture
def walter(db: None) -> User:
    """Has every other task of a table that PostgreSQL knows well, in new files: what other tests left in those of
    before, and whether it is vacuumed by now, would change what a plan costs."""
    user, other = make_user("walter"), make_user()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE tasks_task CASCADE")
        cursor.execute(
            f"""
            INSERT INTO tasks_task (user_id, uid, title, description, status, priority, tags, due_date, completed_at,
                created_at, updated_at, version, tag_keys, search_text, title_key)
            SELECT CASE n % 2 WHEN 0 THEN {user.pk} ELSE {other.pk} END, n, 'Task', '', status,
                (ARRAY['low', 'medium', 'high'])[1 + n % 3], tags,
                CASE WHEN n % 5 > 1 THEN DATE '2025-01-01' + n % 730 END, CASE status WHEN 'completed' THEN now() END,
                TIMESTAMPTZ '2026-01-01' + interval '1 minute' * n,
                TIMESTAMPTZ '2026-11-02' - interval '1 minute' * (n * 7919 % {ROWS}), n, tags, repeat('text ', 40),
                'task ' || n * 7919 % {ROWS}
            FROM generate_series(1, {ROWS}) AS n, LATERAL (SELECT CASE WHEN n % 1000 = 0 THEN 'cancelled'
                WHEN n % 10 = 8 THEN 'pending' ELSE 'completed' END) AS state (status),
                LATERAL (SELECT CASE WHEN n % 1500 = 0 THEN ARRAY['{RARE_TAG}', '{COMMON_TAG}']
                    WHEN n % 4 = 0 THEN ARRAY['{COMMON_TAG}'] ELSE '{{}}' END) AS tagged (tags)
            """
        )
        cursor.execute("INSERT INTO tasks_feed VALUES (%s, %s, 0)", [user.pk, ROWS])
        cursor.execute("ANALYZE tasks_task, tasks_tasktag")
    return user
