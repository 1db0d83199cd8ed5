"""The history of an object: an entry for each change, the newest first, also in the trash."""

from typing import Any

import pytest
from django.db import connection

from tests.client import Api, next_page
from tests.factories import caller_of, fill_log, head_of
from tests.plans import explain, nodes, statements
from tests.problems import places_of, problem_of
from tests.resources.declared import address, label, make, rename, shown_members
from users.models import Change, Feed, User
from users.resources import history, log, writes
from users.resources.log import Cursor
from users.resources.models import OwnedModel
from users.resources.resource import Resource

MEMBERS = ["version", "operation", "kind", "type", "object_id", "at", "actor", "diff", "undoes"]
BAD_CURSORS = ["x", "A" * 21, "A" * 22 + "=", "A" * 23, "A" * 65, "%00", "é", "_" * 22, Cursor(-1, 1).encode()]


def place(resource: Resource, row: OwnedModel, **query: object) -> str:
    return f"{address(resource, row.pk)}/history?" + "&".join(f"{name}={value}" for name, value in query.items())


def entries(api: Api, resource: Resource, row: OwnedModel, **query: object) -> Any:
    answer = api.get(place(resource, row, **query))
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_each_change_is_told_with_its_values_the_newest_first(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    path, member, before = address(resource, row.pk), label(resource), getattr(row, label(resource))
    make(resource, alice)
    as_alice.patch(path, {member: "New"})
    as_alice.delete(path)
    resource.restore(alice, row.pk)
    told = entries(as_alice, resource, row)
    row.refresh_from_db()
    assert [list(entry) for entry in told] == [MEMBERS] * 4
    assert [entry["kind"] for entry in told] == ["restored", "deleted", "updated", "created"]
    assert [entry["version"] for entry in told] == [entry["operation"] for entry in told] == [5, 4, 3, 1]
    assert {(entry["type"], entry["object_id"], entry["undoes"]) for entry in told} == {(resource.name, row.pk, None)}
    assert told[2]["diff"] == {member: [before, "New"]}
    assert told[1]["diff"] == {"deleted_at": [None, told[1]["at"]]}
    assert told[0]["diff"] == {"deleted_at": [told[1]["at"], None]}
    assert told[3]["diff"][member] == [None, before]
    assert [entry["actor"].partition(":")[0] for entry in told] == ["command", "session", "session", "command"]


def test_it_names_members_of_the_contract_alone(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    rename(resource, row)
    known = {*resource.serializer.columns(), *shown_members(resource), "deleted_at"}
    assert {name for entry in entries(as_alice, resource, row) for name in entry["diff"]} <= known


def test_what_is_in_the_trash_has_a_history_and_what_is_erased_has_none(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    resource.delete(alice, row.pk)
    assert [entry["kind"] for entry in entries(as_alice, resource, row)] == ["deleted", "created"]
    writes.erase(alice, [resource.model.objects.filter(pk=row.pk)])
    assert problem_of(as_alice.get(place(resource, row)), 404)["code"] == f"{resource.name}_not_found"
    told = as_alice.get("/api/me/history").json()
    assert [(entry["kind"], entry["diff"]) for entry in told] == [("erased", {}), ("deleted", {}), ("created", {})]


def test_what_is_older_than_the_log_has_an_empty_history(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    """And its later changes are told, though they lead back to a version that has no entry."""
    Change.objects.filter(user=alice).delete()
    assert entries(as_alice, resource, row) == []
    rename(resource, row)
    assert [entry["version"] for entry in entries(as_alice, resource, row)] == [2]


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
def test_all_pages_together_are_the_history(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel, limit: int
) -> None:
    for number in range(6):
        rename(resource, row, f"Name {number}")
        make(resource, alice)
    found, url = [], place(resource, row, limit=limit)
    while url:
        answer = as_alice.get(url)
        assert len(answer.json()) <= limit
        found += answer.json()
        url = next_page(answer) or ""
        assert not url or len(answer.json()) == limit
    assert found == entries(as_alice, resource, row)
    assert [entry["version"] for entry in found] == [12, 10, 8, 6, 4, 2, 1]


def test_without_a_limit_a_page_has_50(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    for number in range(50):
        rename(resource, row, f"Name {number}")
    answer = as_alice.get(place(resource, row))
    assert (len(answer.json()), "Link" in answer, "ETag" in answer) == (50, True, False)
    assert len(as_alice.get(str(next_page(answer))).json()) == 1


def test_a_cursor_of_another_object_tells_nothing_of_it(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    other = make(resource, alice)
    assert entries(as_alice, resource, row, cursor=Cursor(log.current_epoch(), other.version).encode()) == []


@pytest.mark.parametrize("cursor", BAD_CURSORS, ids=range(len(BAD_CURSORS)))
def test_a_cursor_that_no_link_carried_is_refused(
    resource: Resource, as_alice: Api, row: OwnedModel, cursor: str
) -> None:
    for path in (place(resource, row, cursor=cursor), f"/api/me/history?cursor={cursor}"):
        assert places_of(as_alice.get(path), "parameter") == ["cursor"]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "offset=1", "total=true", "actor=command", "a=b"])
def test_a_bad_parameter_is_named(resource: Resource, as_alice: Api, row: OwnedModel, query: str) -> None:
    answer = as_alice.get(f"{address(resource, row.pk)}/history?{query}")
    assert places_of(answer, "parameter") == [query.partition("=")[0]]


def test_a_cursor_below_the_floor_or_of_another_epoch_is_gone(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        rename(resource, row, f"Name {number}")
    for path in (place(resource, row, limit=2), "/api/me/history?limit=2"):
        link = str(next_page(as_alice.get(path)))
        assert len(as_alice.get(link).json()) == 2
        Feed.objects.filter(user=alice).update(floor=4)
        assert problem_of(as_alice.get(link), 410)["code"] == "cursor_expired"
        Feed.objects.filter(user=alice).update(floor=0)
        with monkeypatch.context() as patch:
            patch.setattr(log, "current_epoch", lambda: 7)
            assert problem_of(as_alice.get(link), 410)["code"] == "cursor_expired"
            assert as_alice.get(str(next_page(as_alice.get(path)))).status_code == 200


def test_below_the_floor_nothing_is_told(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    """Entries may be there still: tombstones that made room raise the floor alone."""
    rename(resource, row)
    Feed.objects.filter(user=alice).update(floor=1)
    assert [entry["version"] for entry in entries(as_alice, resource, row)] == [2]
    assert [entry["version"] for entry in as_alice.get("/api/me/history").json()] == [2]


def test_it_costs_as_many_statements_whatever_its_length(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    def read() -> Any:
        return as_alice.get(place(resource, row))

    assert [len(statements(read, containing="")), len(read().json())] == [3, 1]
    for number in range(20):
        rename(resource, row, f"Name {number}")
    assert [len(statements(read, containing="")), len(read().json())] == [3, 21]


def test_each_entry_is_looked_up_and_none_is_searched_for(resource: Resource, alice: User, row: OwnedModel) -> None:
    """With a log of some pages, known to PostgreSQL, which would rather scan a single one."""
    caller = caller_of(alice)
    rename(resource, row)
    fill_log(alice, 5_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE users_change")
    query = {"limit": 50}
    (sql,) = statements(lambda: history.of_object(caller, resource.model, row.pk, query), containing="users_change")
    scans = [node for node in nodes(explain(alice, sql)["Plan"]) if node.get("Relation Name") == "users_change"]
    assert len(scans) == 3
    assert {scan["Node Type"] for scan in scans} <= {"Index Scan", "Bitmap Heap Scan"}
    assert head_of(alice) == 5_002
