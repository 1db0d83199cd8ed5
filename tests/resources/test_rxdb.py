"""RxDB's replication protocol for every resource: what is pulled is what is stored, and a push overwrites nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.client import Api
from tests.factories import head_of
from tests.problems import problem_of, stored
from tests.resources.declared import address, fields_of, label, make, named, rename, required, text_of
from tests.resources.test_standing import LOST
from users.models import Change, User
from users.resources import pruning, writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource
from users.services import epochs

Document = dict[str, Any]


def place(resource: Resource, step: str, user_id: str = "me") -> str:
    return f"/api/{user_id}/sync/{resource.plural}/0/{step}"


def pull(api: Api, resource: Resource, checkpoint: Document | None = None, limit: int = 100) -> Any:
    """As the client of `rxdb-server` asks: with two members of the checkpoint."""
    lwt, id_ = (checkpoint["lwt"], checkpoint["id"]) if checkpoint else (0, "")
    return api.get(f"{place(resource, 'pull')}?lwt={lwt}&id={id_}&limit={limit}")


def pulled(api: Api, resource: Resource, checkpoint: Document | None = None, limit: int = 100) -> tuple[Any, Document]:
    answer = pull(api, resource, checkpoint, limit)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body.keys() == {"documents", "checkpoint"} and body["checkpoint"].keys() == {"lwt", "id", "epoch"}
    return body["documents"], body["checkpoint"]


def document_of(api: Api, resource: Resource, row: OwnedModel) -> Document:
    """Read anew, among all."""
    documents, _ = pulled(api, resource)
    return next(each for each in documents if each["uid"] == row.uid)


def push(api: Api, resource: Resource, *rows: Document) -> Any:
    return api.post(place(resource, "push"), list(rows))


def pushed(api: Api, resource: Resource, new: Document, assumed: Document | None = None) -> list[Document]:
    """What the server has instead."""
    row = {"newDocumentState": new, **({"assumedMasterState": assumed} if assumed else {})}
    answer = push(api, resource, row)
    assert answer.status_code == 200, answer.content
    kept: list[Document] = answer.json()
    return kept


# --- Pull -------------------------------------------------------------------------------------------


def test_the_first_pull_has_every_object(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    documents, checkpoint = pulled(as_alice, resource)
    shown = as_alice.get(address(resource, row.pk)).json()
    (document,) = documents
    assert {**shown, "_deleted": False} == {name: document[name] for name in (*shown, "_deleted")}
    assert document.keys() - shown.keys() <= {"_deleted", *(f"{each.name}_uid" for each in resource.model.references())}
    assert pulled(as_alice, resource, checkpoint) == ([], checkpoint)


def test_the_first_pull_tells_what_was_deleted(resource: Resource, as_alice: Api, alice: User) -> None:
    """RxDB keeps no checkpoint of an empty page: the client may have pushed it before another one has deleted it."""
    assert pulled(as_alice, resource)[0] == []
    pushed(as_alice, resource, {"uid": "mine", **named(resource, "New")})
    resource.delete(alice, resource.model.objects.get().pk)
    make(resource, alice)
    documents, _ = pulled(as_alice, resource)
    assert [(each["uid"] == "mine", each["_deleted"]) for each in documents] == [(True, True), (False, False)]


def test_what_changes_later_comes_in_the_order_of_its_last_change(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    _, checkpoint = pulled(as_alice, resource)
    rename(resource, row, "First")
    other, gone = make(resource, alice), make(resource, alice)
    rename(resource, row, "Last")
    resource.delete(alice, gone.pk)
    documents, checkpoint = pulled(as_alice, resource, checkpoint)
    assert [(each["uid"], each["_deleted"]) for each in documents] == [
        (other.uid, False), (row.uid, False), (gone.uid, True),
    ]  # fmt: skip
    assert (documents[1][label(resource)], checkpoint["lwt"]) == ("Last", head_of(alice))


def test_every_page_but_the_last_is_full(resource: Resource, as_alice: Api, alice: User) -> None:
    """RxDB stops at one that is not."""
    rows = [make(resource, alice) for _ in range(7)]
    first, checkpoint = pulled(as_alice, resource, limit=2)
    for row in rows[2:4]:
        rename(resource, row)
    sizes, uids = [len(first)], {each["uid"] for each in first}
    while True:
        documents, checkpoint = pulled(as_alice, resource, checkpoint, limit=2)
        sizes.append(len(documents))
        uids |= {each["uid"] for each in documents}
        if len(documents) < 2:
            break
    assert (sizes, uids) == ([2, 2, 2, 1], {row.uid for row in rows})


def test_entries_that_are_passed_over_leave_no_page_empty(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    _, checkpoint = pulled(as_alice, resource)
    for number in range(5):
        rename(resource, row, f"Name {number}")
    other = make(resource, alice)
    documents, checkpoint = pulled(as_alice, resource, checkpoint, limit=1)
    assert [each["uid"] for each in documents] == [row.uid]
    documents, _ = pulled(as_alice, resource, checkpoint, limit=1)
    assert [each["uid"] for each in documents] == [other.uid]


def test_a_checkpoint_of_another_history_or_below_the_floor_is_gone(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    _, checkpoint = pulled(as_alice, resource)
    epochs.new_epoch()
    assert problem_of(pull(as_alice, resource, checkpoint), 410)["code"] == "cursor_expired"
    _, later = pulled(as_alice, resource)
    assert later["epoch"] != checkpoint["epoch"]


def test_a_checkpoint_of_another_user_or_that_was_changed_is_refused(
    resource: Resource, as_alice: Api, alice: User, bob: User
) -> None:
    make(resource, alice), make(resource, alice)
    _, checkpoint = pulled(as_alice, resource, limit=1)
    _, of_bob = pulled(Api(bob), resource)
    for bad in (
        of_bob,
        {**checkpoint, "id": checkpoint["id"][:-1]},
        {**checkpoint, "id": "x" * 300},
        {**checkpoint, "id": ""},
        {**checkpoint, "lwt": checkpoint["lwt"] + 1},
        {**checkpoint, "lwt": -1},
        {**checkpoint, "lwt": "1.5"},
        {**checkpoint, "lwt": 2**63},
        {**checkpoint, "id": "%00"},
    ):
        assert problem_of(pull(as_alice, resource, bad), 400)["errors"][0]["parameter"] in ("id", "lwt")
    for limit in (0, 1001):
        assert problem_of(pull(as_alice, resource, limit=limit), 400)["errors"][0]["parameter"] == "limit"
    unknown = as_alice.get(f"{place(resource, 'pull')}?epoch=1")
    assert problem_of(unknown, 400)["errors"][0]["code"] == "unknown"


# --- Push -------------------------------------------------------------------------------------------


def test_a_document_that_was_made_offline_is_created(resource: Resource, as_alice: Api, alice: User) -> None:
    assert pushed(as_alice, resource, {"uid": "mine", **named(resource, "New"), "_deleted": False}) == []
    row = resource.model.objects.for_user(alice).get()
    assert (row.uid, text_of(resource, row)) == ("mine", "New")


def test_a_document_is_changed_with_all_that_was_read(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    """Read-only members come along, as unmodified RxDB sends them."""
    known = document_of(as_alice, resource, row)
    answer = push(
        as_alice,
        resource,
        {"newDocumentState": {**known, label(resource): "Changed"}, "assumedMasterState": known},
    )
    assert (answer.json(), text_of(resource, row), row.version) == ([], "Changed", 2)
    assert answer["Tickbase-Operation"] == "2"


def test_several_changes_before_the_next_pull_are_no_conflict(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    """The client assumes what it has pushed, whose version it does not know."""
    known = document_of(as_alice, resource, row)
    for text in ("First", "Second", "Third"):
        new = {**known, label(resource): text}
        assert pushed(as_alice, resource, new, known) == []
        known = new
    assert (text_of(resource, row), row.version) == ("Third", 4)
    assert pushed(as_alice, resource, {**known, "_deleted": True}, known) == []
    assert not resource.model.objects.visible().exists()


def test_what_another_device_has_changed_is_not_overwritten(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    known = document_of(as_alice, resource, row)
    rename(resource, row, "Theirs")
    current = document_of(as_alice, resource, row)
    before = stored()
    for new in ({**known, label(resource): "Mine"}, {**known, "_deleted": True}):
        assert pushed(as_alice, resource, new, known) == [current]
    assert pushed(as_alice, resource, {**known, label(resource): "Mine"}) == [current]  # as if it were new
    assert stored() == before


def test_what_changes_nothing_but_differs_is_answered(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    """No later pull would bring it: a read-only member, the same change of another device, a lost answer."""
    known = document_of(as_alice, resource, row)
    assert pushed(as_alice, resource, known, known) == []
    assert pushed(as_alice, resource, {**known, "created_at": "2020-01-01T00:00:00Z"}, known) == [known]
    rename(resource, row, "Same")
    current = document_of(as_alice, resource, row)
    assert pushed(as_alice, resource, {**known, label(resource): "Same"}, known) == [current]
    assert head_of(alice) == 2


def test_a_change_that_changes_nothing_tells_a_client_that_has_read_nothing(
    resource: Resource, as_alice: Api, alice: User
) -> None:
    """RxDB passes over what it reads of a document with a change that is still to be pushed."""
    made, fields = {"uid": "mine", **required(resource), "_deleted": False}, fields_of(resource.serializer)
    assert pushed(as_alice, resource, made) == []
    current = pulled(as_alice, resource)[0]
    told = {name: value for name, value in current[0].items() if name in fields and not fields[name].read_only}
    assert told.keys() - made.keys(), "it sends nothing that is new"
    assert pushed(as_alice, resource, {**made, **told}, made) == current
    assert pushed(as_alice, resource, *current, *current) == []  # as RxDB then sends it, once its handler has chosen it


def test_a_document_is_deleted_and_comes_back(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    known = document_of(as_alice, resource, row)
    gone = {**known, "_deleted": True}
    assert pushed(as_alice, resource, gone, known) == []
    row.refresh_from_db()
    assert row.deleted_at is not None
    assert pushed(as_alice, resource, gone, known) == []  # sent again
    assert pushed(as_alice, resource, {**known, label(resource): "Back"}, gone) == []
    assert text_of(resource, row) == "Back"
    assert resource.model.objects.visible().get() == row


def test_a_document_that_was_erased_stays_deleted(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    known = document_of(as_alice, resource, row)
    resource.delete(alice, row.pk)
    writes.erase(alice, [resource.model.objects.filter(pk=row.pk)])
    before = stored()
    for assumed in (known, {**known, "_deleted": True}, None):
        (kept,) = pushed(as_alice, resource, known, assumed)
        assert (kept["uid"], kept["_deleted"]) == (row.uid, True)
    assert stored() == before


def test_a_document_that_the_server_has_lost_is_created_again(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    """Such as after a restored backup."""
    known = document_of(as_alice, resource, row)
    resource.model.objects.filter(pk=row.pk).delete()
    assert pushed(as_alice, resource, {**known, label(resource): "Kept"}, known) == []
    again = resource.model.objects.for_user(alice).get()
    assert (again.uid, text_of(resource, again)) == (row.uid, "Kept")
    assert pushed(as_alice, resource, {**known, "uid": "never here", "_deleted": True}, known) == []


def test_what_is_invalid_comes_back_and_the_rest_is_stored(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    known, bad = document_of(as_alice, resource, row), {label(resource): ""}
    new = {"uid": "bad", **bad}
    answer = push(
        as_alice,
        resource,
        {"newDocumentState": {**known, **bad}, "assumedMasterState": known},
        {"newDocumentState": new},
        {"newDocumentState": {"uid": "good", **named(resource, "Good")}},
    )
    assert answer.json() == [known, {**new, "_deleted": True}]
    assert {each.uid for each in resource.model.objects.all()} == {row.uid, "good"}


def test_a_push_is_one_operation(resource: Resource, as_alice: Api, alice: User) -> None:
    new = [{"newDocumentState": {"uid": f"uid {number}", **named(resource, "New")}} for number in range(100)]
    assert push(as_alice, resource, *new).json() == []
    assert {entry.operation for entry in Change.objects.all()} == {100}
    assert as_alice.post("/api/me/undo", {}).status_code == 200
    assert not resource.model.objects.visible().exists()


def test_a_malformed_push_names_its_place_and_stores_nothing(resource: Resource, as_alice: Api, alice: User) -> None:
    good = {"newDocumentState": {"uid": "a", **named(resource, "New")}}
    document, before = good["newDocumentState"], stored()
    cases: list[tuple[Any, str]] = [
        ([], ""),
        ({}, ""),
        (good, ""),
        ([good] * 101, ""),
        ([good, None], "/1"),
        ([good, {}], "/1/newDocumentState"),
        ([good, {"newDocumentState": 1}], "/1/newDocumentState"),
        ([{**good, "assumedMasterState": 1}], "/0/assumedMasterState"),
        ([{**good, "other": 1}], "/0/other"),
        ([good, {"newDocumentState": {**document, "uid": 1}}], "/1/newDocumentState/uid"),
        ([good, {"newDocumentState": {**document, "uid": ""}}], "/1/newDocumentState/uid"),
        ([good, {"newDocumentState": {**document, "uid": "x" * 256}}], "/1/newDocumentState/uid"),
        ([good, {"newDocumentState": {**document, "uid": "\0"}}], "/1/newDocumentState/uid"),
        ([good, {"newDocumentState": {"title": "No uid"}}], "/1/newDocumentState/uid"),
        ([good, {"newDocumentState": {**document, "_deleted": "no"}}], "/1/newDocumentState/_deleted"),
        ([good, {"newDocumentState": {**document, "_rev": "1-a"}}], "/1/newDocumentState/_rev"),
    ]
    for body, pointer in cases:
        answer = as_alice.post(place(resource, "push"), body)
        assert problem_of(answer, 400)["errors"][0]["pointer"] == pointer, body
    assert stored() == before


def test_a_body_over_one_mebibyte_is_refused(resource: Resource, as_alice: Api) -> None:
    huge = {"newDocumentState": {"uid": "a", **named(resource, "x" * 2**20)}}
    assert problem_of(push(as_alice, resource, huge), 413)["code"] == "body_too_large"


def test_a_uid_of_another_user_is_free(resource: Resource, alice: User, bob: User, row: OwnedModel) -> None:
    api = Api(bob)
    assert pushed(api, resource, {"uid": row.uid, **named(resource, "Mine"), "id": row.pk}, {"version": 1}) == []
    assert resource.model.objects.for_user(bob).get().pk != row.pk
    assert text_of(resource, row) != "Mine"


# --- Everybody --------------------------------------------------------------------------------------


def test_nothing_of_another_is_told_by_the_filter_alone(
    resource: Resource, alice: User, bob: User, row: OwnedModel
) -> None:
    api = Api(bob)
    _, checkpoint = pulled(api, resource)
    with connection.cursor() as sql:
        sql.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks that are still due cannot be altered
        for table in (resource.model._meta.db_table, "users_change"):
            sql.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    assert (pulled(api, resource)[0], pulled(api, resource, checkpoint)[0]) == ([], [])
    make(resource, bob)
    with connection.cursor() as sql:
        sql.execute("UPDATE users_change SET object_id = %s WHERE user_id = %s", [row.pk, bob.pk])
    assert pulled(api, resource, checkpoint)[0] == []
    assert pushed(api, resource, {"uid": row.uid, "_deleted": True}, {"uid": row.uid, "version": row.version}) == []
    row.refresh_from_db()
    assert row.deleted_at is None


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_without_a_standing_nothing_is_told_or_stored(
    resource: Resource, alice: User, row: OwnedModel, lose: Callable[[User], Any]
) -> None:
    api = Api(alice)
    _, checkpoint = pulled(api, resource)
    lose(alice)
    before = stored()
    for answer in (
        pull(api, resource),
        pull(api, resource, checkpoint),
        push(api, resource, {"newDocumentState": {"uid": "a", **named(resource, "New")}}),
        api.get(place(resource, "pullStream")),
    ):
        assert problem_of(answer, 401)["code"] == "invalid_token"
    assert stored() == before


def test_the_path_of_another_is_refused(resource: Resource, alice: User, bob: User) -> None:
    api = Api(bob)
    for answer in (
        api.get(place(resource, "pull", alice.public_id)),
        api.get(place(resource, "pullStream", alice.public_id)),
        api.post(place(resource, "push", alice.public_id), []),
    ):
        assert problem_of(answer, 403)["code"] == "permission_denied"


def test_a_pruned_log_is_gone(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    _, checkpoint = pulled(as_alice, resource)
    resource.delete(alice, row.pk)
    assert sum(pruning.cut_log(timezone.now())) == 2
    assert problem_of(pull(as_alice, resource, checkpoint), 410)["code"] == "cursor_expired"
