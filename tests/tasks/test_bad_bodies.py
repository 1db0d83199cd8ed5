"""What is wrong in the body of a task beyond what tests/resources tries: a 4xx that names its place."""

from typing import Any

import pytest

from tasks.models import Task
from tests.client import Api
from tests.problems import WRITES, address, places_of, problem_of, send
from tests.resources.bodies import BODIES, NOT_A_FLAG, NOT_JSON

# --- Bodies -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
def test_every_bad_member_is_named_at_once(as_alice: Api, task: Task, method: str) -> None:
    body = {"titel": "x", "title": 1, "status": 2, "tags": [3, "a", None], "a/b": 1}
    answer = send(as_alice, method, address(method, task), body)
    assert sorted(places_of(answer, "pointer")) == ["/a~1b", "/status", "/tags/0", "/tags/2", "/titel", "/title"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"status": "in_progress", "completed": True}, "/completed"),
        ({"status": "cancelled", "completed": True}, "/completed"),
        ({"due_date": "2026-01-01", "due_at": "2026-03-01T09:30:00Z"}, "/due_date"),
        ({"due_date": "2026-01-01T09:30:00Z", "due_at": "2026-03-01T09:30:00Z"}, "/due_date"),
    ],
)
def test_members_that_contradict_each_other(
    as_alice: Api, task: Task, method: str, body: dict[str, Any], pointer: str
) -> None:
    answer = send(as_alice, method, address(method, task), {"title": "New", **body})
    assert places_of(answer, "pointer") == [pointer]


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"title": 1}, "/title: Send a JSON string."),
        ({"tags": "home, garden"}, "/tags: Send a JSON array."),
        ({"completed": "yes"}, "/completed: Use true or false."),
        ({"due_date": "2026-02-30"}, "/due_date: Write a date that exists, as YYYY-MM-DD."),
        ({"status": "completed", "completed": False}, "completed contradicts status; send one of the two."),
    ],
)
def test_the_detail_says_what_to_send(as_alice: Api, sent: dict[str, Any], detail: str) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "A", **sent})
    assert problem_of(answer, 400)["detail"] == detail


@pytest.mark.usefixtures("unchanged")
def test_half_a_million_tags_are_counted_before_each_is_looked_at(as_alice: Api) -> None:
    answer = send(as_alice, "POST", "/api/me/tasks", b'{"title": "a", "tags": [0' + b",0" * 500_000 + b"]}")
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (["/tags"], "max_length")


# --- PATCH complete ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "body, pointer",
    [
        *[pytest.param({"completed": bad}, "/completed", id=name) for name, bad in NOT_A_FLAG.items()],
        *[pytest.param(body, "", id=f"body: {name}") for name, body in BODIES.items()],
        pytest.param({"done": True}, "/done", id="unknown member"),
        pytest.param({"title": "New"}, "/title", id="member of the task"),
    ],
)  # fmt: skip
def test_complete_refuses_what_is_no_completion(as_alice: Api, task: Task, body: Any, pointer: str) -> None:
    assert places_of(send(as_alice, "PATCH", f"{address('PATCH', task)}/complete", body), "pointer") == [pointer]


@pytest.mark.usefixtures("unchanged")
def test_complete_never_takes_a_bad_body_for_none(as_alice: Api, task: Task) -> None:
    for body in NOT_JSON.values():
        problem_of(send(as_alice, "PATCH", f"{address('PATCH', task)}/complete", body), 400)
