"""A row at the address of its uid: as at that of its id, but that a PUT creates it."""

from urllib.parse import quote, urljoin

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.client import Api
from tests.problems import places_of, problem_of, stored
from tests.resources.declared import address, by_uid, label, make, named, required, required_members, text_of
from users.models import User
from users.resources import errors, writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource

UIDS = [
    "a", "a/b", "/", "//a//", "a/", "..", ".", "a/../b", "?", "a?b=c#d", "%2F", "a%", "restore", "x/complete", "a\nb\n",
    "urn:x:ß/报告", "caf\u00e9", "🐛" * 255, " a ", "+", "a b", ";", "by-uid",
]  # fmt: skip


@pytest.mark.parametrize("uid", UIDS)
def test_any_uid_has_an_address(resource: Resource, as_alice: Api, uid: str) -> None:
    path = by_uid(resource, quote(uid, safe=""))
    created = as_alice.put(path, named(resource, "First"))
    assert (created.status_code, created.json()["uid"], created["ETag"]) == (201, uid, '"1"')
    location = urljoin(path, created["Location"])
    assert location == address(resource, created.json()["id"])
    assert as_alice.get(path).json() == created.json() == as_alice.get(location).json()
    changed = as_alice.put(path, named(resource, "Second"))
    assert (changed.status_code, changed.json()["version"], "Location" in changed) == (200, 2, False)
    assert as_alice.patch(path, {label(resource): "Third"}).json()[label(resource)] == "Third"
    assert as_alice.delete(path).status_code == 204
    assert problem_of(as_alice.get(path), 404)["code"] == f"{resource.name}_not_found"
    assert [(row.uid, row.version) for row in resource.model.objects.all()] == [(uid, 4)]


def test_a_uid_is_looked_up_in_nfc(resource: Resource, as_alice: Api, alice: User) -> None:
    row = make(resource, alice, uid="cafe\u0301")
    path = by_uid(resource, quote("cafe\u0301"))
    assert as_alice.get(path).json() == as_alice.get(by_uid(resource, quote("caf\u00e9"))).json()
    assert as_alice.put(path, {**named(resource, "New"), "uid": "cafe\u0301"}).status_code == 200
    assert text_of(resource, row) == "New"
    new = as_alice.put(by_uid(resource, quote("e\u0301")), {**named(resource, "New"), "uid": "\u00e9"})
    assert (new.status_code, new.json()["uid"]) == (201, "\u00e9")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("uid", ["x" * 256, "é" * 256, "a\0", "\0", "\u0958" * 128, " ", "\u200b"])
def test_what_no_row_can_have_is_not_there_and_names_itself_when_it_is_put(
    resource: Resource, as_alice: Api, uid: str
) -> None:
    path = by_uid(resource, quote(uid))
    for answer in (as_alice.get(path), as_alice.patch(path, named(resource, "New")), as_alice.delete(path)):
        assert problem_of(answer, 404)["code"] == f"{resource.name}_not_found"
    assert places_of(as_alice.put(path, required(resource)), "pointer") == ["/uid"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_uid_of_the_body_must_be_that_of_the_address(
    resource: Resource, as_alice: Api, row: OwnedModel, method: str
) -> None:
    for uid in [row.uid, "new"] if method == "put" else [row.uid]:
        answer = getattr(as_alice, method)(by_uid(resource, uid), {**required(resource), "uid": "other"})
        assert places_of(answer, "pointer") == ["/uid"]
        assert answer.json()["errors"][0]["code"] == "immutable"


@pytest.mark.usefixtures("unchanged")
def test_what_is_needed_to_create_a_row_is_needed_here(resource: Resource, as_alice: Api) -> None:
    path = by_uid(resource, "new")
    assert places_of(as_alice.put(path, {}), "pointer") == [f"/{name}" for name in required_members(resource)]
    assert places_of(as_alice.put(path, {**required(resource), "titel": 1}), "pointer") == ["/titel"]
    assert places_of(as_alice.put(path, [1]), "pointer") == [""]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("tag", ['"1"', "*"])
def test_nothing_is_created_where_a_version_is_expected(resource: Resource, as_alice: Api, tag: str) -> None:
    problem_of(as_alice.put(by_uid(resource, "new"), required(resource), if_match=tag), 404)


def test_the_uid_of_a_deleted_row_stays_taken(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    path = by_uid(resource, row.uid)
    as_alice.delete(path)
    before = stored()
    problem = problem_of(as_alice.put(path, required(resource)), 409)
    assert (problem["code"], problem["errors"][0]["pointer"], "current" in problem) == ("uid_taken", "/uid", False)
    assert stored() == before


def test_a_row_that_another_request_creates_meanwhile_is_changed(
    resource: Resource, as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    show, shown = writes.show, []

    def late(*arguments: object) -> object:
        shown.append(arguments)
        if len(shown) == 1:
            make(resource, alice, uid="mine")
            raise errors.no_such(resource.model)
        return show(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(writes, "show", late)
    answer = as_alice.put(by_uid(resource, "mine"), named(resource, "New"))
    assert (answer.status_code, answer.json()["version"], answer.json()[label(resource)]) == (200, 2, "New")


def test_another_users_uid_is_not_there_and_can_be_taken(resource: Resource, as_alice: Api, bob: User) -> None:
    theirs = make(resource, bob, uid="same")
    path = by_uid(resource, "same")
    for answer in (as_alice.get(path), as_alice.patch(path, named(resource, "New")), as_alice.delete(path)):
        problem_of(answer, 404)
    assert as_alice.put(path, named(resource, "Mine")).status_code == 201
    theirs.refresh_from_db()
    assert (theirs.version, theirs.deleted_at) == (1, None)


def test_a_read_is_one_message_as_that_by_id(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    for path in (address(resource, row.pk), by_uid(resource, row.uid)):
        as_alice.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert as_alice.get(path, if_none_match='"1"').status_code == 304
        assert len(queries) == 1


def test_a_write_looks_the_id_up_first(resource: Resource, as_alice: Api, alice: User) -> None:
    for call, more in ((as_alice.patch, [named(resource, "New")]), (as_alice.delete, [])):
        counts = []
        for path_of in (lambda row: address(resource, row.pk), lambda row: by_uid(resource, row.uid)):
            path = path_of(make(resource, alice))
            with CaptureQueriesContext(connection) as queries:
                assert call(path, *more).status_code < 300
            counts.append(len(queries))
        assert counts[1] == counts[0] + 1


def test_the_addresses_below_a_uid_are_uids(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    assert problem_of(as_alice.post(f"{by_uid(resource, row.uid)}/restore"), 405)
    assert problem_of(as_alice.get(by_uid(resource, "")), 404)
