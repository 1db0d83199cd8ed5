"""If-Match and If-None-Match: versions as entity tags."""

import pytest

from tests.client import Api
from tests.factories import head_of
from tests.problems import places_of, rolled_back, stored
from tests.races import short_and_full
from tests.resources import versions
from tests.resources.declared import Operation, address, changing, each, label, make, rename
from users.models import User
from users.resources.models import OwnedModel
from users.resources.resource import Resource

# What nginx, Apache and Caddy make of "1" when they compress the answer that carries it.
ALTERED = ['W/"1"', '"1-gzip"', '"1-br"', '"1-zstd"', 'W/"1-deflate"']
STALE = ['"1"', 'W/"1"', '"1-gzip"', '"2-"', '"2-tar"', '"x"', '""', '"-gzip"', '"1", "9"', '"99999999999999999999"']


@each(changing)
def test_the_current_version_may_write(resource: Resource, as_alice: Api, row: OwnedModel, case: Operation) -> None:
    """Also as a compressing proxy altered its tag."""
    case.prepare(resource, row)
    make(resource, row.user)  # behind which a move puts it
    row.refresh_from_db()
    current, head = row.version, head_of(row.user)
    for tag in ['"1"', *ALTERED]:
        with rolled_back():
            answer = case.call(as_alice, resource, row.pk, HTTP_IF_MATCH=tag.replace("1", str(current)))
            row.refresh_from_db()
            assert (answer.status_code, row.version) == (case.status, head + 1), tag


@each(changing)
def test_a_stale_version_returns_the_current_row(
    resource: Resource, as_alice: Api, row: OwnedModel, case: Operation
) -> None:
    if not case.is_of_trash:
        case.prepare(resource, row)
    rename(resource, row, "Changed meanwhile")
    shown = as_alice.get(address(resource, row.pk)).json()
    if case.is_of_trash:
        case.prepare(resource, row)
    before = stored()
    for tag in STALE:
        answer = case.call(as_alice, resource, row.pk, HTTP_IF_MATCH=tag)
        assert (answer.status_code, answer.json()["code"]) == (412, "stale_version"), tag
        changed = {name: answer.json()["current"][name] for name in ("version", "updated_at")}
        assert answer.json()["current"] == {**shown, **(changed if case.is_of_trash else {})}, tag
    assert stored() == before


@pytest.mark.parametrize("tag", ["*", '"1"', '"7", "1"', '"1" , W/"7"', 'W/"7",W/"1"'])
def test_any_of_several_versions_may_match(resource: Resource, as_alice: Api, row: OwnedModel, tag: str) -> None:
    assert as_alice.patch(address(resource, row.pk), {label(resource): "New"}, if_match=tag).status_code == 200


def test_a_missing_row_is_404_whatever_if_match_says(resource: Resource, as_alice: Api) -> None:
    assert as_alice.patch(address(resource, 1), {label(resource): "New"}, if_match="*").status_code == 404
    assert as_alice.delete(address(resource, 1), if_match='"1"').status_code == 404


@pytest.mark.parametrize("tag", ['"1"', "*", '"7", "1"', *ALTERED])
def test_an_unchanged_row_is_304_without_a_body(resource: Resource, as_alice: Api, row: OwnedModel, tag: str) -> None:
    answer = as_alice.get(address(resource, row.pk), if_none_match=tag)
    assert (answer.status_code, answer.content, answer["ETag"]) == (304, b"", '"1"')
    assert "Content-Length" not in answer


def test_a_changed_row_is_sent_anew(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    rename(resource, row, "Changed")
    answer = as_alice.get(address(resource, row.pk), if_none_match='"1"')
    assert (answer.status_code, answer["ETag"], answer.json()[label(resource)]) == (200, '"2"', "Changed")


def test_an_unchanged_list_is_304_until_anything_changes(
    resource: Resource, as_alice: Api, alice: User, bob: User, row: OwnedModel
) -> None:
    path = f"{address(resource)}?sort=updated"
    tag = as_alice.get(path)["ETag"]
    make(resource, bob)
    unchanged = as_alice.get(path, if_none_match=tag)
    assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", tag)
    resource.delete(alice, row.pk)
    changed = as_alice.get(path, if_none_match=tag)
    assert (changed.status_code, changed.json()) == (200, [])
    assert changed["ETag"] != tag


def test_the_empty_list_of_a_new_user_has_a_tag(resource: Resource, as_alice: Api) -> None:
    tag = as_alice.get(address(resource))["ETag"]
    assert as_alice.get(address(resource), if_none_match=tag).status_code == 304


@pytest.mark.parametrize("tag", ['"' + "5" * 1000 + '"', '"1"' + " " * 1000, ",".join(['"1"'] * 300)])
def test_an_unbounded_list_of_tags_is_refused_by_name(
    resource: Resource, as_alice: Api, row: OwnedModel, tag: str
) -> None:
    path = address(resource, row.pk)
    assert places_of(as_alice.get(path, if_none_match=tag), "header") == ["If-None-Match"]
    assert places_of(as_alice.delete(path, if_match=tag), "header") == ["If-Match"]


def test_a_shared_browser_keeps_the_lists_of_two_users_apart(
    resource: Resource, as_alice: Api, alice: User, bob: User, row: OwnedModel
) -> None:
    make(resource, bob)
    mine, own = as_alice.get(address(resource)), as_alice.get(address(resource, user_id=alice.pk))
    assert mine["ETag"] == Api(bob).get(address(resource))["ETag"] == own["ETag"]
    assert "authorization" in mine["Vary"].lower() and "authorization" in own["Vary"].lower()
    assert (mine["Cache-Control"], own["Cache-Control"]) == ("no-store", "private, no-cache")
    assert as_alice.get("/api/users/me")["Cache-Control"] == "no-store"


@pytest.mark.usefixtures("transactional_db")
def test_a_version_that_another_changes_meanwhile_is_stale(resource: Resource) -> None:
    versions.check_a_write_that_waited_is_refused(resource)


@pytest.mark.thorough
@pytest.mark.usefixtures("transactional_db")
@pytest.mark.parametrize("attempts", short_and_full(15, 100))
def test_increments_by_8_threads_lose_no_update(resource: Resource, attempts: int) -> None:
    versions.check_no_update_is_lost(resource, attempts)


def test_every_write_takes_the_next_number(resource: Resource, alice: User) -> None:
    versions.check_every_write_takes_the_next_number(resource, alice)
