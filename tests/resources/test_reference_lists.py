"""References to several rows: PostgreSQL refuses any other user's, and what goes to the trash leaves them."""

import datetime as dt
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from config.database.isolation import all_users, as_user
from tests.client import Api
from tests.factories import head_of
from tests.problems import cases, exact, places_of, send
from tests.resources.declared import RESOURCES, address, installed, named, provided, unbounded
from tests.resources.test_references import fetch, made, resource_of
from users.models import Change, User
from users.resources.models import OwnedModel
from users.resources.pairs import References
from users.resources.pruning import cut_log, empty_trash, prune_tombstones
from users.resources.undo import ChangedSince, undo

LISTS: dict[str, References] = {
    f"{resource.model.__name__}.{each.name}": each for resource in RESOURCES for each in resource.model.many()
}
pytestmark = [pytest.mark.parametrize("many", cases(LISTS)), pytest.mark.usefixtures("served")]


@pytest.fixture
def served(many: References, db: None) -> Any:
    resource = resource_of(many.model)
    with installed(resource), provided(resource), unbounded(resource), unbounded(resource_of(many.target)):
        yield


def pairs(many: References) -> set[tuple[int, int]]:
    return set(many.pairs.objects.values_list("row_id", "target_id"))


def ids(many: References, row: OwnedModel) -> list[int]:
    found: list[int] = type(row)._default_manager.values_list(many.name, flat=True).get(pk=row.pk)
    return found


def refer(many: References, user: User, *targets: OwnedModel) -> OwnedModel:
    resource = resource_of(many.model)
    row = made(many.model, user)
    resource.update(user, row.pk, {many.name: [each.pk for each in targets]})
    return row


def targets_of(many: References, user: User, count: int = 2) -> list[OwnedModel]:
    return [made(many.target, user) for _ in range(count)]


def execute(sql: str, *params: Any) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


# --- The tables --------------------------------------------------------------------------------------


def test_postgresql_refuses_another_users_row_and_a_missing_one(many: References, alice: User, bob: User) -> None:
    row, foreign = made(many.model, alice), made(many.target, bob)
    sql = f"UPDATE {many.model._meta.db_table} SET {many.name} = %s::bigint[] WHERE id = %s"
    for tenant in (as_user(alice.pk), all_users()):
        for pk in (foreign.pk, 2**62):
            with tenant, pytest.raises(IntegrityError, match=f"{many.pairs._meta.db_table}_target"):
                execute(sql, [pk], row.pk)
    assert (ids(many, row), pairs(many)) == ([], set())


def test_the_pairs_follow_sql_by_hand(many: References, alice: User) -> None:
    row, (one, other) = made(many.model, alice), targets_of(many, alice)
    sql = f"UPDATE {many.model._meta.db_table} SET {many.name} = %s::bigint[] WHERE id = %s"
    for sent in ([one.pk], [one.pk, other.pk], [other.pk], [other.pk, other.pk], []):
        execute(sql, sent, row.pk)
        assert pairs(many) == {(row.pk, pk) for pk in sent}


def test_a_row_that_refers_cannot_be_given_to_another_user(many: References, alice: User, bob: User) -> None:
    row = refer(many, alice, *targets_of(many, alice))
    with pytest.raises(IntegrityError, match=f"{many.pairs._meta.db_table}_row"):
        execute(f"UPDATE {many.model._meta.db_table} SET user_id = %s WHERE id = %s", bob.pk, row.pk)


def test_nobody_sees_the_pairs_of_another_user(many: References, alice: User, bob: User) -> None:
    refer(many, alice, *targets_of(many, alice))
    with as_user(bob.pk):
        assert pairs(many) == set()
    with as_user(alice.pk):
        assert len(pairs(many)) == 2


def test_their_constraints_are_composite(many: References) -> None:
    table, tables = many.pairs._meta.db_table, {"row": many.model, "target": many.target}
    for end, model in tables.items():
        assert fetch(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s",
            table,
            f"{table}_{end}",
        ) == [(f"FOREIGN KEY (user_id, {end}_id) REFERENCES {model._meta.db_table}(user_id, id) ON DELETE CASCADE",)]


# --- Requests ----------------------------------------------------------------------------------------


def write(api: Api, many: References, row: OwnedModel, method: str, member: str, keys: Any) -> Any:
    resource = resource_of(many.model)
    at = address(resource, None if method == "POST" else row.pk)
    return send(api, method, at, {**named(resource, "New"), member: keys}, HTTP_X_REQUEST_ID="same")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("by", ["id", "uid"])
def test_rows_are_named_by_id_or_by_uid(many: References, method: str, by: str, alice: User, as_alice: Api) -> None:
    row, targets = made(many.model, alice), targets_of(many, alice)
    sent = [getattr(each, {"id": "pk", "uid": "uid"}[by]) for each in (*reversed(targets), targets[0])][: many.most]
    answer = write(as_alice, many, row, method, f"{many.stem}_{by}s", sent)
    assert answer.status_code == (201 if method == "POST" else 200), answer.content
    assert answer.json()[many.name] == [each.pk for each in targets]
    assert f"{many.stem}_uids" not in answer.json()
    assert pairs(many) == {(answer.json()["id"], each.pk) for each in targets}
    assert as_alice.get(address(resource_of(many.model), answer.json()["id"])).json() == answer.json()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("by", ["id", "uid"])
def test_anothers_row_a_trashed_one_and_a_missing_one_are_answered_alike(
    many: References, method: str, by: str, alice: User, bob: User, as_alice: Api
) -> None:
    kept, trashed = targets_of(many, alice)
    row, foreign = refer(many, alice, kept), made(many.target, bob)
    resource_of(many.target).delete(alice, trashed.pk)
    keys = [{"id": 2**62, "uid": "missing"}[by], getattr(trashed, by), getattr(foreign, by)]
    answers = [write(as_alice, many, row, method, f"{many.stem}_{by}s", [getattr(kept, by), key]) for key in keys]
    assert places_of(answers[0], "pointer") == [f"/{many.stem}_{by}s"]
    assert answers[0].json()["errors"][0]["code"] == f"unknown_{many.stem}"
    assert [exact(answer) for answer in answers] == [exact(answers[0])] * 3
    assert ids(many, row) == [kept.pk]


def test_ids_and_uids_name_the_same_rows_or_conflict(many: References, alice: User, as_alice: Api) -> None:
    row, (one, other) = made(many.model, alice), targets_of(many, alice)
    at, uids = address(resource_of(many.model), row.pk), f"{many.stem}_uids"
    assert as_alice.patch(at, {many.name: [one.pk], uids: [one.uid]}).json()[many.name] == [one.pk]
    for body in ({many.name: [one.pk], uids: [other.uid]}, {many.name: [], uids: [one.uid]}):
        answer = as_alice.patch(at, body)
        assert places_of(answer, "pointer") == [f"/{uids}"]
        assert answer.json()["errors"][0]["code"] == "conflicting_members"


def test_the_same_rows_in_another_order_are_no_change(many: References, alice: User, as_alice: Api) -> None:
    targets = targets_of(many, alice)
    row = refer(many, alice, *targets)
    head = head_of(alice)
    answer = as_alice.patch(
        address(resource_of(many.model), row.pk), {many.name: [each.pk for each in reversed(targets)]}
    )
    assert (answer.status_code, answer.json()["version"], head_of(alice)) == (200, head, head)


def test_a_list_is_filtered_by_one_of_them(many: References, alice: User, bob: User, as_alice: Api) -> None:
    one, other = targets_of(many, alice)
    both, _ = refer(many, alice, one, other), refer(many, alice, other)
    made(many.model, alice)
    place = f"{address(resource_of(many.model))}?{many.stem}"
    assert [each["id"] for each in as_alice.get(f"{place}={one.pk}&total=true").json()] == [both.pk]
    assert len(as_alice.get(f"{place}={other.pk}").json()) == 2
    assert as_alice.get(f"{place}={refer(many, bob, *targets_of(many, bob)).pk + 10**6}").json() == []


# --- Trash, history, undo -----------------------------------------------------------------------------


def test_what_goes_to_the_trash_leaves_them_and_an_undo_brings_it_back(many: References, alice: User) -> None:
    kept, gone = targets_of(many, alice)
    row = refer(many, alice, kept, gone)
    deleted = resource_of(many.target).delete(alice, gone.pk)
    assert (ids(many, row), pairs(many)) == ([kept.pk], {(row.pk, kept.pk)})
    entries = Change.objects.filter(user=alice, operation=deleted.operation).values_list("object_id", "diff")
    assert dict(entries)[row.pk] == {many.name: [[kept.pk, gone.pk], [kept.pk]]}
    undo(alice, deleted.operation)
    assert (ids(many, row), len(pairs(many))) == ([kept.pk, gone.pk], 2)


def test_several_that_go_at_once_leave_them(many: References, alice: User) -> None:
    targets = targets_of(many, alice)
    row = refer(many, alice, *targets)
    resource_of(many.target).delete_many(alice, [each.pk for each in targets])
    assert (ids(many, row), pairs(many)) == ([], set())


def test_a_row_comes_back_without_what_has_gone_meanwhile(many: References, alice: User) -> None:
    kept, gone = targets_of(many, alice)
    row, resource = refer(many, alice, kept, gone), resource_of(many.model)
    resource.delete(alice, row.pk)
    resource_of(many.target).delete(alice, gone.pk)
    assert len(ids(many, row)) == 2
    resource_of(many.model).restore(alice, row.pk)
    assert (ids(many, row), pairs(many)) == ([kept.pk], {(row.pk, kept.pk)})


def test_undo_refuses_to_refer_to_what_is_in_the_trash(many: References, alice: User) -> None:
    (target,) = targets_of(many, alice, 1)
    row = refer(many, alice, target)
    cleared = resource_of(many.model).update(alice, row.pk, {many.name: []})
    resource_of(many.target).delete(alice, target.pk)
    with pytest.raises(ChangedSince) as refused:
        undo(alice, cleared.operation)
    assert refused.value.conflicts == {(row.type_name(), row.pk): [many.name]}
    assert ids(many, row) == []


def test_tombstones_that_are_removed_for_good_take_their_pairs_along(many: References, alice: User) -> None:
    kept, gone = targets_of(many, alice)
    row = refer(many, alice, kept, gone)
    resource_of(many.model).delete(alice, row.pk)
    resource_of(many.target).delete(alice, gone.pk)
    later = timezone.now() + dt.timedelta(days=400)
    for step in (empty_trash(many.target, later), cut_log(later), prune_tombstones(many.target)):
        list(step)
    assert not many.target._default_manager.filter(pk=gone.pk).exists()
    assert pairs(many) == {(row.pk, kept.pk)}
    resource_of(many.model).restore(alice, row.pk)
    assert ids(many, row) == [kept.pk]
    alice.delete()
    assert pairs(many) == set()
