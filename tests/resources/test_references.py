"""References between rows of one user: PostgreSQL itself refuses any other, and requests name what they refer to."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from config.database.isolation import all_users, as_user
from tests.client import Api
from tests.notes.models import Remark
from tests.notes.resource import REMARKS
from tests.problems import cases, exact, places_of, send
from tests.resources.declared import RESOURCES, address, installed, named, provided, required_members, unbounded
from users.models import User
from users.resources.models import OwnedModel, Reference
from users.resources.resource import Resource

MODELS: list[Any] = [*(resource.model for resource in RESOURCES), Remark]
REFERENCES: dict[str, Reference] = {
    f"{model.__name__}.{each.name}": each for model in MODELS for each in model.references()
}
SERVED = {name: each for name, each in REFERENCES.items() if each.model is not Remark}  # in bodies
of_each = pytest.mark.parametrize("reference", cases(REFERENCES))
of_each_served = pytest.mark.parametrize("reference", cases(SERVED))


def resource_of(model: Any) -> Resource:
    (found,) = (each for each in [*RESOURCES, REMARKS] if each.model is model)
    return found


def made(model: Any, user: User) -> OwnedModel:
    """A row of it, with what it requires."""
    ids = {each.attname: made(each.related_model, user).pk for each in model.references() if not each.null}
    resource = resource_of(model)
    texts = {name: resource.example[name] for name in required_members(resource)}
    row: OwnedModel = resource.create(user, **resource.serializer.validated({**texts, **ids}))
    return row


@pytest.fixture(autouse=True)
def _several_alike(request: pytest.FixtureRequest) -> Iterator[None]:
    if "alice" not in request.fixturenames:
        yield
        return
    request.getfixturevalue("alice")
    reference: Reference = request.getfixturevalue("reference")
    with unbounded(resource_of(reference.model)), unbounded(resource_of(reference.related_model)):
        yield


def fetch(sql: str, *params: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def point(row: OwnedModel, reference: Reference, pk: int) -> None:
    table = reference.model._meta.db_table
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET {reference.attname} = %s WHERE id = %s", [pk, row.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


# --- The table ---------------------------------------------------------------------------------------


@of_each
def test_postgresql_refuses_another_users_row_and_a_missing_one(reference: Reference, alice: User, bob: User) -> None:
    row, foreign = made(reference.model, alice), made(reference.related_model, bob)
    for tenant in (as_user(alice.pk), all_users()):
        for pk in (foreign.pk, 2**62):
            with tenant, pytest.raises(IntegrityError, match=f"{reference.model._meta.db_table}_{reference.attname}"):
                point(row, reference, pk)
    assert fetch(f"SELECT {reference.attname} FROM {reference.model._meta.db_table} WHERE id = %s", row.pk) != [(pk,)]


@of_each
def test_a_row_that_refers_cannot_be_given_to_another_user(reference: Reference, alice: User, bob: User) -> None:
    row, target = made(reference.model, alice), made(reference.related_model, alice)
    point(row, reference, target.pk)
    table = reference.model._meta.db_table
    with pytest.raises(IntegrityError, match="foreign key"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET user_id = %s WHERE id = %s", [bob.pk, row.pk])
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.django_db
@of_each
def test_its_constraint_is_composite_and_was_validated(reference: Reference) -> None:
    table, target = reference.model._meta.db_table, reference.related_model._meta.db_table
    action = f"SET NULL ({reference.attname})" if reference.null else "CASCADE"
    assert fetch(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s",
        table,
        f"{table}_{reference.attname}",
    ) == [(f"FOREIGN KEY (user_id, {reference.attname}) REFERENCES {target}(user_id, id) ON DELETE {action}",)]


@pytest.mark.django_db
@of_each
def test_its_index_begins_with_the_owner_and_it(reference: Reference) -> None:
    """Which the foreign key needs when a target is removed for good, and each deletion."""
    indexed = fetch(
        "SELECT array(SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS key (number, place)"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = key.number ORDER BY place)"
        " FROM pg_index WHERE indrelid = %s::regclass AND indisvalid",
        reference.model._meta.db_table,
    )
    assert ["user_id", reference.attname] in [columns[:2] for (columns,) in indexed]


@of_each
def test_a_tree_ends(reference: Reference) -> None:
    assert reference.is_tree == (reference.max_depth > 1) == (reference.max_children > 0)


# --- Requests ----------------------------------------------------------------------------------------


def refer(api: Api, resource: Resource, row: OwnedModel, method: str, member: str, key: Any) -> Any:
    at = address(resource, None if method == "POST" else row.pk)
    name = member.rpartition("_")[0]
    body = {each: value for each, value in named(resource, "New").items() if each != f"{name}_uid"}
    return send(api, method, at, {**body, member: key}, HTTP_X_REQUEST_ID="same")


@of_each_served
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("by", ["id", "uid"])
def test_a_row_is_named_by_id_or_by_uid(reference: Reference, method: str, by: str, alice: User, as_alice: Api) -> None:
    resource = resource_of(reference.model)
    with installed(resource), provided(resource):
        row, target = made(reference.model, alice), made(reference.related_model, alice)
        answer = refer(as_alice, resource, row, method, f"{reference.name}_{by}", getattr(target, by))
        assert answer.status_code == (201 if method == "POST" else 200), answer.content
        assert (answer.json()[reference.attname], f"{reference.name}_uid" in answer.json()) == (target.pk, False)
    stored = reference.model._default_manager.get(pk=answer.json()["id"])
    assert getattr(stored, reference.attname) == target.pk


@of_each_served
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("by", ["id", "uid"])
def test_anothers_row_a_trashed_one_and_a_missing_one_are_answered_alike(
    reference: Reference, method: str, by: str, alice: User, bob: User, as_alice: Api
) -> None:
    resource, target = resource_of(reference.model), resource_of(reference.related_model)
    with installed(resource), provided(resource):
        row, trashed, foreign = made(reference.model, alice), made(target.model, alice), made(target.model, bob)
        before = getattr(row, reference.attname)
        target.delete(alice, trashed.pk)
        missing = {"id": 2**62, "uid": "missing"}[by]
        member, keys = f"{reference.name}_{by}", [missing, getattr(trashed, by), getattr(foreign, by)]
        answers = [refer(as_alice, resource, row, method, member, key) for key in keys]
    assert places_of(answers[0], "pointer") == [f"/{member}"]
    assert answers[0].json()["errors"][0]["code"] == f"unknown_{reference.name}"
    assert [exact(answer) for answer in answers] == [exact(answers[0])] * 3
    assert getattr(reference.model._default_manager.get(pk=row.pk), reference.attname) == before
    assert reference.model._default_manager.filter(user=alice, deleted_at=None).count() <= 2


@of_each_served
def test_id_and_uid_name_the_same_row_or_conflict(reference: Reference, alice: User, as_alice: Api) -> None:
    resource, (id_, uid) = resource_of(reference.model), (reference.attname, f"{reference.name}_uid")
    with installed(resource), provided(resource):
        row, one, other = made(reference.model, alice), *(made(reference.related_model, alice) for _ in range(2))
        at = address(resource, row.pk)
        assert as_alice.patch(at, {id_: one.pk, uid: one.uid}).json()[id_] == one.pk
        for body in ({id_: one.pk, uid: other.uid}, {id_: None, uid: one.uid}, {id_: one.pk, uid: None}):
            answer = as_alice.patch(at, body)
            assert places_of(answer, "pointer") == [f"/{uid}"]
            assert answer.json()["errors"][0]["code"] == "conflicting_members"
        answer = as_alice.patch(at, {id_: None, uid: None})
        assert answer.json()[id_] is None if reference.null else places_of(answer, "pointer") == [f"/{id_}"]
