"""Several devices complete the same occurrence at the same moment."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tasks.completions import Completion
from tasks.models import Task
from tests.client import Api
from tests.factories import make_user
from tests.races import at_once
from tests.tasks.test_recurring import TODAY, make
from users.models import User

THREADS = 12


@pytest.fixture
def alice(transactional_db: None) -> User:
    return make_user("alice")


def statuses(user: User, call: Callable[[Api], Any]) -> list[int]:
    apis = [Api(user) for _ in range(THREADS)]
    return sorted(answer.status_code for answer in at_once(partial(call, api) for api in apis))


def test_with_the_version_it_advances_once(alice: User) -> None:
    task = make(alice)
    path, tag = f"/api/me/tasks/{task.pk}/complete", f'"{task.version}"'
    found = statuses(alice, lambda api: api.patch(path, {"completed": True}, if_match=tag))
    assert found == [200] + [412] * (THREADS - 1)
    assert_one_step(task)


def test_with_the_occurrence_it_advances_once(alice: User) -> None:
    task = make(alice)
    body = {"completed": True, "occurrence": TODAY.isoformat()}
    found = statuses(alice, lambda api: api.patch(f"/api/me/tasks/{task.pk}/complete", body))
    assert found == [200] + [409] * (THREADS - 1)
    assert_one_step(task)


def test_without_either_each_request_completes_one(alice: User) -> None:
    """Toggles are what they are."""
    task = make(alice)
    assert statuses(alice, lambda api: api.patch(f"/api/me/tasks/{task.pk}/complete")) == [200] * THREADS
    dues = [str(row.occurrence_date) for row in Completion.objects.order_by("version")]
    assert (dues, len(set(dues))) == (sorted(dues), THREADS)
    assert Task.objects.get().completions == THREADS


def assert_one_step(task: Task) -> None:
    row, stored = Completion.objects.get(), Task.objects.get()
    assert (row.version, stored.completions, stored.version) == (stored.version, 1, task.version + 1)
