"""The benchmark's tasks are such as Tickbase itself would have stored."""

import datetime as dt

import pytest
from django.utils.timezone import now

from tasks import services
from tasks.models import Task
from tests.benchmarks import callers, data
from users.models import Feed, Session, User
from users.tokens import own

pytestmark = pytest.mark.thorough

SIZE = data.Size(users=3, rich=2, many=6, few=3)


@pytest.fixture(autouse=True)
def seeded(db: None) -> None:
    data.seed_tickbase(SIZE)


def test_the_derived_columns_are_those_that_a_service_would_store() -> None:
    tasks = list(Task.objects.all())
    assert len(tasks) == 15
    for task in tasks:
        stored = (task.search_text, task.title_key, task.completed_at)
        task.update_derived_fields(now())
        assert (task.search_text, task.title_key, task.completed_at) == stored


def test_ids_and_feeds_are_where_the_load_expects_them() -> None:
    for user in User.objects.order_by("id"):
        tasks = Task.objects.for_user(user)
        assert min(tasks.values_list("id", flat=True)) == SIZE.first_task(user.pk)
        assert sorted(tasks.values_list("version", flat=True)) == list(range(1, SIZE.head(user.pk) + 1))
        assert Feed.objects.get(user=user).head == SIZE.head(user.pk)


def test_statuses_come_in_thirds() -> None:
    user = User.objects.get(pk=1)
    assert [Task.objects.for_user(user).with_status([status]).count() for status in ("pending", "completed")] == [2, 2]


def test_the_next_task_and_the_next_account_find_free_ids() -> None:
    user = User.objects.get(pk=1)
    task = services.create_task(user, title="one more")
    assert (task.pk, task.version) == (SIZE.users * SIZE.many + 1, SIZE.many + 1)
    assert User.objects.create_user("new@example.com", None).pk == SIZE.users + 1


def test_minted_tokens_are_their_users_and_not_as_old_as_the_sessions() -> None:
    Session.objects.update(last_used_at=now() - dt.timedelta(hours=1))
    minted = callers.of_tickbase()
    assert {own.authenticate(token).user.pk for token in minted.values()} == {1, 2, 3} == minted.keys()
