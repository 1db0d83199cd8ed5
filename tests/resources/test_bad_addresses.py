"""Every parameter, header and path segment that is wrong: a 4xx that names it, and nothing is changed."""

from typing import Any

import pytest

from tests.client import Api
from tests.problems import exact, places_of, problem_of, send, stored
from tests.resources.addresses import BAD_IDS, BAD_QUERIES, BAD_TAGS_OF_VERSIONS, CREATED, NOBODIES, UNKNOWN, forged
from tests.resources.declared import Operation, address, changing, each, label, make, of_one, text_of
from users.models import User
from users.resources.models import OwnedModel
from users.resources.resource import Resource

pytestmark = pytest.mark.thorough


def known(resource: Resource) -> list[str]:
    """The parameters of its list."""
    return list(resource.list_query._declared_fields)


# --- Parameters -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name", BAD_QUERIES)
def test_a_bad_parameter_is_named(resource: Resource, as_alice: Api, name: str) -> None:
    for value in BAD_QUERIES[name]:
        answer = as_alice.get(f"{address(resource)}?{name}={value}")
        assert (set(places_of(answer, "parameter")), answer.json()["code"]) == ({name}, "invalid"), value


@pytest.mark.parametrize("value", ["%ff", "a%c0%80", "%ed%a0%80"])
def test_a_parameter_that_is_not_utf_8_is_named(resource: Resource, as_alice: Api, value: str) -> None:
    for name in known(resource):
        answer = as_alice.get(f"{address(resource)}?{name}={value}")
        assert (places_of(answer, "parameter"), answer.json()["errors"][0]["code"]) == ([name], "invalid_utf8")


def test_a_repeated_parameter_is_named(resource: Resource, as_alice: Api) -> None:
    for name in set(known(resource)).difference(resource.list_query.repeatable):
        answer = as_alice.get(f"{address(resource)}?{name}=1&{name}=1")
        assert (places_of(answer, "parameter"), answer.json()["errors"][0]["code"]) == ([name], "repeated")


def test_a_cursor_goes_with_no_offset(resource: Resource, as_alice: Api) -> None:
    answer = as_alice.get(f"{address(resource)}?offset=1&cursor={forged('-created', CREATED, 1)}")
    assert places_of(answer, "parameter") == ["offset"]


def test_an_unknown_parameter_is_refused_with_the_known_ones(resource: Resource, as_alice: Api) -> None:
    for name in UNKNOWN:
        (error,) = problem_of(as_alice.get(f"{address(resource)}?{name}=1"), 400)["errors"]
        known_ones = f"Unknown parameter; known are {', '.join(known(resource))}."
        assert (error["code"], error["detail"]) == ("unknown", known_ones), name


def test_every_bad_parameter_is_named_at_once(resource: Resource, as_alice: Api) -> None:
    query = "Limit=5&sort=created&sort=created&updated_since=%ff&total=maybe&limit=0"
    answer = as_alice.get(f"{address(resource)}?{query}&cursor={forged('-created', CREATED, 1)}&offset=0")
    assert sorted(places_of(answer, "parameter")) == ["Limit", "limit", "sort", "total", "updated_since"]


def test_a_cursor_is_not_compared_with_an_order_that_was_refused(resource: Resource, as_alice: Api) -> None:
    query = f"sort=updated&sort=updated&cursor={forged('updated', CREATED, 1)}"
    assert places_of(as_alice.get(f"{address(resource)}?{query}"), "parameter") == ["sort"]


def test_a_hundred_unknown_parameters_are_all_named(resource: Resource, as_alice: Api) -> None:
    query = "&".join(f"p{number}=1" for number in range(99))
    assert len(places_of(as_alice.get(f"{address(resource)}?{query}&limit=0"), "parameter")) == 100


def test_a_thousand_parameters(resource: Resource, as_alice: Api) -> None:
    answer = as_alice.get(f"{address(resource)}?" + "&".join(f"tag={number}" for number in range(1000)))
    assert problem_of(answer, 400)["errors"][0]["code"] == "too_many"


# --- Headers ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@each(changing)
def test_a_malformed_if_match_is_named(resource: Resource, as_alice: Api, row: OwnedModel, case: Operation) -> None:
    for value in BAD_TAGS_OF_VERSIONS:
        answer = case.call(as_alice, resource, row.pk, HTTP_IF_MATCH=value)
        assert places_of(answer, "header") == ["If-Match"], value


def test_a_malformed_if_none_match_is_named(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    for value in BAD_TAGS_OF_VERSIONS:
        for row_id in (None, row.pk):
            answer = as_alice.get(address(resource, row_id), if_none_match=value)
            assert places_of(answer, "header") == ["If-None-Match"], value


@pytest.mark.usefixtures("unchanged")
def test_a_version_that_never_was_matches_nothing(resource: Resource, as_alice: Api, row: OwnedModel) -> None:
    for value in [f'"{2**63}"', f'"{"9" * 900}"', '"-1"', '"1.0"', 'W/"7"', '"٣"'.encode().decode("latin-1")]:
        answer = as_alice.client.delete(address(resource, row.pk), HTTP_IF_MATCH=value)
        assert problem_of(answer, 412)["current"][label(resource)] == text_of(resource, row), value


# --- Path segments ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@each(of_one)
def test_what_is_no_id_answers_as_a_missing_row(resource: Resource, as_alice: Api, case: Operation) -> None:
    missing = case.call(as_alice, resource, 2**63 - 1)
    assert problem_of(missing, 404)["code"] == f"{resource.name}_not_found"
    for name, row_id in BAD_IDS.items():
        assert exact(case.call(as_alice, resource, row_id)) == exact(missing), name


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_of_nobody_answers_as_the_path_of_another(
    resource: Resource, as_alice: Api, bob: User, method: str
) -> None:
    """Before the body is read."""

    def call(path: str) -> list[Any]:
        answer = send(as_alice, method, path, b"{", HTTP_X_REQUEST_ID="same")
        assert problem_of(answer, 403)["code"] == "permission_denied"
        return exact(answer)

    before, of_bob = stored(), call(address(resource, user_id=bob.public_id))
    for user_id in NOBODIES:
        assert call(address(resource, user_id=user_id)) == of_bob, user_id
    assert stored() == before


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_the_path_of_another_user_tells_nothing_about_rows(
    resource: Resource, as_alice: Api, bob: User, method: str
) -> None:
    foreign = make(resource, bob)
    users, ids = (bob.public_id, bob.pk + 10**6), (foreign.pk, 2**62, "x")
    paths = [address(resource, row_id, user_id) for user_id in users for row_id in ids]
    answers = [send(as_alice, method, path, b"{", HTTP_X_REQUEST_ID="same") for path in paths]
    assert problem_of(answers[0], 403)["code"] == "permission_denied"
    assert all(exact(answer) == exact(answers[0]) for answer in answers)


def test_an_own_id_in_another_spelling_is_not_the_own_id(resource: Resource, as_alice: Api, alice: User) -> None:
    for spelling in (f"0{alice.pk}", f"{alice.pk}.0", f"%20{alice.pk}", f"{alice.pk}%00", alice.email):
        problem_of(as_alice.get(address(resource, user_id=spelling)), 403)


@pytest.mark.parametrize("path", ["me%2F..%2F1/{}", "me/{}/1%2Fcomplete/x", "me%5C/{}/", "/me/{}", "../me/{}"])
def test_encoded_slashes_and_dots_lead_nowhere(resource: Resource, as_alice: Api, path: str) -> None:
    problem_of(as_alice.get(f"/api/{path.format(resource.plural)}"), 404)
