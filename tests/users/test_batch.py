"""Batches: several writes in one request, one transaction and one operation."""

from typing import Any

import pytest

from tasks.models import Task
from tasks.projects.models import Project
from tests.client import Api
from tests.factories import make_task, make_user
from tests.problems import places_of, problem_of, stored
from users.models import Change, Session, User
from users.resources import operations

BATCH = "/api/me/batch"


def send(api: Api, *operations: dict[str, Any], **options: Any) -> Any:
    return api.post(BATCH, {"operations": list(operations), **options})


def step(op: str, type: str = "task", **members: Any) -> dict[str, Any]:
    return {"op": op, "type": type, **members}


def test_each_step_sees_what_those_before_have_written(as_alice: Api, alice: User) -> None:
    done = send(
        as_alice,
        step("create", "project", body={"uid": "trip", "name": "Trip"}),
        step("create", body={"uid": "book", "title": "Book", "project_uid": "trip"}),
        step("create", body={"title": "The train", "parent_uid": "book"}),
        step("complete", uid="book", body={"completed": True}),
    )
    assert done.status_code == 200, done.content
    body = done.json()
    assert [each["status"] for each in body["results"]] == [201, 201, 201, 200]
    assert body["results"][3]["object"]["completed"] is True
    project = Project.objects.get()
    assert {(task.title, task.project_id, task.status) for task in Task.objects.all()} == {
        ("Book", project.pk, "completed"),
        ("The train", project.pk, "completed"),
    }
    # The child was created, and then completed with its parent.
    assert {(entry.operation, entry.version) for entry in Change.objects.all()} == {
        (body["operation"], version) for version in range(1, 6)
    }
    assert done["Tickbase-Operation"] == str(body["operation"]) == "5"


def test_one_undo_takes_all_of_it_back(as_alice: Api, alice: User) -> None:
    task = make_task(alice, title="Before")
    send(
        as_alice,
        step("update", id=task.pk, body={"title": "After"}),
        step("update", id=task.pk, body={"title": "Later"}),
        step("create", body={"title": "New"}),
    )
    assert as_alice.post("/api/me/undo", {}).status_code == 200
    assert [each.title for each in Task.objects.visible()] == ["Before"]


@pytest.mark.parametrize(
    ("refused", "status", "place"),
    [
        (step("update", id=2**40, body={"title": "x"}), 404, "/operations/1"),
        (step("create", body={"title": "x", "project_id": 2**40}), 400, "/operations/1/body/project_id"),
        (step("create", body={"title": ""}), 400, "/operations/1/body/title"),
        (step("delete", uid="nobody's"), 404, "/operations/1"),
        (step("restore", id=1), 404, "/operations/1"),
        (step("delete", id=1, body={"tasks": "inbox"}), 400, "/operations/1/body/tasks"),
    ],
)
def test_the_first_refusal_stores_nothing(
    as_alice: Api, alice: User, refused: dict[str, Any], status: int, place: str
) -> None:
    before = stored()
    answer = send(as_alice, step("create", body={"title": "First"}), refused)
    assert [error["pointer"] for error in problem_of(answer, status)["errors"]] == [place]
    assert stored() == before


def test_not_atomic_each_step_stands_by_itself(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    answer = send(
        as_alice,
        step("create", body={"title": "First"}),
        step("update", id=2**40, body={"title": "x"}),
        step("create", body={"titel": "x"}),
        step("update", id=task.pk, if_version=7, body={"title": "x"}),
        step("delete", id=task.pk, if_version=1),
        atomic=False,
    )
    results = answer.json()["results"]
    assert [each["status"] for each in results] == [201, 404, 400, 412, 204]
    assert results[1]["problem"]["code"] == "task_not_found"
    assert results[3]["problem"]["current"]["id"] == task.pk
    assert [each.title for each in Task.objects.visible()] == ["First"]
    assert Change.objects.filter(operation=answer.json()["operation"]).count() == 2


def test_all_steps_together_change_no_more_than_an_operation_may(
    as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MAX_ROWS", 3)
    parent = make_task(alice)
    for _ in range(2):
        make_task(alice, parent_id=parent.pk)
    before = stored()
    for atomic in (True, False):
        done = send(as_alice, step("complete", id=parent.pk), step("complete", id=parent.pk), atomic=atomic)
        assert problem_of(done, 422)["code"] == "operation_too_large"
        assert stored() == before


def test_a_batch_can_be_sent_until_it_is_answered(as_alice: Api, alice: User) -> None:
    creation = step("create", body={"uid": "mine", "title": "A", "tags": ["b"]})
    first, again = send(as_alice, creation), send(as_alice, creation)
    assert [each.json()["results"][0]["status"] for each in (first, again)] == [201, 200]
    assert again.json()["results"][0]["object"] == first.json()["results"][0]["object"]
    assert again.json()["operation"] is None and "Tickbase-Operation" not in again
    other = send(as_alice, step("create", body={"uid": "mine", "title": "B"}))
    assert problem_of(other, 409)["code"] == "uid_taken" and Task.objects.get().title == "A"


def test_a_batch_of_tasks_takes_few_messages(transactional_db: None) -> None:
    from django.db import connection

    user = make_user()
    wrapper: Any = connection
    before = wrapper.messages
    answer = send(Api(user), *(step("create", body={"title": str(number)}) for number in range(100)))
    assert answer.status_code == 200 and Task.objects.count() == 100
    assert wrapper.messages - before <= 100 * 3 + 15


@pytest.mark.parametrize(
    ("sent", "place"),
    [
        ({}, "/operations"),
        ({"operations": []}, "/operations"),
        ({"operations": [step("create", body={"title": "x"})] * 101}, "/operations"),
        ({"operations": [1]}, "/operations/0"),
        ({"operations": [step("explode", id=1)]}, "/operations/0/op"),
        ({"operations": [step("create", "user", body={})]}, "/operations/0/type"),
        ({"operations": [step("complete", "project", id=1)]}, "/operations/0/op"),
        ({"operations": [step("update", body={})]}, "/operations/0/id"),
        ({"operations": [step("update", id=1, uid="a", body={})]}, "/operations/0/id"),
        ({"operations": [step("create", id=1, body={"title": "x"})]}, "/operations/0/id"),
        ({"operations": [step("update", id=1, body=[])]}, "/operations/0/body"),
        ({"atomic": 1, "operations": [step("create", body={"title": "x"})]}, "/atomic"),
    ],
)
def test_what_is_no_batch_is_named(as_alice: Api, sent: dict[str, Any], place: str) -> None:
    answer = as_alice.post(BATCH, sent)
    assert answer.status_code == 400, answer.content
    assert places_of(answer, "pointer") == [place]


def test_rows_of_another_are_not_there(as_alice: Api, bob: User) -> None:
    theirs = make_task(bob, title="theirs")
    before = stored()
    for op in ("update", "delete", "complete", "move"):
        foreign = send(as_alice, step(op, id=theirs.pk))
        assert problem_of(foreign, 404)["code"] == "task_not_found", op
    assert problem_of(send(as_alice, step("delete", uid=theirs.uid)), 404)["code"] == "task_not_found"
    assert stored() == before


def test_a_session_that_has_ended_writes_nothing(as_alice: Api) -> None:
    Session.objects.all().delete()
    assert send(as_alice, step("create", body={"title": "x"})).status_code == 401
    assert not Task.objects.exists()
