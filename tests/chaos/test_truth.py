"""The judge of `python -m tests.chaos sync` finds each kind of lie."""

from math import inf
from operator import attrgetter
from typing import Any

import pytest

from tests.chaos.replicas.history import Entry, History
from tests.chaos.replicas.store import Answer, Request
from tests.chaos.replicas.truth import Epoch, Truth, differences

PEN, INK = ("task", 1), ("task", 2)
CREATED = Entry(1, 1, "created", *PEN, None, {"title": [None, "pen"]})
RENAMED = Entry(2, 2, "updated", *PEN, 1, {"title": ["pen", "red pen"]})
OTHER = Entry(3, 3, "created", *INK, None, {"title": [None, "ink"]})
DELETED = Entry(4, 4, "deleted", *INK, 3, {"deleted_at": [None, "2026-01-01T00:00:00Z"]})
LOG = (CREATED, RENAMED, OTHER, DELETED)
BASE = 100  # of the second epoch, which begins at the second 50 with the backup of the second 45
LATER = Entry(101, 101, "updated", *PEN, 2, {"title": ["red pen", "blue pen"]})


def task(id_: int, version: int, title: str, **members: Any) -> dict[str, Any]:
    return {"id": id_, "uid": f"uid {id_}", "version": version, "title": title, **members}


def shown(object_: dict[str, Any]) -> dict[str, Any]:
    return {"type": "task", "version": object_["version"], "object": object_}


def gone(id_: int, version: int) -> dict[str, Any]:
    return {"type": "task", "version": version, "deleted": True, "id": id_, "uid": f"uid {id_}"}


def page(at: float, head: int, *changes: dict[str, Any], since: str = "", status: int = 200) -> Answer:
    path = "/changes?limit=20&wait=0" + (f"&since={since}" if since else "")
    body = {"changes": list(changes), "cursor": f"cursor {head}", "more": False}
    return Answer(Request("GET", path), 0, at, at + 1, status, {"etag": f'"{head}"'}, body)


def write(at: float, answered: Any, operation: int, status: int = 200, **asked: Any) -> Answer:
    headers = {"etag": f'"{operation}"', "tickbase-operation": str(operation)} if status < 300 else {}
    request = Request(**{"method": "PATCH", "path": "/tasks/1", "body": {"title": "red pen"}, **asked})
    return Answer(request, 1, at, at + 1, status, headers, answered)


def batch(at: float, *titles: str, results: list[Any]) -> Answer:
    steps = [{"op": "create", "type": "task", "body": {"title": title}} for title in titles]
    headers = {"tickbase-operation": "3"}
    return Answer(Request("POST", "/batch", {"operations": steps}), 1, at, at + 1, 200, headers, {"results": results})


def document(shown: dict[str, Any], *, deleted: bool = False, **members: Any) -> dict[str, Any]:
    return {**shown, "project_id": None, "project_uid": None, "_deleted": deleted, **members}


def pull(at: float, lwt: int, *documents: dict[str, Any], since: str = "") -> Answer:
    body = {"documents": documents, "checkpoint": {"lwt": lwt, "id": f"checkpoint {lwt}"}}
    return Answer(Request("GET", f"/sync/tasks/0/pull?limit=20&lwt=0&id={since}"), 0, at, at + 1, 200, {}, body)


def push(at: float, own: dict[str, Any], assumed: dict[str, Any] | None, *masters: dict[str, Any]) -> Answer:
    rows = [{"newDocumentState": own, "assumedMasterState": assumed}]
    return Answer(Request("POST", "/sync/tasks/0/push", rows), 1, at, at + 1, 200, {}, list(masters))


TRUE = [
    write(0, task(1, 1, "pen"), 1, 201),
    write(2, task(1, 2, "red pen"), 2, headers={"If-Match": '"1"'}),
    page(4, 3, shown(task(1, 2, "red pen", completed=False, tags=[])), shown(task(2, 3, "ink"))),
    batch(6, "ink", "bad", results=[{"status": 201, "object": task(2, 3, "ink")}, {"status": 400, "problem": {}}]),
    write(8, {"code": "stale_version", "current": task(1, 2, "red pen")}, 0, 412, body={"title": "no pen"}),
    push(10, document(task(1, 1, "red pen")), document(task(1, 1, "pen"))),
    push(12, document(task(2, 3, "no ink")), document(task(2, 2, "old ink")), document(task(2, 3, "ink"))),
    push(14, document(task(3, 0, "")), None, document(task(3, 0, ""), deleted=True)),
    push(15, document(task(2, 0, "ink")), None)._replace(status=409, body={"code": "reference_not_stored"}),
    pull(16, 4, document(task(1, 2, "red pen")), document(task(2, 4, "ink"), deleted=True)),
    page(20, 4, gone(2, 4), since="cursor 3"),
    page(60, 0, since="cursor 4", status=410),
    page(62, 100, shown(task(1, 2, "red pen"))),
    write(64, task(1, 101, "blue pen"), 101, body={"title": "blue pen"}),
]


began = attrgetter("began_at")


def judged(answers: list[Answer], *later: Entry, log: tuple[Entry, ...] = LOG) -> list[str]:
    """The complaints about what one device was told, in two epochs."""
    restored = History([*LOG, *(later or [LATER])])
    truth = Truth([Epoch(0, 50, History(log)), Epoch(BASE, inf, restored, 0, 45)])
    truth.judge([answers])
    return truth.complaints


def test_what_is_true_is_no_complaint() -> None:
    assert judged(TRUE) == []


LIES: dict[str, tuple[Answer, str]] = {
    "a lost object": (page(21, 5, shown(task(3, 5, "paper"))), "task 3 at version 5, which is lost or never was"),
    "a lost write": (write(21, None, 5, 204), "operation 5 was acknowledged, and is lost"),
    "other content": (page(21, 4, shown(task(1, 2, "pen"))), "title is 'red pen', told as 'pen'"),
    "a wrong default": (page(21, 4, shown(task(1, 2, "red pen", completed=True))), "completed is False, told as True"),
    "another's version": (page(21, 4, shown(task(1, 3, "ink"))), "task 1 at 3, which is task 2"),
    "a deleted object": (page(21, 4, shown(task(2, 4, "ink"))), "it is deleted"),
    "a living tombstone": (page(21, 4, gone(1, 2)), "it is not deleted"),
    "a lie in a list": (Answer(Request("GET", "/tasks?"), 0, 9, 9, 200, {}, [task(1, 2, "pen")]), "told as 'pen'"),
    "a lie in a refusal": (write(9, {"current": task(1, 2, "pen")}, 0, 412, body={}), "told as 'pen'"),
    "a lie in a refused batch": (
        write(9, {"current": task(1, 2, "pen")}, 0, 412, path="/batch", body={}),
        "told as 'pen'",
    ),
    "a lie in a batch": (batch(9, "no", results=[{"status": 200, "object": task(1, 2, "pen")}]), "told as 'pen'"),
    "a condition": (write(21, task(1, 2, "red pen"), 2, headers={"If-Match": '"7"'}), 'changed [1], but expected "7"'),
    "a refusal": (write(9, {"code": "stale_version"}, 0, 412), "refused, but stored: {'red pen'}"),
    "a refused step": (batch(9, "ink", results=[{"status": 400, "problem": {}}]), "refused, but stored: {'ink'}"),
    "a refused document": (
        push(9, document(task(2, 1, "ink")), document(task(2, 1, "")), document(task(2, 3, "ink"))),
        "refused, but stored: {'ink'}",
    ),
    "a lost document": (push(9, document(task(5, 0, "book")), None), "not refused, and not stored: {'book'}"),
    "a lie in a document": (pull(21, 4, document(task(1, 2, "pen"))), "told as 'pen'"),
    "a document of what is deleted": (pull(21, 4, document(task(2, 4, "ink"))), "it is deleted"),
    "a reference of a document": (
        pull(21, 4, document(task(1, 2, "red pen"), project_uid="uid 9")),
        "the project of task 1 is uid 9, not None",
    ),
    "another uid": (page(21, 4, shown(task(1, 2, "red pen") | {"uid": "x"})), "task 1 has the uid x, and uid 1 before"),
    "a checkpoint of before": (pull(30, 3), "3, though 4 was told before"),
    "an old checkpoint": (pull(66, 101, since="checkpoint 4"), "a cursor of epoch 0 was taken in epoch 1"),
    "an undo": (write(9, {"operation": 2, "changed": []}, 2, path="/undo", body={}), "undone: set()"),
    "an error": (write(9, {"code": "internal"}, 0, 500), "500 at 9.000"),
    "a version of before": (page(21, 4, shown(task(1, 1, "pen"))), "task 1 goes back to version 1"),
    "a head of before": (page(30, 3), "3, though 4 was told before"),
    "a number given twice": (write(30, task(1, 2, "red pen"), 2), "2, though 4 was told before"),
    "an old cursor": (page(66, 101, since="cursor 4"), "a cursor of epoch 0 was taken in epoch 1"),
    "an old head": (page(66, 4), "the head 4 is of another epoch"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_found(name: str) -> None:
    lie, complaint = LIES[name]
    assert [found for found in judged(sorted([*TRUE, lie], key=began)) if complaint in found]


def test_a_write_that_took_effect_twice_is_found() -> None:
    again = Entry(102, 102, "updated", *PEN, 101, {"title": ["blue pen", "red pen"]})
    assert judged(TRUE, LATER, again) == ["epoch 1: red pen took effect twice"]


def test_a_backup_without_what_was_acknowledged_before_is_found() -> None:
    newer = Entry(5, 5, "updated", *PEN, 2, {"title": ["red pen", "green pen"]})
    answer = write(40, task(1, 5, "green pen"), 5, body={"title": "green pen"})
    found = judged(sorted([*TRUE, answer], key=began), log=(*LOG, newer))
    assert found == ["PATCH /tasks/1 200 at 40.000: operation 5 is older than the backup, and lost"]


def test_a_backup_of_what_never_was_is_found() -> None:
    found = judged(TRUE, log=(CREATED, RENAMED._replace(kind="completed"), OTHER, DELETED))
    assert found == ["epoch 1 does not begin as epoch 0 was at 4"]


CONTRADICTIONS: dict[str, tuple[Entry, str]] = {
    "values": (LATER._replace(diff={"title": ["pen", "blue pen"]}), "changes title from pen, not from red pen"),
    "order": (LATER._replace(previous=1), "entry 101 follows 1 instead of 2"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_log_that_contradicts_itself_is_found(name: str) -> None:
    entry, complaint = CONTRADICTIONS[name]
    assert [found for found in judged(TRUE, entry) if complaint in found]


def test_lists_that_show_something_else_than_the_log_are_found() -> None:
    def judge(*objects: dict[str, Any]) -> list[str]:
        truth = Truth([Epoch(0, inf, History(LOG))])
        truth.examine_server({("task", each["id"]): each for each in objects})
        return truth.complaints

    assert judge(task(1, 2, "red pen")) == []
    assert judge() == ["the log and the lists differ: [('task', 1)]"]
    assert judge(task(1, 2, "pen")) == ["task 1 is stored otherwise than logged: title is 'red pen', told as 'pen'"]


def test_a_copy_that_differs_is_found() -> None:
    stored = {PEN: task(1, 2, "red pen"), INK: task(2, 3, "ink")}
    assert differences(stored, stored) == []
    assert differences({PEN: task(1, 1, "pen"), ("task", 3): {}}, stored) == [
        "('task', 2) is missing",
        "('task', 3) is not there any more",
        "('task', 1) is another",
    ]
