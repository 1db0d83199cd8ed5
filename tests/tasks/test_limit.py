"""How many tasks an account may have: exactly so many, whatever comes at once; and as many tombstones."""

import datetime as dt
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from pytest_django import Settings

from config.errors import DomainError, LimitReached
from tasks import services
from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import head_of, make_task, make_user
from tests.pages import send, signed_in
from tests.problems import problem_of
from tests.races import at_once
from users.models import Change, Feed, IdempotencyKey, User
from users.resources import log, pruning, tombstones


@pytest.fixture(autouse=True)
def three(settings: Settings) -> None:
    settings.LIMIT_TASKS = 3


def counts_of(user: User) -> tuple[int, int]:
    """As the feed has them; the rows say the same."""
    counts: tuple[int, int] = Feed.objects.values_list("live", "stored").get(user=user)
    tasks = Task.objects.for_user(user)
    assert counts == (tasks.visible().count(), tasks.count())
    return counts


def create(api: Api, **headers: str) -> Answer:
    return api.post("/api/me/tasks", {"title": "A"}, **headers)


def test_past_the_limit_no_task_is_created_until_one_is_deleted(as_alice: Api, alice: User) -> None:
    tasks = [create(as_alice).json() for _ in range(3)]
    problem = problem_of(create(as_alice), 409)
    assert (problem["code"], problem["limit"]) == ("limit_reached", 3)
    assert problem["detail"] == "You have 3 tasks, and may have 3; delete some first."
    assert (Task.objects.count(), head_of(alice)) == (3, 3)
    assert as_alice.delete(f"/api/me/tasks/{tasks[0]['id']}").status_code == 204
    assert create(as_alice).status_code == 201
    assert counts_of(alice) == (3, 4)


def test_whoever_has_too_many_may_change_and_delete_them(as_alice: Api, alice: User, settings: Settings) -> None:
    tasks = [make_task(alice) for _ in range(3)]
    settings.LIMIT_TASKS = 1
    path = f"/api/me/tasks/{tasks[0].pk}"
    assert as_alice.patch(path, {"title": "B"}).status_code == 200
    assert as_alice.patch(f"{path}/complete").status_code == 200
    assert as_alice.delete(path).status_code == 204
    assert problem_of(create(as_alice), 409)["limit"] == 1
    assert counts_of(alice) == (2, 3)


def test_a_task_that_is_brought_back_counts(alice: User) -> None:
    gone = make_task(alice)
    services.delete_task(alice, gone.pk)
    last = [make_task(alice) for _ in range(3)][-1]
    with pytest.raises(LimitReached):
        services.restore_task(alice, gone.pk)
    services.delete_task(alice, last.pk)
    services.restore_task(alice, gone.pk)
    assert counts_of(alice) == (3, 4)


def test_tombstones_of_a_higher_limit_keep_no_task_from_being_brought_back(alice: User, settings: Settings) -> None:
    tasks = [make_task(alice) for _ in range(3)]
    for task in tasks:
        services.delete_task(alice, task.pk)
    settings.LIMIT_TASKS = 1
    services.restore_task(alice, tasks[0].pk)
    assert counts_of(alice) == (1, 3)
    with pytest.raises(LimitReached):
        services.restore_task(alice, tasks[1].pk)


def test_what_is_refused_or_not_found_counts_nothing(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    assert as_alice.post("/api/me/tasks", {"title": "Twin", "uid": task.uid}).status_code == 409
    assert as_alice.delete(f"/api/me/tasks/{task.pk}", if_match='"7"').status_code == 412
    for _ in range(2):
        assert as_alice.delete("/api/me/tasks/999999").status_code == 404
        with pytest.raises(services.TaskNotFound):
            services.restore_task(alice, task.pk)
    assert counts_of(alice) == (1, 1)


def test_moving_to_another_time_zone_counts_nothing(as_alice: Api, alice: User) -> None:
    for _ in range(3):
        make_task(alice, due_at=dt.datetime(2026, 12, 1, 23, 30, tzinfo=dt.UTC))
    assert as_alice.patch("/api/users/me", {"timezone": "Asia/Karachi"}).status_code == 200
    assert (head_of(alice), counts_of(alice)) == (6, (3, 3))


def test_a_refused_task_can_be_sent_again_with_its_key(as_alice: Api, alice: User) -> None:
    tasks = [make_task(alice) for _ in range(3)]
    assert create(as_alice, idempotency_key="key").status_code == 409
    services.delete_task(alice, tasks[0].pk)
    assert create(as_alice, idempotency_key="key").status_code == 201


def test_zero_is_no_limit(as_alice: Api, settings: Settings) -> None:
    settings.LIMIT_TASKS = 0
    assert [create(as_alice).status_code for _ in range(4)] == [201] * 4


def test_users_have_a_limit_each(alice: User, bob: User) -> None:
    for user in (alice, bob):
        for _ in range(3):
            make_task(user)
    assert counts_of(alice) == counts_of(bob) == (3, 3)


def test_of_many_at_once_exactly_as_many_as_may_be_are_created(transactional_db: None) -> None:
    user = make_user()
    apis = [Api(user) for _ in range(10)]
    answers = at_once([partial(create, api) for api in apis])
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 7
    assert counts_of(user) == (3, 3)


def test_creating_deleting_and_restoring_at_once_are_counted(transactional_db: None, settings: Settings) -> None:
    user = make_user()
    settings.LIMIT_TASKS = 6
    tasks = [make_task(user) for _ in range(6)]
    for task in tasks[:3]:
        services.delete_task(user, task.pk)

    def attempt(write: Callable[[], object]) -> bool:
        try:
            write()
        except DomainError:
            return False
        return True

    writes: list[Callable[[], object]] = [partial(make_task, user) for _ in range(4)]
    writes += [partial(services.restore_task, user, task.pk) for task in tasks[:3]]
    writes += [partial(services.delete_task, user, task.pk) for task in tasks[3:]]
    at_once([partial(attempt, write) for write in writes])
    live, _ = counts_of(user)
    assert 3 <= live <= 6


# --- Tombstones -------------------------------------------------------------------------------------


def test_of_as_many_tombstones_as_there_may_be_tasks_the_oldest_goes(as_alice: Api, alice: User) -> None:
    services.delete_task(alice, create(as_alice, idempotency_key="oldest").json()["id"])
    for _ in range(4):
        services.delete_task(alice, make_task(alice).pk)
    oldest, *_ = Task.objects.for_user(alice).deleted().order_by("version")
    kept = make_task(alice)
    assert counts_of(alice) == (1, 6)
    assert create(as_alice).status_code == 201
    assert counts_of(alice) == (2, 6)
    assert not Task.objects.filter(pk=oldest.pk).exists()
    assert Feed.objects.get(user=alice).floor == oldest.version
    with pytest.raises(log.CursorExpired):
        log.entries(alice, oldest.version - 1, 100)
    assert kept.pk in {entry.object_id for entry in log.entries(alice, oldest.version, 100)}
    told = Change.objects.filter(user=alice, object_id=oldest.pk).values_list("diff", flat=True)
    assert list(told) == [{}, {}]
    assert not IdempotencyKey.objects.filter(user=alice).exists()


def test_with_a_key_too(as_alice: Api, alice: User) -> None:
    for _ in range(6):
        services.delete_task(alice, make_task(alice).pk)
    assert create(as_alice, idempotency_key="key").status_code == 201
    assert counts_of(alice) == (1, 6)


def test_a_hundredth_goes_at_once(alice: User, settings: Settings) -> None:
    settings.LIMIT_TASKS = 200
    for _ in range(3):
        services.delete_task(alice, make_task(alice).pk)
    tombstones.make_room(alice, Task, 200)
    assert counts_of(alice) == (0, 1)


@pytest.mark.parametrize(("live", "stored"), [(0, 6), (1, 9), (-9, 6)])
def test_counts_that_are_wrong_come_right_when_room_is_made(as_alice: Api, alice: User, live: int, stored: int) -> None:
    """As after rows were written by hand."""
    make_task(alice)
    Feed.objects.filter(user=alice).update(live=live, stored=stored)
    assert create(as_alice).status_code == 201
    assert counts_of(alice) == (2, 2)


def test_pruning_by_age_is_counted(alice: User) -> None:
    services.delete_task(alice, make_task(alice).pk)
    make_task(alice)
    later = timezone.now() + dt.timedelta(days=1)
    assert [sum(each) for each in (pruning.empty_trash(Task, later), pruning.cut_log(later))] == [1, 4]
    assert sum(pruning.prune_tombstones(Task)) == 1
    assert counts_of(alice) == (1, 1)


# --- Elsewhere --------------------------------------------------------------------------------------


def test_the_admin_says_why_a_task_is_not_brought_back(carol: User, alice: User) -> None:
    gone = make_task(alice)
    services.delete_task(alice, gone.pk)
    for _ in range(3):
        make_task(alice)
    typed: Any = {"action": "restore", "_selected_action": [str(gone.pk)], "index": "0"}
    page = send(signed_in(carol), "/admin/tasks/task/?deleted=yes", typed)
    assert page.messages == "Nothing was saved: The limit is reached. Look again."
    assert counts_of(alice) == (3, 4)


def test_tasks_of_a_demo_are_counted_but_not_limited(transactional_db: None) -> None:
    call_command("seed_demo", "--users=2", "--tasks=10", verbosity=0)
    users = User.objects.filter(feed__isnull=False)
    assert len(users) == 2
    assert all(live > 3 for live, _ in map(counts_of, users))


@pytest.mark.process
def test_tasks_of_before_are_counted_by_the_migration(migrated_again: None) -> None:
    user = make_user()
    services.delete_task(user, make_task(user).pk)
    make_task(user)
    call_command("migrate", "tasks", "0011", verbosity=0)
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    assert counts_of(user) == (1, 2)
