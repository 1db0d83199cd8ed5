"""RxDB's protocol where tasks and projects are more than notes: references, trees, recurrence, limits, the stream."""

import datetime as dt
from typing import Any

import pytest
from pytest_django import Settings

from config.server.streams import HOLDS
from tasks import services as tasks
from tasks.models import Task
from tasks.projects import services as projects
from tasks.projects.models import Project
from tasks.resource import TASKS
from tests.client import Api
from tests.factories import make_task
from tests.problems import problem_of, stored
from tests.resources.test_rxdb import Document, document_of, place, pulled, push, pushed
from users.models import User
from users.resources import operations

PUSH = place(TASKS, "push")


def new(uid: str, **members: Any) -> Document:
    return {"newDocumentState": {"uid": uid, "title": uid, "_deleted": False, **members}}


def whole(uid: str, **members: Any) -> Document:
    """As a client makes one that has all members of a document, without knowing what a server adds."""
    blank = {
        "id": 0, "user_id": "", "description": "", "status": "pending", "completed": False, "priority": "medium",
        "tags": [], "due_date": None, "due_at": None, "completed_at": None, "project_id": None, "project_uid": None,
        "parent_id": None, "parent_uid": None, "recurrence": None, "completions": 0, "last_completed_at": None,
        "extra": {}, "created_at": "", "updated_at": "", "version": 0,
    }  # fmt: skip
    return new(uid, **{**blank, **members})


def test_a_whole_document_is_a_new_task(as_alice: Api, alice: User) -> None:
    assert push(as_alice, TASKS, whole("mine", priority="high", due_date="2026-12-01")).json() == []
    task = Task.objects.get()
    assert (task.uid, task.priority, task.due_date, task.project_id) == ("mine", "high", dt.date(2026, 12, 1), None)


def test_a_document_names_project_and_parent_by_uid(as_alice: Api, alice: User) -> None:
    project = projects.create_project(alice, uid="trip", name="Trip")
    assert push(as_alice, TASKS, whole("book", project_uid="trip"), whole("pay", parent_uid="book")).json() == []
    documents, _ = pulled(as_alice, TASKS)
    assert [(each["uid"], each["project_uid"], each["project_id"], each["parent_uid"]) for each in documents] == [
        ("book", "trip", project.pk, None),
        ("pay", "trip", project.pk, "book"),
    ]


def test_of_a_reference_by_both_the_uid_counts(as_alice: Api, alice: User) -> None:
    """The id may be of a history that a restored backup has ended."""
    projects.create_project(alice, uid="trip", name="Trip")
    assert push(as_alice, TASKS, whole("book", project_uid="trip", project_id=2**40)).json() == []
    assert Task.objects.get().project is not None


def test_a_document_may_refer_to_a_later_one(as_alice: Api, alice: User) -> None:
    rows = [whole("c", parent_uid="b"), whole("b", parent_uid="a"), whole("a")]
    assert push(as_alice, TASKS, *rows).json() == []
    assert Task.objects.get(uid="c").parent == Task.objects.get(uid="b")


def test_what_refers_to_a_project_that_was_never_here_is_to_be_sent_again(as_alice: Api, alice: User) -> None:
    """RxDB sends the two collections side by side."""
    before = stored()
    rows = [whole("free"), whole("book", project_uid="trip")]
    problem = problem_of(push(as_alice, TASKS, *rows), 409)
    assert (problem["code"], problem["errors"][0]["pointer"]) == (
        "reference_not_stored",
        "/1/newDocumentState/project_uid",
    )
    assert stored() == before
    projects.create_project(alice, uid="trip", name="Trip")
    assert push(as_alice, TASKS, *rows).json() == []
    assert Task.objects.get(uid="book").project is not None


def test_what_refers_to_a_project_in_the_trash_comes_back(as_alice: Api, alice: User) -> None:
    project = projects.create_project(alice, uid="trip", name="Trip")
    projects.delete_project(alice, project.pk)
    row = whole("book", project_uid="trip")
    assert push(as_alice, TASKS, row, new("by id", project_id=2**40)).json() == [
        {**row["newDocumentState"], "_deleted": True},
        {"uid": "by id", "title": "by id", "project_id": 2**40, "_deleted": True},
    ]
    assert not Task.objects.exists()


def test_what_refers_to_a_document_that_is_refused_comes_back_with_it(as_alice: Api, alice: User) -> None:
    """Else the push would wait for it for ever."""
    rows = [whole("child", parent_uid="bad"), whole("bad", title=""), whole("good")]
    assert {each["uid"] for each in push(as_alice, TASKS, *rows).json()} == {"child", "bad"}
    assert [task.uid for task in Task.objects.all()] == ["good"]


def test_what_the_client_assumes_may_refer_to_what_was_refused(as_alice: Api, alice: User) -> None:
    """It sends a document again without such a reference, but remembers it with."""
    task = make_task(alice)
    known = {**document_of(as_alice, TASKS, task), "version": 0, "project_uid": "refused"}
    before = stored()
    (kept,) = pushed(as_alice, TASKS, {**known, "project_uid": None, "title": "Mine"}, known)
    assert (kept["uid"], kept["project_uid"], kept["version"]) == (task.uid, None, 1)
    assert stored() == before


def test_a_task_is_moved_by_either_member(as_alice: Api, alice: User) -> None:
    one, two = (projects.create_project(alice, uid=uid, name=uid) for uid in ("one", "two"))
    task = make_task(alice, project_id=one.pk)
    moves: list[tuple[Document, int | None]] = [
        ({"project_uid": "two"}, two.pk),
        ({"project_id": one.pk}, one.pk),
        ({"project_uid": None}, None),
        ({"project_uid": "two"}, two.pk),
        ({"project_id": None}, None),
    ]
    for move, expected in moves:
        known = document_of(as_alice, TASKS, task)
        assert pushed(as_alice, TASKS, {**known, **move}, known) == []
        task.refresh_from_db()
        assert task.project_id == expected, move


def test_completing_takes_subtasks_along_and_they_are_read(as_alice: Api, alice: User) -> None:
    task = make_task(alice)
    child = make_task(alice, parent_id=task.pk)
    documents, checkpoint = pulled(as_alice, TASKS)
    known = documents[0]
    assert pushed(as_alice, TASKS, {**known, "completed": True}, known) == []
    documents, _ = pulled(as_alice, TASKS, checkpoint)
    assert {(each["id"], each["status"]) for each in documents} == {(task.pk, "completed"), (child.pk, "completed")}


def test_a_recurring_task_goes_on_and_a_second_completion_is_a_conflict(as_alice: Api, alice: User) -> None:
    task = make_task(alice, due_date=dt.date(2030, 1, 1), recurrence={"rule": "FREQ=DAILY"})
    known = document_of(as_alice, TASKS, task)
    done = {**known, "completed": True, "status": "completed"}
    assert pushed(as_alice, TASKS, done, known) == []
    current = document_of(as_alice, TASKS, task)
    assert (current["due_date"], current["completed"]) == ("2030-01-02", False)
    assert pushed(as_alice, TASKS, {**done, "title": "Edited before it was read"}, done) == [current]


def test_a_document_that_is_sent_as_a_conflict_was_resolved_changes_nothing(as_alice: Api, alice: User) -> None:
    """RxDB pushes what its handler has chosen, also where that is the server's document."""
    known = document_of(as_alice, TASKS, make_task(alice))
    before = stored()
    answer = push(as_alice, TASKS, {"newDocumentState": known, "assumedMasterState": known})
    assert (answer.json(), "Tickbase-Operation" in answer) == ([], False)
    refused = {"uid": "refused", "title": "", "_deleted": True}
    assert pushed(as_alice, TASKS, refused, refused) == []
    assert stored() == before


def test_beyond_the_limit_new_documents_come_back(as_alice: Api, alice: User, settings: Settings) -> None:
    settings.LIMIT_TASKS = 2
    kept = push(as_alice, TASKS, new("a"), new("b"), new("c")).json()
    assert [(each["uid"], each["_deleted"]) for each in kept] == [("c", True)]
    assert Task.objects.visible().count() == 2


def test_all_documents_together_change_no_more_than_an_operation_may(
    as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MAX_ROWS", 3)
    before = stored()
    assert problem_of(push(as_alice, TASKS, *map(new, "abcd")), 422)["code"] == "operation_too_large"
    assert stored() == before


def test_with_an_idempotency_key_a_push_takes_effect_once(as_alice: Api, alice: User) -> None:
    answers = [as_alice.post(PUSH, [new("a")], idempotency_key="k") for _ in range(2)]
    assert [(each.json(), "Idempotency-Replayed" in each) for each in answers] == [([], False), ([], True)]


def test_a_task_in_the_trash_keeps_its_members(as_alice: Api, alice: User) -> None:
    """Clients that validate documents need the required ones, also of deleted ones."""
    task = make_task(alice, title="Kept")
    _, checkpoint = pulled(as_alice, TASKS)
    tasks.delete_task(alice, task.pk)
    (document,), _ = pulled(as_alice, TASKS, checkpoint)
    assert (document["title"], document["_deleted"]) == ("Kept", True)


def test_a_pull_takes_as_many_queries_for_many_documents(
    as_alice: Api, alice: User, django_assert_num_queries: Any
) -> None:
    project = projects.create_project(alice, name="Trip")
    for count in (1, 9):
        for _ in range(count):
            make_task(alice, project_id=project.pk)
        with django_assert_num_queries(3):  # the ids, the rows, and the uids of their projects
            pulled(as_alice, TASKS)


def test_a_pull_reads_no_entries_that_are_passed_over(
    as_alice: Api, alice: User, django_assert_num_queries: Any
) -> None:
    task, (_, checkpoint) = make_task(alice), pulled(as_alice, TASKS)
    for number in range(20):
        tasks.update_task(alice, task.pk, {"title": f"Title {number}"})
    with django_assert_num_queries(2):  # the entries, and the rows
        assert len(pulled(as_alice, TASKS, checkpoint, limit=1)[0]) == 1


def test_the_stream_wakes_rxdb(as_alice: Api, alice: User) -> None:
    make_task(alice)
    environ: Any = {HOLDS: True}
    answer: Any = as_alice.client.generic("GET", place(TASKS, "pullStream"), **environ)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/event-stream")
    follow = answer.follow
    _, checkpoint = pulled(as_alice, TASKS)
    assert follow.event(follow.subscription.position) == f'id: {checkpoint["id"]}\ndata: "RESYNC"\n\n'.encode()
    assert Project.objects.count() == 0
