"""Batches: several writes in one request, one transaction and one operation."""

from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from config.errors import LimitReached, OperationTooLarge
from tasks.completions import Completion
from tasks.models import Task, TaskTag
from tasks.projects.models import Project
from tasks.resource import TASKS
from tests.client import Api
from tests.factories import make_task, make_user
from tests.problems import places_of, problem_of, stored
from tests.resources.declared import example, provide
from users.models import Change, Session, User
from users.resources import operations, writes
from users.resources.errors import Cycle
from users.resources.resource import Resource, registered
from users.sync import batch
from users.sync.batch import Step

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


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (step("update", id=1, if_version=1, body={"title": "x"}), "stale_version"),
        (step("create", body={"uid": "new", "title": "x"}), "uid_taken"),
    ],
)
def test_a_refusal_shows_nothing_that_the_steps_before_would_have_stored(
    as_alice: Api, alice: User, refused: dict[str, Any], code: str
) -> None:
    """As its version would be that of another change."""
    task = make_task(alice)
    refused |= {"id": task.pk} if "id" in refused else {}
    steps = [step("update", id=task.pk, body={"title": "A"}), step("create", body={"uid": "new", "title": "B"})]
    problem = problem_of(send(as_alice, *steps, refused), 412 if code == "stale_version" else 409)
    assert problem["code"] == code and "current" not in problem
    assert problem["detail"] == "A step before this one has created or changed the object already."
    results = send(as_alice, *steps, refused, atomic=False).json()["results"]
    assert results[2]["problem"]["current"] == results[0 if "id" in refused else 1]["object"]


def test_a_refusal_shows_what_is_stored(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    answer = send(as_alice, step("create", body={"title": "A"}), step("delete", id=task.pk, if_version=7))
    current = as_alice.get(f"/api/me/tasks/{task.pk}").json()
    assert problem_of(answer, 412)["current"] == current


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


@pytest.mark.parametrize("atomic", [True, False])
def test_all_steps_together_take_no_longer_than_a_statement_may(alice: User, settings: Settings, atomic: bool) -> None:
    """Steps that change nothing, each of which reads a tree: twenty on one of 10,000 tasks took 19 seconds."""
    steps = [Step(TASKS, TASKS.update, {"parent_id": None}, {}, pk=make_task(alice).pk)] * 100
    before = stored()
    settings.DATABASE_STATEMENT_TIMEOUT = 0.001
    with pytest.raises(OperationTooLarge, match="too long"):
        batch.run(alice, [Step(TASKS, TASKS.create, {"title": "x"}, {}), *steps], is_atomic=atomic)
    assert stored() == before
    settings.DATABASE_STATEMENT_TIMEOUT = 0  # off
    assert batch.run(alice, steps, is_atomic=atomic)[0]


def test_a_refusal_keeps_nothing_of_what_its_step_has_read(alice: User) -> None:
    """By the frames of their tracebacks, a hundred refusals in a tree of 10,000 tasks kept 2.5 GB."""
    parent = make_task(alice)
    child = make_task(alice, parent_id=parent.pk).pk
    cycle = Step(TASKS, TASKS.update, {"parent_id": child}, {}, pk=parent.pk)
    (refusal,), *_ = batch.run(alice, [cycle], is_atomic=False)
    assert isinstance(refusal, Cycle)
    assert (refusal.__traceback__, refusal.__cause__, refusal.__context__) == (None, None, None)


def test_a_batch_can_be_sent_until_it_is_answered(as_alice: Api, alice: User) -> None:
    creation = step("create", body={"uid": "mine", "title": "A", "tags": ["b"]})
    first, again = send(as_alice, creation), send(as_alice, creation)
    assert [each.json()["results"][0]["status"] for each in (first, again)] == [201, 200]
    assert again.json()["results"][0]["object"] == first.json()["results"][0]["object"]
    assert again.json()["operation"] is None and "Tickbase-Operation" not in again
    other = send(as_alice, step("create", body={"uid": "mine", "title": "B"}))
    assert problem_of(other, 409)["code"] == "uid_taken" and Task.objects.get().title == "A"


def test_creations_together_are_few_messages(transactional_db: None) -> None:
    wrapper: Any = connection
    api = Api(make_user())
    for count in (2, 100):
        before = wrapper.messages
        assert send(api, *(step("create", body={"title": "A"}) for _ in range(count))).status_code == 200
        assert wrapper.messages - before <= 13


def created(user: User) -> list[dict[str, Any]]:
    """All of what is stored, with the log, but for what differs by chance and by the moment."""
    ignored = {"id", "task_id", "created_at", "updated_at", "completed_at", "last_completed_at", "at", "position"}
    ignored |= {"user_id", "object_id", "operation", "actor", "diff"}
    models: list[Any] = [Task, TaskTag, Completion, Change]
    rows = [row for model in models for row in model.objects.filter(user=user).order_by("pk").values()]
    diffs = [
        {name: pair for name, pair in diff.items() if name not in ignored}
        for diff in Change.objects.filter(user=user).order_by("version").values_list("diff", flat=True)
    ]
    return [*({name: row[name] for name in row.keys() - ignored} for row in rows), *diffs]


def test_creations_together_store_what_each_alone_does(as_alice: Api, alice: User, bob: User) -> None:
    bodies: list[dict[str, Any]] = [
        {"uid": "a", "title": "A", "tags": ["x", "Y"], "extra": {"a": [1, "\u2028"]}, "due_date": "2026-12-01"},
        {"uid": "b", "title": "b" * 200, "description": '\\ "\n', "status": "completed", "priority": "high"},
        {"uid": "c", "title": "C", "due_at": "2026-12-01T09:30:00+05:00", "recurrence": {"rule": "FREQ=DAILY"}},
    ]
    for body in bodies:
        assert Api(bob).post("/api/me/tasks", body).status_code == 201
    done = send(as_alice, *(step("create", body=body) for body in bodies))
    shown = [each["object"] for each in done.json()["results"]]
    assert shown == [as_alice.get(f"/api/me/tasks/{each['id']}").json() for each in shown]
    assert created(alice) == created(bob)
    tasks = Task.objects.for_user(alice).order_by("version")
    assert [task.uid for task in tasks] == ["a", "b", "c"] == [task.uid for task in tasks.order_by("pk")]
    assert [task.uid for task in tasks.order_by("position")] == ["a", "b", "c"]


def test_of_creations_together_the_one_that_is_refused_is_named(as_alice: Api, alice: User) -> None:
    make_task(alice, uid="taken", title="Another")
    steps = [step("create", body={"uid": uid, "title": "A"}) for uid in ("new", "taken", "other")]
    before = stored()
    refused = problem_of(send(as_alice, *steps), 409)
    assert (refused["code"], stored()) == ("uid_taken", before)
    done = send(as_alice, *steps, atomic=False).json()
    assert [each["status"] for each in done["results"]] == [201, 409, 201]
    assert [task.uid for task in Task.objects.order_by("version")] == ["taken", "new", "other"]


def test_creations_within_one_task_are_as_many_as_fit(as_alice: Api, alice: User) -> None:
    parent, most = make_task(alice), Task.tree().max_children  # type: ignore[union-attr]
    writes.insert_many(alice, Task, [{"title": "A", "parent_id": parent.pk} for _ in range(most - 2)])
    steps = [step("create", body={"title": "A", "parent_id": parent.pk}) for _ in range(3)]
    assert problem_of(send(as_alice, *steps), 409)["code"] == "limit_reached"
    done = send(as_alice, *steps, atomic=False).json()
    assert [each["status"] for each in done["results"]] == [201, 201, 409]
    assert Task.objects.filter(parent=parent).count() == most


@pytest.mark.parametrize("resource", registered(), ids=lambda resource: resource.name)
def test_creations_together_stay_within_the_limit_of_rows(
    alice: User, settings: Settings, resource: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.LIMIT_TASKS = settings.LIMIT_PROJECTS = 3
    if resource.model.limit_setting is None:
        monkeypatch.setattr(resource.model, "max_rows", 3)
    provide(resource.model, alice)
    rows = [dict(resource.serializer.validated(example(resource))) for _ in range(2)]
    trashed = [row.pk for row in resource.create_many(alice, rows)]
    resource.delete_many(alice, trashed)
    kept = [row.pk for row in resource.create_many(alice, rows)]
    with pytest.raises(LimitReached):
        resource.create_many(alice, rows)
    resource.delete_many(alice, kept)
    assert len(resource.create_many(alice, [*rows, *rows[:1]])) == 3  # in place of the oldest tombstones
    assert resource.model.objects.count() <= 2 * 3


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
