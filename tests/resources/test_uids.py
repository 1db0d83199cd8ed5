"""The uid: chosen by a client or by us, compared in Unicode's NFC, and then fixed."""

from typing import Any

import pytest

from tests.client import Api
from tests.factories import head_of
from tests.resources.declared import address, label, make, named, required, text_of
from users.models import User
from users.resources.resource import Resource


@pytest.mark.parametrize(
    "uid", ["a", " a ", "0193a5e0-7b1c-7000-8000-000000000000", "urn:x:ß/报告?#", "🐛" * 255, "A", "<a>@b"]
)
def test_a_client_may_choose_the_uid(resource: Resource, as_alice: Api, uid: str) -> None:
    answer = as_alice.post(address(resource), {**required(resource), "uid": uid})
    assert (answer.status_code, answer.json()["uid"], resource.model.objects.get().uid) == (201, uid, uid)


@pytest.mark.parametrize("uid", ["", "x" * 256, None, 5, "a\0"])
def test_a_uid_has_1_to_255_code_points(resource: Resource, as_alice: Api, uid: Any) -> None:
    answer = as_alice.post(address(resource), {**required(resource), "uid": uid})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/uid")
    assert not resource.model.objects.exists()


def test_a_uid_is_kept_in_nfc(resource: Resource, as_alice: Api) -> None:
    collection, twice = address(resource), {**required(resource), "uid": "cafe\u0301"}
    answer = as_alice.post(collection, twice)
    assert (answer.status_code, answer.json()["uid"]) == (201, "caf\u00e9")
    assert resource.model.objects.get().uid == "caf\u00e9"
    item = address(resource, answer.json()["id"])
    assert as_alice.patch(item, {"uid": "cafe\u0301"}).json()["version"] == 1
    assert as_alice.put(item, {**required(resource), "uid": "cafe"}).status_code == 400
    twin = as_alice.post(collection, twice)
    assert (twin.status_code, twin.json()["current"]) == (409, answer.json())
    assert as_alice.post(collection, {**required(resource), "uid": "CAF\u00c9"}).status_code == 201


def test_a_uid_has_255_code_points_in_nfc(resource: Resource, as_alice: Api) -> None:
    """Some letters are two there."""
    answer = as_alice.post(address(resource), {**required(resource), "uid": "\u0958" * 128})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/uid")
    assert as_alice.post(address(resource), {**required(resource), "uid": "\u0958" * 127}).status_code == 201


def test_a_uid_that_exists_answers_its_row(resource: Resource, as_alice: Api, alice: User) -> None:
    row = make(resource, alice, **named(resource, "First"), uid="mine")
    answer = as_alice.post(address(resource), {**named(resource, "Second"), "uid": "mine"})
    body = answer.json()
    assert (answer.status_code, body["code"], body["errors"][0]["pointer"]) == (409, "uid_taken", "/uid")
    assert body["current"] == as_alice.get(address(resource, row.pk)).json()
    assert (text_of(resource, resource.model.objects.get()), head_of(alice)) == ("First", 1)


def test_the_uid_of_a_deleted_row_stays_taken(resource: Resource, as_alice: Api, alice: User) -> None:
    resource.delete(alice, make(resource, alice, uid="mine").pk)
    answer = as_alice.post(address(resource), {**required(resource), "uid": "mine"})
    assert (answer.status_code, answer.json()["code"]) == (409, "uid_taken")
    assert "current" not in answer.json()
    assert (resource.model.objects.get().deleted_at is not None, head_of(alice)) == (True, 2)


def test_two_users_may_choose_the_same_uid(resource: Resource, as_alice: Api, bob: User) -> None:
    make(resource, bob, uid="same")
    assert as_alice.post(address(resource), {**required(resource), "uid": "same"}).status_code == 201
    assert resource.model.objects.filter(uid="same").count() == 2


def test_a_uid_never_changes(resource: Resource, as_alice: Api, alice: User) -> None:
    row = make(resource, alice, **named(resource, "Old"), uid="mine")
    for call in (as_alice.put, as_alice.patch):
        answer = call(address(resource, row.pk), {**named(resource, "New"), "uid": "other"})
        error = answer.json()["errors"][0]
        assert (answer.status_code, error["pointer"], error["code"]) == (400, "/uid", "immutable")
    assert (text_of(resource, row), row.uid, row.version) == ("Old", "mine", 1)


def test_the_uid_that_a_row_has_may_be_sent_back(resource: Resource, as_alice: Api, alice: User) -> None:
    row = make(resource, alice, uid="mine")
    answer = as_alice.patch(address(resource, row.pk), {**named(resource, "New"), "uid": "mine"})
    assert (answer.status_code, answer.json()[label(resource)], answer.json()["uid"]) == (200, "New", "mine")
