"""The uid: chosen by a client or by us, compared in Unicode's NFC, and then fixed."""

from typing import Any

import pytest

from tasks import services
from tasks.models import Task
from tests.client import Api
from tests.factories import make_task
from users.models import Feed, User

LIST = "/api/me/tasks"


@pytest.mark.parametrize(
    "uid", ["a", " a ", "0193a5e0-7b1c-7000-8000-000000000000", "urn:x:ß/报告?#", "🐛" * 255, "A", "<a>@b"]
)
def test_a_client_may_choose_the_uid(as_alice: Api, uid: str) -> None:
    answer = as_alice.post(LIST, {"title": "A", "uid": uid})
    assert (answer.status_code, answer.json()["uid"], Task.objects.get().uid) == (201, uid, uid)


@pytest.mark.parametrize("uid", ["", "x" * 256, None, 5, "a\0"])
def test_a_uid_has_1_to_255_code_points(as_alice: Api, uid: Any) -> None:
    answer = as_alice.post(LIST, {"title": "A", "uid": uid})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/uid")
    assert not Task.objects.exists()


def test_a_uid_is_kept_in_nfc(as_alice: Api) -> None:
    answer = as_alice.post(LIST, {"title": "A", "uid": "cafe\u0301"})
    assert (answer.status_code, answer.json()["uid"], Task.objects.get().uid) == (201, "caf\u00e9", "caf\u00e9")
    address = f"{LIST}/{answer.json()['id']}"
    assert as_alice.patch(address, {"uid": "cafe\u0301"}).json()["version"] == 1
    assert as_alice.put(address, {"title": "A", "uid": "cafe"}).status_code == 400
    twin = as_alice.post(LIST, {"title": "B", "uid": "cafe\u0301"})
    assert (twin.status_code, twin.json()["current"]) == (409, answer.json())
    assert as_alice.post(LIST, {"title": "B", "uid": "CAF\u00c9"}).status_code == 201


def test_a_uid_has_255_code_points_in_nfc(as_alice: Api) -> None:
    """Some letters are two there."""
    answer = as_alice.post(LIST, {"title": "A", "uid": "\u0958" * 128})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/uid")
    assert as_alice.post(LIST, {"title": "A", "uid": "\u0958" * 127}).status_code == 201


def test_a_uid_that_exists_answers_its_task(as_alice: Api, alice: User) -> None:
    task = make_task(alice, uid="mine", title="First")
    answer = as_alice.post(LIST, {"title": "Second", "uid": "mine"})
    body = answer.json()
    assert (answer.status_code, body["code"], body["errors"][0]["pointer"]) == (409, "uid_taken", "/uid")
    assert body["current"] == as_alice.get(f"{LIST}/{task.pk}").json()
    assert (Task.objects.get().title, Feed.objects.get(user=alice).head) == ("First", 1)


def test_the_uid_of_a_deleted_task_stays_taken(as_alice: Api, alice: User) -> None:
    services.delete_task(alice, make_task(alice, uid="mine").pk)
    answer = as_alice.post(LIST, {"title": "Second", "uid": "mine"})
    assert (answer.status_code, answer.json()["code"]) == (409, "uid_taken")
    assert "current" not in answer.json()
    assert (Task.objects.get().deleted_at is not None, Feed.objects.get(user=alice).head) == (True, 2)


def test_two_users_may_choose_the_same_uid(as_alice: Api, bob: User) -> None:
    make_task(bob, uid="same")
    assert as_alice.post(LIST, {"title": "A", "uid": "same"}).status_code == 201
    assert Task.objects.filter(uid="same").count() == 2


def test_a_uid_never_changes(as_alice: Api, alice: User) -> None:
    task = make_task(alice, uid="mine", title="Old")
    for call in (as_alice.put, as_alice.patch):
        answer = call(f"{LIST}/{task.pk}", {"title": "New", "uid": "other"})
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["pointer"], error["code"]) == (400, "/uid", "immutable")
    task.refresh_from_db()
    assert (task.uid, task.title, task.version) == ("mine", "Old", 1)


def test_the_uid_that_a_task_has_may_be_sent_back(as_alice: Api, alice: User) -> None:
    task = make_task(alice, uid="mine")
    answer = as_alice.patch(f"{LIST}/{task.pk}", {"title": "New", "uid": "mine"})
    assert (answer.status_code, answer.json()["title"], answer.json()["uid"]) == (200, "New", "mine")
