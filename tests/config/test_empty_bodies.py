"""An empty body is an empty body, whatever its label: a form without fields says no more than no body at all."""

import datetime as dt
import json
from typing import Any

import pytest

from tasks.models import Task
from tests.client import Answer, Api
from tests.factories import make_task
from tests.problems import problem_of, send
from users.models import User

FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
BOUNDARY = "----WebKitFormBoundaryx"
OF_BOUNDARY = f"{MULTIPART}; boundary={BOUNDARY}"
FIELD = 'Content-Disposition: form-data; name="completed"\r\n\r\ntrue\r\n'
EMPTY = {
    "no label": ("", b""),
    "JSON": ("application/json", b""),
    "JSON in another charset": ("application/json; charset=utf-16", b""),
    "form": (FORM, b""),
    "form with charset": (f"{FORM}; charset=UTF-8", b""),
    "multipart": (OF_BOUNDARY, b""),
    "multipart without boundary": (MULTIPART, b""),
    "multipart without fields": (OF_BOUNDARY, f"--{BOUNDARY}--\r\n".encode()),
    "multipart without fields, cut short": (OF_BOUNDARY, f"--{BOUNDARY}--".encode()),
    "multipart, quoted boundary": ('Multipart/Form-Data; boundary="a b"', b"--a b--\r\n"),
    "text": ("text/plain", b""),
    "nonsense": ("nonsense", b""),
}
FILLED = {
    "form": (FORM, b"completed=true"),
    "form of one space": (FORM, b" "),
    "form of a line": (FORM, b"\r\n"),
    "JSON as a form": (FORM, b"{}"),
    "field": (OF_BOUNDARY, f"--{BOUNDARY}\r\n{FIELD}--{BOUNDARY}--\r\n".encode()),
    "another boundary": (OF_BOUNDARY, b"--another--\r\n"),
    "no end": (OF_BOUNDARY, f"--{BOUNDARY}\r\n".encode()),
    "more behind the end": (OF_BOUNDARY, f"--{BOUNDARY}--\r\n{{}}".encode()),
    "no boundary": (MULTIPART, b"----\r\n1"),
    "boundary of another charset": (f"{MULTIPART}; boundary*=utf-8''%E2%82%AC", "--€--\r\n".encode()),
    "two megabytes": (OF_BOUNDARY, b"-" * 2_000_000),
}  # fmt: skip
COMPLETE = ("PATCH", "/api/me/tasks/{task}/complete")
WRITES = {
    "createTask": ("POST", "/api/me/tasks"),
    "putTask": ("PUT", "/api/me/tasks/{task}"),
    "updateTask": ("PATCH", "/api/me/tasks/{task}"),
    "register": ("POST", "/api/auth/register"),
    "login": ("POST", "/api/auth/login"),
    "refresh": ("POST", "/api/auth/refresh"),
    "resetPassword": ("POST", "/api/auth/reset-password"),
    "updateMe": ("PATCH", "/api/users/me"),
    "changePassword": ("POST", "/api/users/me/password"),
}


def said(answer: Answer) -> tuple[int, Any]:
    """Its status and body, but for the request's own id."""
    body = json.loads(answer.content) if answer.content else {}
    return answer.status_code, {name: value for name, value in body.items() if name != "request_id"}


@pytest.mark.parametrize("label, body", EMPTY.values(), ids=list(EMPTY))
def test_complete_toggles(as_alice: Api, alice: User, label: str, body: bytes) -> None:
    task = make_task(alice, status="in_progress")
    for number, expected in enumerate(["completed", "pending", "completed"], 2):
        answer = send(as_alice, "PATCH", f"/api/me/tasks/{task.pk}/complete", body, label)
        task.refresh_from_db()
        assert (answer.status_code, answer.json()["status"]) == (200, expected)
        assert (task.status, task.version) == (expected, number)


@pytest.mark.parametrize("method, path", WRITES.values(), ids=list(WRITES))
def test_every_route_takes_it_for_an_empty_object(as_alice: Api, alice: User, method: str, path: str) -> None:
    task = make_task(alice, description="kept", tags=["a"], priority="high", due_date=dt.date(2026, 12, 1))
    path = path.format(task=task.pk)
    expected = said(send(as_alice, method, path, b"{}"))
    for name, (label, body) in EMPTY.items():
        assert said(send(as_alice, method, path, body, label)) == expected, name


@pytest.mark.parametrize("method, path", [*WRITES.values(), COMPLETE], ids=[*WRITES, "completeTask"])
def test_a_form_with_anything_in_it_is_refused(as_alice: Api, alice: User, method: str, path: str) -> None:
    task = make_task(alice)
    for label, body in FILLED.values():
        answer = send(as_alice, method, path.format(task=task.pk), body, label)
        assert problem_of(answer, 415)["code"] == "unsupported_media_type"
    assert (Task.objects.get().status, Task.objects.get().version) == ("pending", 1)


def test_a_key_takes_all_of_them_for_one_body(as_alice: Api, alice: User) -> None:
    path = f"/api/me/tasks/{make_task(alice).pk}/complete"
    answers = [send(as_alice, "PATCH", path, body, label, HTTP_IDEMPOTENCY_KEY="k") for label, body in EMPTY.values()]
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "completed")}
    assert ["Idempotency-Replayed" in answer for answer in answers] == [False] + [True] * (len(EMPTY) - 1)
