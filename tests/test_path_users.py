"""The user in the path is the caller, written exactly so; of all others nothing is looked up and nothing is told."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.client import Api
from tests.factories import make_task, make_user
from tests.problems import exact, problem_of, stored
from users.models import User

Path = Callable[[User], str]
NOBODY = str(2**62)


def encoded(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def in_digits_from(zero: str) -> Path:
    return lambda user: encoded("".join(chr(ord(zero) + int(digit)) for digit in user.public_id))


OWN: dict[str, Path] = {
    "me": lambda user: "me",
    "own id": lambda user: user.public_id,
    "own id, percent-encoded": lambda user: encoded(user.public_id),
    "me, percent-encoded": lambda user: "%6D%65",
}
REFUSED: dict[str, Path] = {
    "another user": lambda user: make_user("bob").public_id,
    "staff": lambda user: make_user("carol", is_staff=True, is_superuser=True).public_id,
    "an external user": lambda user: User.objects.create(issuer="i", subject="auth0|1").public_id,
    "nobody": lambda user: NOBODY,
    "beyond a bigint": lambda user: "9" * 30,
    "zero": lambda user: "0",
    "negative": lambda user: f"-{user.public_id}",
    "garbage": lambda user: "garbage",
    "long": lambda user: "x" * 2000,
    "leading zeros": lambda user: f"00{user.public_id}",
    "plus": lambda user: f"+{user.public_id}",
    "plus, percent-encoded": lambda user: f"%2B{user.public_id}",
    "space before": lambda user: f"%20{user.public_id}",
    "space after": lambda user: f"{user.public_id}%20",
    "no-break space": lambda user: f"{user.public_id}%C2%A0",
    "zero-width space": lambda user: f"{user.public_id}%E2%80%8B",
    "line break": lambda user: f"{user.public_id}%0A",
    "NUL": lambda user: f"{user.public_id}%00",
    "Arabic digits": in_digits_from("٠"),
    "fullwidth digits": in_digits_from("０"),
    "mathematical digits": in_digits_from("𝟎"),
    "decimal": lambda user: f"{user.public_id}.0",
    "exponent": lambda user: f"{user.public_id}e0",
    "hexadecimal": lambda user: hex(user.pk),
    "underscore": lambda user: f"{user.public_id}_0",
    "list": lambda user: f"{user.public_id},{user.public_id}",
    "quoted": lambda user: f"%22{user.public_id}%22",
    "encoded twice": lambda user: encoded(user.public_id).replace("%", "%25"),
    "no UTF-8": lambda user: f"{user.public_id}%FF",
    "upper case": lambda user: "ME",
    "Me": lambda user: "Me",
    "me and a space": lambda user: "me%20",
    "fullwidth me": lambda user: encoded("ｍｅ"),
    "dots": lambda user: "..",
    "parameter": lambda user: f"{user.public_id};user=1",
    "SQL": lambda user: f"{user.public_id}%27%20OR%20%271%27=%271",
    "null": lambda user: "null",
    "e-mail": lambda user: user.email,
}
# No address of ours.
ELSEWHERE: dict[str, Path] = {
    "empty": lambda user: "",
    "slash after": lambda user: f"{user.public_id}%2F",
    "slash before": lambda user: f"%2F{user.public_id}",
    "path within": lambda user: f"{make_user('bob').public_id}/../{user.public_id}",
}
OPERATIONS: dict[str, tuple[str, str, Any, int]] = {
    "listTasks": ("get", "tasks", None, 200),
    "createTask": ("post", "tasks", {"title": "B"}, 201),
    "getTask": ("get", "tasks/{task}", None, 200),
    "putTask": ("put", "tasks/{task}", {"title": "B"}, 200),
    "updateTask": ("patch", "tasks/{task}", {"title": "B"}, 200),
    "deleteTask": ("delete", "tasks/{task}", None, 204),
    "completeTask": ("patch", "tasks/{task}/complete", None, 200),
}


def call(api: Api, name: str, user_id: str, task_id: int) -> Any:
    method, path, body, _ = OPERATIONS[name]
    send = getattr(api, method)
    arguments = [] if body is None else [body]
    return send(f"/api/{user_id}/{path.format(task=task_id)}", *arguments, x_request_id="same")


def queries_of(request: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as queries:
        request()
    return len(queries)


@pytest.mark.parametrize("path", OWN.values(), ids=OWN)
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_own_path(alice: User, as_alice: Api, name: str, path: Path) -> None:
    answer = call(as_alice, name, path(alice), make_task(alice).pk)
    assert answer.status_code == OPERATIONS[name][-1]


@pytest.mark.parametrize("path", REFUSED.values(), ids=REFUSED)
def test_any_other_path_is_refused_before_anything_is_looked_up(alice: User, as_alice: Api, path: Path) -> None:
    task_id, user_id = make_task(alice).pk, path(alice)
    authentication = queries_of(lambda: as_alice.get("/api/users/me"))
    before = stored()
    for name in OPERATIONS:
        answer, nobodys = (partial(call, as_alice, name, each, task_id) for each in (user_id, NOBODY))
        assert problem_of(answer(), 403)["code"] == "permission_denied"
        assert queries_of(answer) == authentication > 0
        assert exact(answer()) == exact(nobodys())
    assert stored() == before


@pytest.mark.parametrize("path", [*OWN.values(), *REFUSED.values()], ids=[*OWN, *REFUSED])
def test_who_has_no_token_is_told_the_same_of_every_path(alice: User, path: Path) -> None:
    task_id, user_id = make_task(alice).pk, path(alice)
    for name in OPERATIONS:
        answer, nobodys = (partial(call, Api(), name, each, task_id) for each in (user_id, NOBODY))
        assert problem_of(answer(), 401)["code"] == "not_authenticated"
        assert queries_of(answer) == 0
        assert exact(answer()) == exact(nobodys())


@pytest.mark.parametrize("path", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_no_user_leads_nowhere(alice: User, as_alice: Api, path: Path) -> None:
    task_id, user_id = make_task(alice).pk, path(alice)
    before = stored()
    for name in OPERATIONS:
        problem_of(call(as_alice, name, user_id, task_id), 404)
    assert stored() == before
