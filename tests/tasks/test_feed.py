"""The change feed: every write takes its owner's next number, and numbers are in commit order."""

import threading
from collections.abc import Callable

import pytest
from django.db import connections

from config.database.isolation import all_users
from tasks import services
from tasks.models import Task
from tests.changes import changed_since
from tests.client import Api
from tests.factories import caller_of, head_of, make_task, make_user
from tests.plans import explain, nodes, statements
from tests.races import Rival
from users.models import User
from users.resources import operations, writes


def test_every_kind_of_write_takes_the_next_number(alice: User) -> None:
    task = make_task(alice)
    assert (task.version, head_of(alice)) == (1, 1)
    assert services.update_task(alice, task.pk, {"title": "New"}).version == 2
    assert services.complete_task(alice, task.pk).version == 3
    services.delete_task(alice, task.pk)
    task.refresh_from_db()
    assert (task.version, head_of(alice)) == (4, 4)


def test_users_count_apart(alice: User, bob: User) -> None:
    make_task(alice)
    make_task(alice)
    assert make_task(bob).version == 1
    assert (head_of(alice), head_of(bob)) == (2, 1)
    assert len(changed_since(bob, Task, 0)) == 1


def test_refused_writes_give_their_number_back(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    as_alice.patch(f"/api/me/tasks/{task.pk}", {"title": "New"}, if_match='"7"')
    as_alice.delete("/api/me/tasks/999999")
    as_alice.post("/api/me/tasks", {"title": "Twin", "uid": task.uid})
    as_alice.patch(f"/api/me/tasks/{task.pk}", {"title": task.title})
    assert (head_of(alice), Task.objects.get().version) == (1, 1)


def test_a_task_is_locked_by_a_condition_on_the_number_that_was_taken(alice: User) -> None:
    task = make_task(alice)
    feed, row, *_ = statements(lambda: services.delete_task(alice, task.pk), "SELECT", "tasks_")
    assert "FROM tasks_feed" in feed and feed.endswith("FOR UPDATE")
    assert 'FROM "tasks_task"' in row and row.endswith("FOR UPDATE")


@pytest.mark.parametrize("as_caller", [True, False])
def test_the_account_is_locked_before_the_feed(alice: User, as_caller: bool) -> None:
    """In the lock order of `delete_account`, which would deadlock otherwise."""
    make_task(alice)
    actor = caller_of(alice) if as_caller else alice
    (sql,) = statements(lambda: services.create_task(actor, title="A"), "WITH")
    taken = next(node for node in nodes(explain(alice, sql)["Plan"]) if node.get("Subplan Name") == "CTE taken")
    locks = next(node for node in nodes(taken) if node["Node Type"] == "LockRows")
    (gate,) = [node for node in nodes(taken) if locks["Subplan Name"] in node.get("One-Time Filter", "")]
    assert [node["Relation Name"] for node in nodes(gate) if "Relation Name" in node] == ["tasks_feed"]


def test_locking_outside_a_transaction_is_a_bug(transactional_db: None) -> None:
    with pytest.raises(AssertionError):
        operations.begin(make_user())


@pytest.mark.usefixtures("transactional_db")
def test_a_change_that_waited_finds_the_task_as_the_other_left_it() -> None:
    user = make_user()
    task = make_task(user)
    with Rival(lambda: services.update_task(user, task.pk, {"description": "theirs"}), lambda: None):
        mine = services.update_task(user, task.pk, {"title": "mine"})
    assert (mine.title, mine.description) == ("mine", "theirs")
    assert mine.version == head_of(user) == 4  # the lost attempt took number 3


@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize(("is_deleted", "write"), [(False, services.delete_task), (True, services.restore_task)])
def test_a_task_that_came_to_be_what_is_looked_for_meanwhile_is_found(
    is_deleted: bool, write: Callable[[User, int], object]
) -> None:
    """Who waits for another that deletes or restores it looks only then."""
    user = make_user()
    task = make_task(user)
    opposite = services.restore_task if write == services.delete_task else services.delete_task
    if not is_deleted:
        services.delete_task(user, task.pk)
    with Rival(lambda: opposite(user, task.pk), lambda: None):
        write(user, task.pk)
    with pytest.raises(services.TaskNotFound):
        write(user, task.pk)
    assert head_of(user) == (4 if not is_deleted else 3)


def test_writers_of_one_user_never_lose_an_update(transactional_db: None) -> None:
    """Toggled an even number of times by 12 threads, a task is where it was. A lost attempt costs a number, and after
    two of them the lock decides."""
    user = make_user()
    task = make_task(user)

    @all_users()
    def toggle() -> None:
        for _ in range(10):
            services.complete_task(user, task.pk)
        connections.close_all()

    threads = [threading.Thread(target=toggle) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    task.refresh_from_db()
    assert task.status == "pending"
    assert 121 <= task.version == head_of(user) <= 121 + 120 * writes.OPTIMISTIC_ATTEMPTS
