"""What requests of a generated resource cost, beside those of tasks: in calls, which are the same on every machine."""

from collections.abc import Callable

import pytest
from pytest_django import Settings

from tasks.comments.services import create_comment
from tests.benchmarks.yardsticks import PAGE, Route, counted, routes
from tests.factories import make_task, make_user
from users.models import User

MOST = 1.1  # times what tasks cost


@pytest.fixture
def account(transactional_db: None, limit: Callable[..., None], settings: Settings) -> User:
    """As in tests/test_yardsticks.py."""
    limit(anon="300/min", user="3000/min")
    settings.WHITENOISE_AUTOREFRESH = False
    return make_user()


@pytest.mark.parametrize("name", ["get", "list"])
def test_a_comment_costs_little_more_than_a_task(account: User, name: str) -> None:
    task = make_task(account)
    comments = [create_comment(account, task_id=task.pk, text="A") for _ in range(PAGE + 1)]
    # Two parameters, as the list of tasks has.
    path = {"get": f"/api/me/comments/{comments[0].pk}", "list": f"/api/me/comments?sort=-created&limit={PAGE}"}[name]
    ours, theirs = counted(account, Route("GET", lambda: path, 200)), counted(account, routes(account)[name])
    assert (ours.statements, ours.messages) == (theirs.statements, theirs.messages)
    assert ours.calls + ours.c_calls <= MOST * (theirs.calls + theirs.c_calls), (ours, theirs)
