"""Every operation of the API, called by its owner, by another user and by nobody."""

import json
from typing import Any, NamedTuple

import pytest
import yaml
from django.conf import settings

from tests.client import Answer, Api
from tests.factories import PASSWORD, make_session, make_task, make_tokens, make_user
from tests.problems import exact, stored
from users.models import User

NEW = {"email": "new@example.com", "password": PASSWORD}


class Row(NamedTuple):
    """`path` may name the `{user}`, a `{task}` and a `{session}` of alice's; statuses for alice, for bob with
    alice's path, and for nobody."""

    method: str
    path: str
    body: Any
    owner: int
    other: int = 403
    nobody: int = 401


TABLE = {
    "listTasks": Row("GET", "/api/{user}/tasks", None, 200),
    "createTask": Row("POST", "/api/{user}/tasks", {"title": "A"}, 201),
    "getTask": Row("GET", "/api/{user}/tasks/{task}", None, 200),
    "replaceTask": Row("PUT", "/api/{user}/tasks/{task}", {"title": "B"}, 200),
    "updateTask": Row("PATCH", "/api/{user}/tasks/{task}", {"title": "B"}, 200),
    "deleteTask": Row("DELETE", "/api/{user}/tasks/{task}", None, 204),
    "completeTask": Row("PATCH", "/api/{user}/tasks/{task}/complete", None, 200),
    # Everybody's own account.
    "getMe": Row("GET", "/api/users/me", None, 200, other=200),
    "updateMe": Row("PATCH", "/api/users/me", {"name": "B"}, 200, other=200),
    "deleteMe": Row("DELETE", "/api/users/me", None, 204, other=204),
    "exportMe": Row("GET", "/api/users/me/export", None, 200, other=200),
    "changePassword": Row("POST", "/api/users/me/password", {}, 400, other=400),
    "sendVerification": Row("POST", "/api/users/me/verification", None, 202, other=202),
    "listSessions": Row("GET", "/api/users/me/sessions", None, 200, other=200),
    "endOtherSessions": Row("DELETE", "/api/users/me/sessions", None, 204, other=204),
    "endSession": Row("DELETE", "/api/users/me/sessions/{session}", None, 204, other=404),
    # For everybody.
    "register": Row("POST", "/api/auth/register", NEW, 201, other=201, nobody=201),
    "login": Row("POST", "/api/auth/login", NEW, 401, other=401, nobody=401),
    "refreshTokens": Row("POST", "/api/auth/refresh", {"refresh": "x"}, 401, other=401, nobody=401),
    "logout": Row("POST", "/api/auth/logout", {"refresh": "x"}, 401, other=401, nobody=401),
    "forgotPassword": Row("POST", "/api/auth/forgot-password", {"email": "x"}, 202, other=202, nobody=202),
    "resetPassword": Row("POST", "/api/auth/reset-password", {"token": "x", "password": "x"}, 400, 400, 400),
    "verifyEmail": Row("POST", "/api/auth/verify-email", {"token": "x"}, 400, 400, 400),
    "getLiveness": Row("GET", "/healthz", None, 200, other=200, nobody=200),
    "getReadiness": Row("GET", "/readyz", None, 200, other=200, nobody=200),
}
OF_TASKS = [row for row in TABLE.values() if "{user}" in row.path]
OF_ONE_TASK = [row for row in OF_TASKS if "{task}" in row.path]


def call(api: Api, row: Row, user: str, task: int, session: object = None) -> Answer:
    path = row.path.format(user=user, task=task, session=session)
    answer: Answer = api.client.generic(
        row.method,
        path,
        "" if row.body is None else json.dumps(row.body),
        content_type="" if row.body is None else "application/json",
        headers={"X-Request-ID": "same"},
    )
    return answer


def test_every_operation_stands_in_the_table() -> None:
    document = yaml.safe_load((settings.BASE_DIR / "docs/openapi.yaml").read_text())
    operations = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert sorted(operations) == sorted(TABLE)


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_the_owner(alice: User, row: Row) -> None:
    answer = call(Api(alice), row, alice.public_id, make_task(alice).pk, make_session(alice).pk)
    assert answer.status_code == row.owner


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_another_user(alice: User, bob: User, row: Row) -> None:
    answer = call(Api(bob), row, alice.public_id, make_task(alice).pk, make_session(alice).pk)
    assert answer.status_code == row.other


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_nobody(alice: User, row: Row) -> None:
    answer = call(Api(), row, alice.public_id, make_task(alice).pk, make_session(alice).pk)
    assert answer.status_code == row.nobody


@pytest.mark.parametrize("row", OF_ONE_TASK, ids=[f"{row.method} {row.path}" for row in OF_ONE_TASK])
def test_the_task_of_another_is_as_one_that_never_was(alice: User, bob: User, row: Row) -> None:
    """In bob's own path; and nothing of alice's is changed in any way."""
    task, as_bob = make_task(alice), Api(bob)
    before = stored()
    foreign = call(as_bob, row, "me", task.pk)
    missing = call(as_bob, row, "me", 2**62)
    assert foreign.status_code == 404
    assert exact(foreign) == exact(missing)
    assert stored() == before


@pytest.mark.parametrize("row", OF_TASKS, ids=[f"{row.method} {row.path}" for row in OF_TASKS])
@pytest.mark.parametrize("kind", ["deactivated", "deleted", "expired generation", "refresh token"])
def test_tokens_that_open_nothing(alice: User, row: Row, kind: str) -> None:
    task, api = make_task(alice), Api(alice)
    if kind == "deactivated":
        User.objects.filter(pk=alice.pk).update(is_active=False)
    elif kind == "expired generation":
        User.objects.filter(pk=alice.pk).update(token_version=1)
    elif kind == "refresh token":
        api.client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_tokens(alice).refresh}")
    else:
        other = make_user()
        api = Api(other)
        other.delete()
    before = stored()
    assert call(api, row, "me", task.pk).status_code == 401
    assert stored() == before
