"""What the tests of hostile input share."""

from collections.abc import Iterator

import pytest

from tasks.models import Task
from tests.client import Api
from tests.factories import make_task
from tests.problems import stored
from users.models import User


@pytest.fixture
def task(alice: User) -> Task:
    return make_task(alice, title="As it was", description="kept", tags=["a"], priority="high")


@pytest.fixture
def unchanged(task: Task, as_alice: Api) -> Iterator[None]:
    """Around a refusal of what alice sends: every row is afterwards as it was before."""
    as_alice.patch(f"/api/me/tasks/{task.pk}", {}, idempotency_key="a-key")
    before = stored()
    assert all(before), "nothing is there that could have changed"
    yield
    assert stored() == before
