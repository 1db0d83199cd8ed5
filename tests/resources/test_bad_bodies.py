"""Every member and every body that is wrong: a 4xx that names its place, and nothing is changed."""

import json
from typing import Any

import pytest

from tests.client import Answer, Api
from tests.problems import WRITES, places_of, problem_of, send
from tests.resources.bodies import BODIES, MEDIA_TYPES, NOT_JSON, bad_members
from tests.resources.declared import address, label, named, required_members
from users.resources.models import OwnedModel
from users.resources.resource import Resource

pytestmark = pytest.mark.usefixtures("unchanged")


@pytest.fixture(params=WRITES)
def method(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def write(api: Api, method: str, row: OwnedModel, resource: Resource, *sent: Any) -> Answer:
    """The body, and the media type, to where a request of this method writes."""
    return send(api, method, address(resource, None if method == "POST" else row.pk), *sent)


def test_a_bad_member_is_named(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    for case, (bad, pointer) in bad_members(resource).items():
        body = bad if method == "PATCH" else {**named(resource, "New"), **bad}
        assert places_of(write(as_alice, method, row, resource, body), "pointer") == [pointer], case


def test_a_missing_member_is_named(resource: Resource, as_alice: Api) -> None:
    places = places_of(send(as_alice, "POST", address(resource), {}), "pointer")
    assert places == [f"/{name}" for name in required_members(resource)] != []


def test_every_bad_member_is_named_at_once(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    writable = [name for name, field in resource.serializer().fields.items() if not field.read_only]
    body = {**dict.fromkeys(writable, {"0": "\0"}), "titel": "x", "a/b": 1}
    answer = write(as_alice, method, row, resource, body)
    members = {place.split("/")[1] for place in places_of(answer, "pointer")}  # within an object, its own member
    assert members == {"a~1b", "titel", *writable}


@pytest.mark.parametrize("method", ["PUT", "PATCH"], indirect=True)
def test_a_uid_cannot_be_changed(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    answer = write(as_alice, method, row, resource, {**named(resource, "New"), "uid": "mine"})
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (["/uid"], "immutable")
    assert answer.json()["code"] == "invalid"


def test_a_body_that_is_no_object(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    for case, body in BODIES.items():
        assert places_of(write(as_alice, method, row, resource, body), "pointer") == [""], case


def test_a_body_that_is_not_json(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    for case, body in NOT_JSON.items():
        problem = problem_of(write(as_alice, method, row, resource, body), 400)
        assert (problem["code"], "errors" in problem) == ("malformed_body", False), case


def test_a_body_of_another_type(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    for case, media_type in MEDIA_TYPES.items():
        problem = problem_of(write(as_alice, method, row, resource, named(resource, "New"), media_type), 415)
        assert (problem["code"], "JSON" in problem["detail"]) == ("unsupported_media_type", True), case


@pytest.mark.parametrize("method", ["POST", "PUT"], indirect=True)
def test_a_merge_patch_is_only_for_patch(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    answer = write(as_alice, method, row, resource, named(resource, "New"), "application/merge-patch+json")
    problem_of(answer, 415)


def test_a_body_of_two_megabytes(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    answer = write(as_alice, method, row, resource, named(resource, "a" * 2_000_000))
    assert problem_of(answer, 413)["code"] == "body_too_large"


def test_bytes_beyond_ascii_count_twice(resource: Resource, as_alice: Api, row: OwnedModel, method: str) -> None:
    """Text of other scripts is slow to normalise. Escaped it has as many bytes, and is measured as it is."""
    status = {"ж" * 270_000: 413, "ж" * 250_000: 400, "a" * 1_000_000: 400}
    for text, expected in status.items():
        sent = json.dumps(named(resource, text), ensure_ascii=False).encode()
        problem = problem_of(write(as_alice, method, row, resource, sent), expected)
        assert problem["code"] == ("body_too_large" if expected == 413 else "invalid")
    problem_of(write(as_alice, method, row, resource, named(resource, "ж" * 170_000)), 400)


def test_a_hundred_errors_are_enough(resource: Resource, as_alice: Api) -> None:
    sent = {**named(resource, "a"), **dict.fromkeys(map(str, range(80_000)), 0)}
    assert len(places_of(send(as_alice, "POST", address(resource), sent), "pointer")) == 100
    sent = {**dict.fromkeys(map(str, range(99)), 0), **named(resource, "a"), label(resource): 1, "uid": 1}
    assert len(places_of(send(as_alice, "POST", address(resource), sent), "pointer")) == 100


def test_names_that_no_json_text_can_hold_are_named_nevertheless(resource: Resource, as_alice: Api) -> None:
    answer = send(as_alice, "POST", address(resource), {**named(resource, "a"), "\ud800": 1})
    assert places_of(answer, "pointer") == ["/?"]
    assert places_of(as_alice.get(f"{address(resource)}?%ff=1"), "parameter") == ["?"]


def test_a_very_long_name_is_cut_in_the_answer(resource: Resource, as_alice: Api) -> None:
    answer = send(as_alice, "POST", address(resource), {**named(resource, "a"), "é" * 100_000: 1})
    assert places_of(answer, "pointer")[0].startswith("/éé")
    assert len(answer.content) < 5000
