"""The trash: what was deleted is listed, restored and erased, and what was erased is nowhere."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from time_machine import TimeMachineFixture

from tasks.resource import TASKS
from tests.client import Api, next_page
from tests.factories import head_of, make_task
from tests.notes.resource import NOTES
from tests.problems import exact, places_of, problem_of, stored
from tests.resources.addresses import BAD_CURSORS, BAD_IDS, CREATED, NOT_COUNTS, forged
from tests.resources.declared import (
    Operation,
    address,
    each,
    installed,
    label,
    make,
    named,
    operations,
    required,
    shown_members,
    takes,
    text_of,
)
from users.models import Change, IdempotencyKey, User
from users.resources import operations as shared
from users.resources import writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource, registered
from users.services import pruning

TRASH = "/api/me/trash"
CANARY = "canary"


def in_trash(resource: Resource, row_id: object, user_id: object = "me") -> str:
    return f"/api/{user_id}/trash/{resource.name}/{row_id}"


def restoring(resource: Resource, row_id: object) -> str:
    return f"{address(resource, row_id)}/restore"


def of_trash(resource: Resource) -> dict[str, Operation]:
    return {name: operation for name, operation in operations(resource).items() if operation.is_of_trash}


@pytest.fixture
def gone(resource: Resource, row: OwnedModel) -> OwnedModel:
    """In the trash."""
    resource.delete(row.user, row.pk)
    row.refresh_from_db()
    return row


# --- One row ----------------------------------------------------------------------------------------


def test_what_was_deleted_is_listed_and_restored(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    shown = as_alice.get(address(resource, row.pk)).json()
    deleted = as_alice.delete(address(resource, row.pk))
    (listed,) = as_alice.get(TRASH).json()
    assert (deleted["Tickbase-Operation"], listed["type"], listed["version"]) == ("2", resource.name, 2)
    assert listed["deleted_at"] == listed["updated_at"] > shown["updated_at"]
    restored = as_alice.post(restoring(resource, row.pk))
    assert (restored.status_code, restored["ETag"], restored["Tickbase-Operation"]) == (200, '"3"', "3")
    assert restored.json() == {**shown, "version": 3, "updated_at": restored.json()["updated_at"]}
    assert as_alice.get(address(resource, row.pk)).json() == restored.json()
    assert as_alice.get(TRASH).json() == []


def test_what_was_erased_is_a_tombstone_that_keeps_its_uid(resource: Resource, as_alice: Api, gone: OwnedModel) -> None:
    erased = as_alice.delete(in_trash(resource, gone.pk))
    assert (erased.status_code, erased.content, erased["Tickbase-Operation"]) == (204, b"", "3")
    assert as_alice.get(TRASH).json() == []
    uid = gone.uid
    assert text_of(resource, gone) == ""
    assert (gone.erased_at is not None, gone.uid, gone.version, head_of(gone.user)) == (True, uid, 3, 3)
    taken = as_alice.post(address(resource), {**named(resource, "New"), "uid": uid})
    assert problem_of(taken, 409)["code"] == "uid_taken"


@each(of_trash)
def test_what_is_not_in_the_trash_is_not_there(
    resource: Resource, as_alice: Api, bob: User, row: OwnedModel, case: Operation
) -> None:
    """Not deleted, another's, erased, or no id: answered byte for byte as what never was."""
    foreign, erased = make(resource, bob), make(resource, row.user)
    resource.delete(bob, foreign.pk)
    resource.delete(row.user, erased.pk)
    writes.erase(row.user, [resource.model.objects.filter(pk=erased.pk)])
    before = stored()
    missing = case.call(as_alice, resource, 2**62)
    assert problem_of(missing, 404)["code"] == f"{resource.name}_not_found"
    for row_id in [row.pk, foreign.pk, erased.pk, *BAD_IDS.values()]:
        assert exact(case.call(as_alice, resource, row_id)) == exact(missing), row_id
    assert stored() == before


def test_the_filter_alone_keeps_others_out_of_the_trash(resource: Resource, as_alice: Api, bob: User) -> None:
    """Without row level security."""
    foreign = make(resource, bob)
    resource.delete(bob, foreign.pk)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks that are still due cannot be altered
        cursor.execute(f"ALTER TABLE {resource.model._meta.db_table} DISABLE ROW LEVEL SECURITY")
    assert as_alice.get(TRASH).json() == []
    assert as_alice.delete(TRASH).status_code == 204
    for operation in of_trash(resource).values():
        problem_of(operation.call(as_alice, resource, foreign.pk), 404)
    foreign.refresh_from_db()
    assert (foreign.version, foreign.erased_at) == (2, None)


@each(of_trash)
def test_it_is_done_once(resource: Resource, as_alice: Api, gone: OwnedModel, case: Operation) -> None:
    assert case.call(as_alice, resource, gone.pk).status_code == case.status
    before = stored()
    problem_of(case.call(as_alice, resource, gone.pk), 404)
    assert stored() == before


def test_a_restore_takes_no_members(resource: Resource, as_alice: Api, gone: OwnedModel) -> None:
    path = restoring(resource, gone.pk)
    assert places_of(as_alice.post(path, named(resource, "New")), "pointer") == [f"/{n}" for n in named(resource, "")]
    assert problem_of(as_alice.get(path), 405)["detail"] == "This address takes POST, OPTIONS."
    assert as_alice.post(path, {}).status_code == 200


def test_an_unknown_type_is_no_address(as_alice: Api) -> None:
    for path in ("nothing/1", "tasks/1", "task", "task/1/2", "%00/1"):
        problem_of(as_alice.delete(f"{TRASH}/{path}"), 404)
    problem_of(as_alice.get(in_trash(TASKS, 1)), 405)


def test_what_is_restored_counts_towards_the_limit(as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = make_task(alice)
    TASKS.delete(alice, gone.pk)
    make_task(alice)
    monkeypatch.setattr(settings, "LIMIT_TASKS", 1)
    before = stored()
    problem = problem_of(as_alice.post(restoring(TASKS, gone.pk)), 409)
    assert (problem["code"], problem["limit"]) == ("limit_reached", 1)
    assert stored() == before


# --- The list ---------------------------------------------------------------------------------------


@pytest.fixture
def notes() -> Iterator[Resource]:
    """A second type in the trash."""
    with installed(NOTES):
        yield NOTES


@pytest.fixture
def both(notes: Resource, alice: User, time_machine: TimeMachineFixture) -> list[tuple[str, int]]:
    """What alice has deleted of both types, several at a time, as they are to be listed."""
    found, now = [], timezone.now()
    for number in range(4):
        time_machine.move_to(now + number * dt.timedelta(microseconds=1), tick=False)
        for resource in (TASKS, notes):
            pks = [make(resource, alice).pk for _ in range(3)]
            resource.delete_many(alice, pks)
            found += [(number, resource.name, pk) for pk in pks]
    make(notes, alice)
    return [(name, pk) for _, name, pk in sorted(found, reverse=True)]


def listed(api: Api, path: str) -> list[list[tuple[str, int]]]:
    """Type and id of the objects of each page."""
    pages, url = [], path
    while url:
        answer = api.get(url)
        assert answer.status_code == 200, answer.content
        pages.append([(shown["type"], shown["id"]) for shown in answer.json()])
        url = next_page(answer) or ""
    return pages


@pytest.mark.parametrize("limit", [1, 2, 5, 6, 7, 23, 24, 200])
def test_all_pages_together_are_the_trash(as_alice: Api, both: list[tuple[str, int]], limit: int) -> None:
    pages = listed(as_alice, f"{TRASH}?limit={limit}")
    assert sum(pages, []) == both
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1) and 1 <= len(pages[-1]) <= limit


@pytest.mark.parametrize("name", ["task", "note"])
def test_one_type_can_be_asked_for(as_alice: Api, both: list[tuple[str, int]], name: str) -> None:
    pages = listed(as_alice, f"{TRASH}?type={name}&limit=5")
    assert sum(pages, []) == [each for each in both if each[0] == name]
    assert len(pages) == 3


def test_objects_have_the_members_of_their_resource(as_alice: Api, both: list[tuple[str, int]]) -> None:
    for shown in as_alice.get(TRASH).json():
        resource = TASKS if shown["type"] == "task" else NOTES
        assert list(shown) == ["type", *shown_members(resource), "deleted_at"]
        assert (shown["user_id"], shown["deleted_at"]) == (as_alice.user.public_id, shown["updated_at"])  # type: ignore[union-attr]


def test_what_is_restored_while_pages_are_read_moves_none(as_alice: Api, both: list[tuple[str, int]]) -> None:
    first = as_alice.get(f"{TRASH}?limit=5")
    resources = {"task": TASKS, "note": NOTES}
    for name, pk in both[3:7]:
        as_alice.post(restoring(resources[name], pk))
    link = next_page(first)
    assert link
    assert sum(listed(as_alice, link), []) == both[7:]


def test_the_number_of_statements_does_not_depend_on_the_trash(as_alice: Api, alice: User) -> None:
    counts = []
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            assert as_alice.get(TRASH).status_code == 200
        counts.append(len(queries))
        for _ in range(5):
            TASKS.delete(alice, make_task(alice).pk)
    assert counts == [1 + len(registered())] * 3  # whether the caller may ask, and each table


@pytest.mark.parametrize("cursor", [*BAD_CURSORS.values(), forged("user", CREATED, 1), forged("task", None, 1)])
def test_a_cursor_that_is_none_of_ours_is_named(as_alice: Api, cursor: str) -> None:
    assert places_of(as_alice.client.get(TRASH, {"cursor": cursor}), "parameter") == ["cursor"]


@pytest.mark.parametrize(
    "query, name",
    [
        *((f"limit={count}", "limit") for count in [*NOT_COUNTS, "0", "201"]),
        *((f"type={name}", "type") for name in ["", "tasks", "Task", "note", "task,task", "%00", "%ff", "a" * 3000]),
        ("type=task&type=task", "type"), ("offset=1", "offset"), ("sort=created", "sort"), ("user_id=1", "user_id"),
    ],
)  # fmt: skip
def test_a_bad_parameter_is_named(as_alice: Api, alice: User, query: str, name: str) -> None:
    TASKS.delete(alice, make_task(alice).pk)
    before = stored()
    assert places_of(as_alice.get(f"{TRASH}?{query}"), "parameter") == [name]
    assert set(places_of(as_alice.delete(f"{TRASH}?{query}"), "parameter")) == {name}
    assert stored() == before


# --- Emptying ---------------------------------------------------------------------------------------


def test_emptying_is_one_operation(as_alice: Api, alice: User, both: list[tuple[str, int]]) -> None:
    head = head_of(alice)
    kept = make(NOTES, alice)
    answer = as_alice.delete(TRASH)
    assert (answer.status_code, answer["Tickbase-Operation"]) == (204, str(head + 1 + len(both)))
    assert as_alice.get(TRASH).json() == []
    entries = Change.objects.for_user(alice).filter(operation=head_of(alice))
    assert {(entry.kind, entry.type) for entry in entries} == {("erased", "task"), ("erased", "note")}
    assert (len(entries), text_of(NOTES, kept)) == (len(both), NOTES.example["title"])


def test_one_type_can_be_emptied(as_alice: Api, both: list[tuple[str, int]]) -> None:
    assert as_alice.delete(f"{TRASH}?type=note").status_code == 204
    assert sum(listed(as_alice, TRASH), []) == [each for each in both if each[0] == "task"]


def test_an_empty_trash_can_be_emptied(as_alice: Api, alice: User) -> None:
    answer = as_alice.delete(TRASH)
    assert (answer.status_code, "Tickbase-Operation" in answer, head_of(alice)) == (204, False, 0)


def test_emptying_that_is_sent_again_leaves_what_was_deleted_since(as_alice: Api, alice: User) -> None:
    TASKS.delete(alice, make_task(alice).pk)
    first = as_alice.delete(TRASH, idempotency_key="k1")
    TASKS.delete(alice, make_task(alice).pk)
    second = as_alice.delete(TRASH, idempotency_key="k1")
    assert first["Tickbase-Operation"] == second["Tickbase-Operation"] == "3"
    assert len(as_alice.get(TRASH).json()) == 1


def test_another_query_is_not_the_same_request(as_alice: Api, alice: User, notes: Resource) -> None:
    TASKS.delete(alice, make_task(alice).pk)
    assert as_alice.delete(f"{TRASH}?type=note", idempotency_key="k1").status_code == 204
    assert problem_of(as_alice.delete(TRASH, idempotency_key="k1"), 422)["code"] == "idempotency_key_reused"
    assert as_alice.delete(f"{TRASH}?type=note", idempotency_key="k1")["Idempotency-Replayed"] == "true"


def test_more_than_an_operation_may_change_is_refused(
    as_alice: Api, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        TASKS.delete(alice, make_task(alice).pk)
    monkeypatch.setattr(shared, "MAX_ROWS", 1)
    before = stored()
    assert problem_of(as_alice.delete(TRASH), 422)["code"] == "operation_too_large"
    assert stored() == before


# --- Nowhere ----------------------------------------------------------------------------------------


def tables_with(text: str) -> set[str]:
    """All tables that have a row with this text in any of its columns."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        tables = [name for (name,) in cursor.fetchall()]
        found = set()
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}" AS row WHERE row::text ILIKE %s', [f"%{text}%"])
            if cursor.fetchone()[0]:
                found.add(table)
    return found


@pytest.mark.parametrize("erase", [lambda resource, pk: in_trash(resource, pk), lambda resource, pk: TRASH])
def test_what_was_erased_is_nowhere(resource: Resource, as_alice: Api, alice: User, erase: Any) -> None:
    texts: dict[str, Any] = {**dict.fromkeys(resource.text, CANARY), "tags": [CANARY], "extra": {CANARY: CANARY}}
    texts |= {name: {CANARY: CANARY} for name in resource.text if takes(resource, name, {CANARY: CANARY})}
    texts = {
        **required(resource),
        **{name: texts[name] for name in resource.text if takes(resource, name, texts[name])},
    }
    created = as_alice.post(address(resource), texts, idempotency_key="k1")
    assert created.status_code == 201
    pk = created.json()["id"]
    as_alice.patch(address(resource, pk), {label(resource): f"{CANARY} 2"}, idempotency_key="k2")
    as_alice.delete(address(resource, pk))
    table = resource.model._meta.db_table
    assert {table, "users_change", "users_idempotencykey"} <= tables_with(CANARY)
    assert as_alice.delete(erase(resource, pk)).status_code == 204
    assert tables_with(CANARY) == set()
    for path in (address(resource), f"{address(resource)}?updated_since=2000-01-01T00:00:00Z", TRASH):
        assert CANARY.encode() not in as_alice.get(path).content
    exported = b"".join(as_alice.client.get("/api/users/me/export").streaming_content)  # type: ignore[attr-defined]
    assert CANARY.encode() not in exported and created.json()["uid"].encode() in exported
    again = as_alice.patch(address(resource, pk), {label(resource): f"{CANARY} 2"}, idempotency_key="k2")
    assert CANARY not in str(problem_of(again, 404)) and tables_with(CANARY) == set()


def test_answers_are_forgotten_however_many_objects_are_erased(as_alice: Api, alice: User) -> None:
    for key in ("k1", "k2"):
        pk = as_alice.post(address(TASKS), named(TASKS, CANARY), idempotency_key=key).json()["id"]
    pruning.forget_answers(alice.pk, range(pk, pk + 100_000))
    assert IdempotencyKey.objects.filter(user=alice).count() == 1  # that of another object


def test_emptying_reads_no_text_and_no_more_than_it_may_change(
    resource: Resource, as_alice: Api, gone: OwnedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "MAX_ROWS", 7)
    with CaptureQueriesContext(connection) as queries:
        assert as_alice.delete(TRASH).status_code == 204
    table = resource.model._meta.db_table
    (read,) = [each["sql"] for each in queries if each["sql"].startswith("SELECT") and f'FROM "{table}"' in each["sql"]]
    assert "LIMIT 8" in read and not [name for name in resource.text if f'"{name}"' in read.partition("WHERE")[0]]


def test_what_another_wrote_is_left(resource: Resource, as_alice: Api, bob: User, gone: OwnedModel) -> None:
    foreign = make(resource, bob, **named(resource, CANARY))
    resource.delete(bob, foreign.pk)
    before = tables_with(CANARY)
    as_alice.delete(TRASH)
    assert tables_with(CANARY) == before != set()
    assert text_of(resource, foreign) == CANARY
