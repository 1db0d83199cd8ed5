"""The routes that every resource has: the happy path, then what is not there."""

import re

from tests.client import Api, address_in
from tests.problems import exact, send
from tests.resources.declared import (
    address,
    example,
    label,
    make,
    named,
    operations,
    required,
    shown_example,
    shown_members,
    text_of,
)
from users.models import User
from users.resources.models import OwnedModel
from users.resources.resource import Resource


def test_create_answers_the_whole_row_with_its_address_and_version(
    resource: Resource, as_alice: Api, alice: User
) -> None:
    answer = as_alice.post(address(resource), named(resource, "  Call the dentist  "))
    body = answer.json()
    assert answer.status_code == 201
    assert list(body) == shown_members(resource)
    assert answer["Location"] == f"{resource.plural}/{body['id']}"
    assert as_alice.get(address_in(answer, "Location")).json() == body
    assert answer["ETag"] == '"1"'
    row = resource.model.objects.get()
    assert (row.pk, row.user, text_of(resource, row), row.version) == (body["id"], alice, "Call the dentist", 1)


def test_what_a_new_row_has_of_its_own(resource: Resource, as_alice: Api, alice: User) -> None:
    body = as_alice.post(address(resource), required(resource)).json()
    assert body["user_id"] == str(alice.pk)
    assert body["created_at"] == body["updated_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", body["created_at"])
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", body["uid"])


def test_the_example_makes_a_row(resource: Resource, as_alice: Api) -> None:
    answer = as_alice.post(address(resource), example(resource))
    assert answer.status_code == 201
    assert answer.json().items() >= shown_example(resource).items()


def test_own_id_and_me_name_the_same_list(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    by_id = as_alice.get(address(resource, user_id=alice.public_id)).json()
    assert [shown["id"] for shown in by_id] == [row.pk]
    assert as_alice.get(address(resource)).json() == by_id


def test_get_answers_the_row_with_its_version(resource: Resource, as_alice: Api, alice: User) -> None:
    row = make(resource, alice, **example(resource))
    answer = as_alice.get(address(resource, row.pk))
    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    assert answer.json().items() >= shown_example(resource).items()


def test_put_and_patch_leave_absent_members_untouched(resource: Resource, as_alice: Api, alice: User) -> None:
    for call in (as_alice.put, as_alice.patch):
        row = make(resource, alice, **example(resource))
        shown = as_alice.get(address(resource, row.pk)).json()
        answer = call(address(resource, row.pk), {label(resource): "New"})
        changed = {label(resource): "New", "version": row.version + 1, "updated_at": answer.json()["updated_at"]}
        assert (answer.status_code, answer["ETag"]) == (200, f'"{row.version + 1}"')
        assert answer.json() == as_alice.get(address(resource, row.pk)).json() == {**shown, **changed}
        assert text_of(resource, row) == "New"


def test_a_put_of_nothing_changes_nothing(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    assert as_alice.put(address(resource, row.pk), {})["ETag"] == '"1"'
    assert send(as_alice, "PUT", address(resource, row.pk))["ETag"] == '"1"'


def test_delete_answers_204_and_then_404(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    assert as_alice.delete(address(resource, row.pk)).status_code == 204
    assert as_alice.get(address(resource, row.pk)).status_code == 404
    assert as_alice.delete(address(resource, row.pk)).status_code == 404
    assert as_alice.get(address(resource)).json() == []
    row.refresh_from_db()
    assert (row.deleted_at is not None, row.version) == (True, 2)


def test_what_was_restored_is_there_again_as_a_change(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    shown = as_alice.get(address(resource, row.pk)).json()
    resource.delete(alice, row.pk)
    resource.restore(alice, row.pk)
    again = as_alice.get(address(resource, row.pk)).json()
    assert again == {**shown, "version": 3, "updated_at": again["updated_at"]}


def test_a_change_to_what_is_stored_takes_no_number(resource: Resource, as_alice: Api, alice: User) -> None:
    row = make(resource, alice, **example(resource))
    answer = as_alice.patch(address(resource, row.pk), example(resource))
    assert (answer.status_code, answer["ETag"]) == (200, '"1"')
    assert as_alice.get(address(resource))["ETag"] == '"1"'


def test_the_answer_can_be_put_back_as_it_is(resource: Resource, as_alice: Api, alice: User) -> None:
    for sent in ({}, example(resource)):
        path = address(resource, make(resource, alice, **sent).pk)
        shown = as_alice.get(path).json()
        answer = as_alice.put(path, shown)
        assert (answer.status_code, answer.json()) == (200, shown)


def test_read_only_members_are_ignored(resource: Resource, as_alice: Api, alice: User) -> None:
    read_only = [name for name, field in resource.serializer().fields.items() if field.read_only]
    answer = as_alice.post(address(resource), {**required(resource), **dict.fromkeys(read_only, 99)})
    row = resource.model.objects.get()
    assert (answer.status_code, row.user, row.version) == (201, alice, 1)
    assert answer.json()["id"] == row.pk != 99


def test_options_answers_the_methods_and_nothing_else(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    for row_id, methods in ((None, "GET, POST"), (row.pk, "GET, PUT, PATCH, DELETE")):
        answer = send(as_alice, "OPTIONS", address(resource, row_id))
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer["Allow"] == f"{methods}, HEAD, OPTIONS"


def test_a_head_is_a_get_without_its_body(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    for row_id in (None, row.pk):
        get, head = (send(as_alice, each, address(resource, row_id), HTTP_X_REQUEST_ID="s") for each in ("GET", "HEAD"))
        assert (head.content, exact(head)[2:]) == (b"", exact(get)[2:])


def test_the_export_holds_its_rows(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    gone = make(resource, alice)
    resource.delete(alice, gone.pk)
    exported = b"".join(as_alice.client.get("/api/users/me/export").streaming_content)  # type: ignore[attr-defined]
    assert f'"{resource.plural}":[{{"id":{row.pk},"uid":"{row.uid}"'.encode() in exported
    assert gone.uid.encode() in exported


def test_every_operation_is_served(resource: Resource, as_alice: Api, alice: User) -> None:
    for operation in operations(resource).values():
        row = make(resource, alice)
        operation.prepare(resource, row)
        assert operation.call(as_alice, resource, row.pk).status_code == operation.status
