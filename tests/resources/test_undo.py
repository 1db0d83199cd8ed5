"""Undo: what one request has changed is put back, all of it or nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.client import Answer, Api
from tests.factories import head_of, make_user
from tests.problems import exact, places_of, problem_of, stored
from tests.races import at_once
from tests.resources.declared import address, label, make, named, rename
from users.models import Change, Feed, User
from users.resources import writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource
from users.resources.undo import MAX_CONFLICTS

IGNORED = {"version", "updated_at"}
Do = Callable[[Api, Resource, OwnedModel], Any]

# What a request does to a row; all of them, on one that is there.
DONE: dict[str, Do] = {
    "patch": lambda api, resource, row: api.patch(address(resource, row.pk), {label(resource): "New"}),
    "delete": lambda api, resource, row: api.delete(address(resource, row.pk)),
    "several": lambda api, resource, row: resource.delete_many(row.user, [row.pk]),
}


def undo(api: Api, operation: int | None = None, **headers: str) -> Answer:
    return api.post("/api/me/undo", {} if operation is None else {"operation": operation}, **headers)


def values(row: OwnedModel) -> dict[str, Any]:
    """All columns but those that each change writes."""
    (stored_,) = type(row).objects.filter(pk=row.pk).values()
    return {name: value for name, value in stored_.items() if name not in IGNORED}


def code_of(answer: Answer, status: int) -> str:
    code: str = problem_of(answer, status)["code"]
    return code


@pytest.mark.parametrize("do", DONE.values(), ids=DONE)
def test_what_is_undone_is_as_before_and_what_is_redone_as_after(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel, do: Do
) -> None:
    before = values(row)
    do(as_alice, resource, row)
    after = values(row)
    for number, expected in enumerate([before, after, before], start=3):
        answer = undo(as_alice, number - 1)
        assert (answer.status_code, answer["Tickbase-Operation"]) == (200, str(number))
        changed = [{"type": resource.name, "id": row.pk, "version": number}]
        assert answer.json() == {"operation": number, "changed": changed}
        assert values(row) == expected != (after if expected == before else before)
        last = Change.objects.for_user(alice).order_by("-version")[0]
        assert (last.version, last.kind, last.undoes) == (number, "undone", number - 1)


def test_what_was_created_goes_to_the_trash_and_is_there_again_when_redone(
    resource: Resource, as_alice: Api, row: OwnedModel
) -> None:
    shown = as_alice.get(address(resource, row.pk)).json()
    assert undo(as_alice, 1).status_code == 200
    assert as_alice.get(address(resource, row.pk)).status_code == 404
    assert undo(as_alice, 2).status_code == 200
    again = as_alice.get(address(resource, row.pk)).json()
    assert {**again, "version": 1, "updated_at": shown["updated_at"]} == shown


def test_without_a_number_the_last_ones_of_the_session_are_undone_one_after_the_other(
    resource: Resource, as_alice: Api, alice: User
) -> None:
    member, path = label(resource), address(resource)
    first = as_alice.post(path, named(resource, "First")).json()
    as_alice.patch(f"{path}/{first['id']}", {member: "Second"})
    other = Api(alice)
    theirs = other.post(path, named(resource, "Theirs")).json()
    make(resource, alice)
    assert undo(as_alice).json()["changed"] == [{"type": resource.name, "id": first["id"], "version": 5}]
    assert as_alice.get(f"{path}/{first['id']}").json()[member] == "First"
    assert undo(as_alice).json()["operation"] == 6
    assert as_alice.get(f"{path}/{first['id']}").status_code == 404
    assert code_of(undo(as_alice), 409) == "nothing_to_undo"
    assert as_alice.get(f"{path}/{theirs['id']}").status_code == 200
    assert undo(other).json()["changed"][0]["id"] == theirs["id"]


def test_what_is_redone_is_the_last_one_again(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    as_alice.patch(address(resource, row.pk), {label(resource): "New"})
    undone = undo(as_alice).json()["operation"]
    assert code_of(undo(as_alice), 409) == "nothing_to_undo"
    assert undo(as_alice, undone).status_code == 200
    assert undo(as_alice).status_code == 200
    assert values(row)[label(resource)] != "New"


@pytest.mark.thorough
def test_the_last_operation_is_found_behind_many_of_others(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    """Behind those that are undone, too, page by page."""
    path = address(resource, row.pk)
    as_alice.patch(path, {label(resource): "First"})
    for number in range(120):
        as_alice.patch(path, {label(resource): f"Name {number}"})
        undo(as_alice)
    assert values(row)[label(resource)] == "First"
    assert undo(as_alice).status_code == 200
    assert values(row)[label(resource)] not in ("First", "New")


# --- Refusals ---------------------------------------------------------------------------------------


def test_what_has_changed_since_is_named_and_nothing_is_done(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    other = make(resource, alice)
    for each in (row, other):
        resource.delete(alice, each.pk)
    resource.restore_many(alice, [row.pk, other.pk])
    number = head_of(alice)
    resource.delete(alice, other.pk)
    before = stored()
    problem = problem_of(undo(as_alice, number), 409)
    assert problem["code"] == "changed_since"
    assert problem["changes"] == [{"type": resource.name, "id": other.pk, "members": ["deleted_at"]}]
    assert stored() == before


def test_a_member_that_has_changed_since_is_named(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    member = label(resource)
    rename(resource, row, "One")
    rename(resource, row, "Two")
    for number in (1, 2):
        problem = problem_of(undo(as_alice, number), 409)
        assert problem["changes"] == [{"type": resource.name, "id": row.pk, "members": [member]}]
    rename(resource, row, "One")
    assert undo(as_alice, 2).status_code == 200


@pytest.mark.parametrize("told", [{"gone": ["a", "b"]}, {"deleted_at": [[], {}]}, {"deleted_at": ["a", "b"]}])
def test_a_column_that_was_dropped_or_changed_since_is_named(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel, told: Any
) -> None:
    rename(resource, row)
    entry = Change.objects.for_user(alice).filter(version=2)
    entry.update(diff={**entry.get().diff, **told})
    before = stored()
    assert problem_of(undo(as_alice, 2), 409)["changes"][0]["members"] == [*told]
    assert stored() == before


def test_what_was_deleted_since_has_changed(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    rename(resource, row)
    resource.delete(alice, row.pk)
    assert problem_of(undo(as_alice, 2), 409)["changes"][0]["members"] == ["deleted_at"]


def test_what_is_erased_cannot_come_back(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    resource.delete(alice, row.pk)
    writes.erase(alice, [resource.model.objects.filter(pk=row.pk)])
    before = stored()
    assert problem_of(undo(as_alice, 2), 409)["changes"] == [{"type": resource.name, "id": row.pk, "members": ["id"]}]
    assert code_of(undo(as_alice, 3), 409) == "nothing_to_undo"
    assert stored() == before


def test_of_many_conflicts_the_first_hundred_are_named(resource: Resource, as_alice: Api, alice: User) -> None:
    pks = [make(resource, alice).pk for _ in range(MAX_CONFLICTS + 1)]
    resource.delete_many(alice, pks)
    number = head_of(alice)
    resource.restore_many(alice, pks)
    assert len(problem_of(undo(as_alice, number), 409)["changes"]) == MAX_CONFLICTS


def test_a_number_that_is_no_operation_of_the_callers_is_not_found(
    resource: Resource, as_alice: Api, alice: User, bob: User, row: OwnedModel
) -> None:
    """One in the middle of an operation, one that a lost race has left, one of another user's, one of the future."""
    pks = [make(resource, alice).pk for _ in range(3)]
    resource.delete_many(alice, pks)
    Feed.objects.filter(user=alice).update(head=8)  # the number 8 is burnt
    for _ in range(20):
        make(resource, bob)
    before = stored()
    answers = [undo(as_alice, number, x_request_id="same") for number in (5, 6, 8, 9, 20, 2**62, 2**63 - 1)]
    assert [code_of(answer, 404) for answer in answers] == ["operation_not_found"] * 7
    assert all(exact(answer) == exact(answers[0]) for answer in answers)
    assert stored() == before
    assert undo(as_alice, 7).json()["operation"] == 11


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30, "1", "x", 1.0, True, None, [], {}], ids=repr)
def test_what_is_no_number_of_an_operation_is_named(
    resource: Resource, as_alice: Api, row: OwnedModel, number: Any
) -> None:
    before = stored()
    assert places_of(as_alice.post("/api/me/undo", {"operation": number}), "pointer") == ["/operation"]
    assert places_of(as_alice.post("/api/me/undo", {"operations": 1}), "pointer") == ["/operations"]
    assert stored() == before


def test_what_is_below_the_floor_is_gone(resource: Resource, as_alice: Api, alice: User) -> None:
    as_alice.post(address(resource), named(resource, "First"))
    Feed.objects.filter(user=alice).update(floor=1)
    assert code_of(undo(as_alice, 1), 410) == "operation_expired"
    assert code_of(undo(as_alice), 409) == "nothing_to_undo"


def test_an_account_without_changes_has_nothing_to_undo(resource: Resource, as_alice: Api) -> None:
    assert code_of(undo(as_alice), 409) == "nothing_to_undo"
    assert code_of(undo(as_alice, 1), 404) == "operation_not_found"
    assert not Feed.objects.exists()


# --- Twice ------------------------------------------------------------------------------------------


def test_a_key_makes_it_happen_once(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    rename(resource, row)
    first, second = (undo(as_alice, 2, idempotency_key="k1") for _ in range(2))
    assert second["Idempotency-Replayed"] == "true"
    assert (first.content, first["Tickbase-Operation"]) == (second.content, second["Tickbase-Operation"])
    assert problem_of(undo(as_alice, 3, idempotency_key="k1"), 422)


@pytest.mark.thorough
@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("is_named", [True, False])
def test_of_twelve_at_once_one_is_done(resource: Resource, is_named: bool) -> None:
    user = make_user()
    api = Api(user)
    made = api.post(address(resource), named(resource, "First")).json()
    number = made["version"] if is_named else None
    token = f"Bearer {api.tokens.access}"

    def call() -> int:
        mine = Api()
        mine.client.credentials(HTTP_AUTHORIZATION=token)
        return undo(mine, number).status_code

    assert sorted(at_once([call] * 12)) == [200] + [409] * 11
    assert head_of(user) == 2
    assert api.get(address(resource, made["id"])).status_code == 404
