"""The changes of every resource: the first sync has what is live, and each write comes in the order of versions."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from tests.client import Api
from tests.copies import Copy, live
from tests.factories import head_of
from tests.problems import problem_of
from tests.resources.declared import address, make, rename
from tests.resources.test_standing import LOST
from users.models import User
from users.resources import undo, writes
from users.resources.models import OwnedModel
from users.resources.resource import Resource

CHANGES = "/api/me/changes"


def read(api: Api, cursor: str | None = None, **query: Any) -> tuple[list[dict[str, Any]], str]:
    """The changes of a page, and its cursor."""
    sent = {**query, **({"since": cursor} if cursor else {})}
    answer = api.get(f"{CHANGES}?{'&'.join(f'{name}={value}' for name, value in sent.items())}")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body.keys() == {"changes", "cursor", "more"} and not body["more"]
    return body["changes"], body["cursor"]


def shown(api: Api, resource: Resource, row: OwnedModel) -> dict[str, Any]:
    """The change that makes a copy equal to the row."""
    current = api.get(address(resource, row.pk)).json()
    return {"type": resource.name, "version": current["version"], "object": current}


def tombstone(resource: Resource, row: OwnedModel, version: int) -> dict[str, Any]:
    return {"type": resource.name, "version": version, "deleted": True, "id": row.pk, "uid": row.uid}


def test_the_first_sync_has_every_live_object_as_it_is_shown(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    gone, other = make(resource, alice), make(resource, alice)
    rename(resource, row)
    resource.delete(alice, gone.pk)
    found, cursor = read(as_alice, types=resource.name)
    assert found == [shown(as_alice, resource, row), shown(as_alice, resource, other)]
    assert read(as_alice, cursor, types=resource.name) == ([], cursor)


def test_each_kind_of_write_is_told(resource: Resource, as_alice: Api, alice: User, row: OwnedModel) -> None:
    """Also an undo, and what was in the trash or erased before it was ever seen."""
    _, cursor = read(as_alice)
    new, unseen = make(resource, alice), make(resource, alice)
    resource.delete(alice, unseen.pk)
    assert read(as_alice, cursor)[0] == [shown(as_alice, resource, new), tombstone(resource, unseen, 4)]
    steps: list[tuple[Callable[[], Any], bool]] = [
        (lambda: rename(resource, row), True),
        (lambda: resource.delete(alice, row.pk), False),
        (lambda: resource.restore(alice, row.pk), True),
        (lambda: resource.delete_many(alice, [row.pk]), False),
        (lambda: undo.undo(alice, head_of(alice)), True),
        (lambda: undo.undo(alice, head_of(alice)), False),
        (lambda: writes.erase(alice, [resource.model.objects.filter(pk=row.pk)]), False),
    ]
    _, cursor = read(as_alice, cursor)
    for step, is_live in steps:
        step()
        found, cursor = read(as_alice, cursor)
        expected = shown(as_alice, resource, row) if is_live else tombstone(resource, row, head_of(alice))
        assert found == [expected]


def test_an_object_that_changed_again_comes_once_in_the_place_of_its_last_change(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    _, cursor = read(as_alice)
    rename(resource, row, "First")
    other = make(resource, alice)
    rename(resource, row, "Last")
    found, _ = read(as_alice, cursor)
    assert [change["version"] for change in found] == [3, 4]
    assert found == [shown(as_alice, resource, other), shown(as_alice, resource, row)]


def test_a_page_of_entries_that_are_all_passed_over_leads_on(
    resource: Resource, as_alice: Api, alice: User, row: OwnedModel
) -> None:
    copy = Copy(alice).follow()
    for number in range(5):
        rename(resource, row, f"Name {number}")
    pages = [copy.read(limit=2) for _ in range(3)]
    versions = [each for each in copy.versions if each]  # what the rows need has none
    assert (pages, versions, copy.objects) == ([True, True, False], [1, 6], live(alice))


def test_nothing_of_another_is_told(resource: Resource, as_alice: Api, alice: User, bob: User) -> None:
    """By the filter alone, without row level security; also of rows with ids that are in the own log by mistake."""
    row = make(resource, alice)
    _, cursor = read(Api(bob), types=resource.name)
    with connection.cursor() as sql:
        sql.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks that are still due cannot be altered
        for table in (resource.model._meta.db_table, "users_change"):
            sql.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    assert (read(Api(bob), types=resource.name)[0], read(Api(bob), cursor, types=resource.name)[0]) == ([], [])
    own = make(resource, bob)
    with connection.cursor() as sql:
        sql.execute("UPDATE users_change SET object_id = %s WHERE user_id = %s", [row.pk, bob.pk])
    assert read(Api(bob), cursor, types=resource.name)[0] == []
    assert [change["object"]["id"] for change in read(Api(bob), types=resource.name)[0]] == [own.pk]


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_without_a_standing_nothing_is_told(
    resource: Resource, alice: User, row: OwnedModel, lose: Callable[[User], Any]
) -> None:
    api = Api(alice)
    _, cursor = read(api)
    lose(alice)
    for query in ("", f"?since={cursor}"):
        answer = api.get(CHANGES + query, if_none_match=f'"{head_of(alice)}"')
        assert problem_of(answer, 401)["code"] == "invalid_token"
