"""Idempotency-Key: a write that is sent twice takes effect once."""

from tests.client import Answer, Api
from tests.factories import head_of
from tests.problems import exact, problem_of, stored
from tests.resources.declared import Operation, address, each, make, named, operations, required
from users.models import IdempotencyKey, User
from users.resources.models import OwnedModel
from users.resources.resource import Resource


def keyed(resource: Resource) -> dict[str, Operation]:
    return {name: operation for name, operation in operations(resource).items() if operation.method != "GET"}


def is_replayed(answer: Answer) -> bool:
    return "Idempotency-Replayed" in answer and answer["Idempotency-Replayed"] == "true"


@each(keyed)
def test_the_same_request_replays_the_stored_answer(
    resource: Resource, as_alice: Api, row: OwnedModel, case: Operation
) -> None:
    case.prepare(resource, row)
    make(resource, row.user)  # behind which a move puts it
    first = case.call(as_alice, resource, row.pk, HTTP_IDEMPOTENCY_KEY="k1")
    after = stored()
    second = case.call(as_alice, resource, row.pk, HTTP_IDEMPOTENCY_KEY="k1")
    assert (first.status_code, is_replayed(first), is_replayed(second)) == (case.status, False, True)
    assert exact(first) == [part for part in exact(second) if part != ("Idempotency-Replayed", "true")]
    assert stored() == after
    assert first["Tickbase-Operation"] == str(head_of(row.user))
    assert ("ETag" in first, "Location" in first) == (case.method != "DELETE", case.status == 201)


@each(keyed)
def test_another_body_is_refused(resource: Resource, as_alice: Api, row: OwnedModel, case: Operation) -> None:
    case.prepare(resource, row)
    case.call(as_alice, resource, row.pk, HTTP_IDEMPOTENCY_KEY="k1")
    before = stored()
    other = case._replace(has_body=False) if case.has_body else case._replace(has_body=True)
    answer = other.call(as_alice, resource, row.pk, HTTP_IDEMPOTENCY_KEY="k1")
    assert problem_of(answer, 422)["code"] == "idempotency_key_reused"
    assert stored() == before


def test_the_stored_answer_stays_as_it_was(resource: Resource, as_alice: Api) -> None:
    sent = named(resource, "Once")
    first = as_alice.post(address(resource), sent, idempotency_key="k1").json()
    as_alice.patch(address(resource, first["id"]), named(resource, "Changed"))
    assert as_alice.post(address(resource), sent, idempotency_key="k1").json() == first


def test_me_and_the_own_id_are_one_route(resource: Resource, as_alice: Api, alice: User) -> None:
    as_alice.post(address(resource), required(resource), idempotency_key="k1")
    path = address(resource, user_id=alice.public_id)
    assert is_replayed(as_alice.post(path, required(resource), idempotency_key="k1"))


def test_another_users_same_key_is_another_key(resource: Resource, as_alice: Api, bob: User) -> None:
    as_alice.post(address(resource), required(resource), idempotency_key="k1")
    answer = Api(bob).post(address(resource), required(resource), idempotency_key="k1")
    assert (answer.status_code, is_replayed(answer), answer.json()["user_id"]) == (201, False, bob.public_id)


def test_another_row_is_another_request(resource: Resource, as_alice: Api, alice: User) -> None:
    for _ in range(2):
        path = address(resource, make(resource, alice).pk)
        assert not is_replayed(as_alice.patch(path, named(resource, "New"), idempotency_key="k1"))
    assert {row.version for row in resource.model.objects.all()} == {2, 4}


def test_a_refused_request_stores_no_key(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    collection, item, sent = address(resource), address(resource, row.pk), named(resource, "New")
    before = stored()
    refused = [
        as_alice.post(collection, {}, idempotency_key="k1"),
        as_alice.patch(item, sent, idempotency_key="k1", if_match='"9"'),
        as_alice.patch(address(resource, 0), sent, idempotency_key="k1"),
        as_alice.post(collection, {**sent, "uid": row.uid}, idempotency_key="k1"),
        as_alice.post(address(resource, user_id=0), sent, idempotency_key="k1"),
    ]
    assert [answer.status_code for answer in refused] == [400, 412, 404, 409, 403]
    assert stored() == before
    assert as_alice.post(collection, sent, idempotency_key="k1").status_code == 201


def test_a_put_of_a_version_is_answered_again_when_that_has_become_another(
    resource: Resource, as_alice: Api, row: OwnedModel
) -> None:
    path, sent = address(resource, row.pk), named(resource, "New")
    first = as_alice.put(path, sent, idempotency_key="k1", if_match='"1"')
    second = as_alice.put(path, sent, idempotency_key="k1", if_match='"1"')
    assert (first.status_code, second.status_code, second.json()) == (200, 200, first.json())
    assert as_alice.put(path, sent, if_match='"1"').status_code == 412


def test_a_delete_that_is_sent_twice_is_done_twice(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    path = address(resource, row.pk)
    assert [as_alice.delete(path, idempotency_key="k1").status_code for _ in range(2)] == [204, 204]
    assert as_alice.delete(path, idempotency_key="k2").status_code == 404


def test_a_read_needs_no_key(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    for operation in operations(resource).values():
        if operation.method == "GET":
            answer = operation.call(as_alice, resource, row.pk, HTTP_IDEMPOTENCY_KEY="k1")
            assert answer.status_code == operation.status
    assert not IdempotencyKey.objects.exists()
