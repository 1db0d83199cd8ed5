"""Every parameter, header and path segment that is wrong: a 4xx that names it, and nothing is changed."""

import json
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import pytest

from tasks.models import Task
from tests.client import Api
from tests.factories import make_task
from tests.problems import WRITES, address, cases, exact, places_of, problem_of, send, stored
from users.models import User


def forged(*cursor: Any) -> str:
    return urlsafe_b64encode(json.dumps(cursor).encode()).rstrip(b"=").decode()


def encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


CREATED = "2026-01-01T00:00:00+00:00"
BAD_CURSORS = {
    "empty": "",
    "word": "next",
    "not ASCII": "é",
    "NUL": "\0",
    "too long": "A" * 5000,
    "longer than any of ours": forged("title", "a" * 5000, 1),
    "not JSON": encoded(b"\xff\xfe"),
    "3,000 brackets": encoded(b"[" * 3000),
    "5,000 digits": encoded(b'["-created","x",' + b"9" * 5000 + b"]"),
    "object": encoded(b'{"a":1,"b":2,"c":3}'),
    "two elements": forged("-created", CREATED),
    "other spelling": encoded(json.dumps(["-created", CREATED, 1], separators=(",", ":")).encode()),
    "of another sort": forged("created", CREATED, 1),
    "lone surrogate": forged("-created", "\ud800", 1),
    "NUL inside": forged("-created", "2026\0", 1),
    "lone surrogate as sort": forged("\ud800", CREATED, 1),
    "null key": forged("-created", None, 1),
    "number as key": forged("-created", 1, 1),
    "word as key": forged("-created", "yesterday", 1),
    "date as key": forged("-created", "2026-01-01", 1),
    "no offset": forged("-created", "2026-01-01T00:00:00", 1),
    "an offset that PostgreSQL refuses": forged("-created", "2026-01-01T00:00:00+23:59", 1),
    "before year 1": forged("-created", "0001-01-01T00:00:00+23:59", 1),
    "after year 9999": forged("-created", "9999-12-31T23:59:59-23:59", 1),
    "id 0": forged("-created", CREATED, 0),
    "negative id": forged("-created", CREATED, -1),
    "id 2^63": forged("-created", CREATED, 2**63),
    "float as id": forged("-created", CREATED, 1.5),
    "boolean as id": forged("-created", CREATED, True),
    "null as id": forged("-created", CREATED, None),
    "NaN as id": forged("-created", CREATED, float("nan")),
    "infinite id": forged("-created", CREATED, float("inf")),
}
BAD_CURSORS_OF = {
    "title": forged("title", None, 1),
    "priority": forged("priority", "high", 1),
    "-priority": forged("-priority", None, 1),
    "due_date": forged("due_date", "0000-01-01", 1),
    "-due_date": forged("-due_date", CREATED, 1),
    "updated": forged("updated", "9999-12-31T23:59:59-16:00", 1),
}
NOT_COUNTS = ["", "-1", "1.5", "1e2", "NaN", "Infinity", "0x10", " 1", "+1", "1_0", "٣", "9" * 30, str(2**63), "a%00"]
NOT_DAYS = [
    "%20",
    "x",
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "2026-01-01T00:00:00Z",
    "%00",
    "20260101",
    "2026-01-01%0A",
]
NOT_FLAGS = ["%20", "1", "yes", "True", "null", "%00", "true,false"]
BAD_QUERIES: dict[str, list[str]] = {
    "limit": [*NOT_COUNTS, "0", "201"],
    "offset": [*NOT_COUNTS, "10001"],
    "status": [
        "%20", "done", "pending,", ",", "pending,,completed", "all,pending", "Pending", "%00", "pending%00",
        "done&status=pending", "pending&status=all", "pending&status=%20", "all&status=all",
    ],
    "completed": NOT_FLAGS,
    "overdue": NOT_FLAGS,
    "total": ["", *NOT_FLAGS],
    "priority": ["%20", "urgent", "HIGH", "low,high", "%00"],
    "tag": ["%20", "%20&tag=", "a" * 51, "%00", "a&tag=" + "b" * 51, "&tag=".join("a" * 21)],
    "due_before": NOT_DAYS,
    "due_after": NOT_DAYS,
    "updated_since": ["%20", "x", "2026-01-01", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"],
    "search": ["a" * 201, "a%00b", "%00"],
    "sort": [
        "", "id", "due_at", "_at", "--updated_at", "--created", "-", "created,title", "created;drop", "password",
        "user__password", "%00",
    ],
    "cursor": [quote(cursor) for cursor in BAD_CURSORS.values()],
}  # fmt: skip
BAD_IDS = {
    "zero": "0",
    "negative": "-1",
    "2^63": str(2**63),
    "2^64": str(2**64),
    "float": "1.5",
    "exponent": "1e1",
    "word": "abc",
    "NUL": "%00",
    "digit and NUL": "1%00",
    "digit and line end": "1%0A",
    "Arabic digit": quote("١"),
    "superscript": quote("²"),
    "full width": quote("１"),
    "leading zero": "01",
    "plus": "%2B1",
    "space": "%201",
    "not UTF-8": "%ff",
    "4,000 digits": "1" * 4000,
    "wildcard": "%25",
    "injection": quote("1 or 1=1"),
}
BAD_TAGS_OF_VERSIONS = ["", "5", '"5', '5"', '""5""', "*,*", '"1",', ',"1"', "W/5", 'w/"1"', '"a b"', "null", '"\x7f"']


def queries() -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in BAD_QUERIES.items()
        for number, value in enumerate(values)
    ]


# --- Parameters -------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("name, value", queries())
def test_a_bad_parameter_is_named(as_alice: Api, name: str, value: str) -> None:
    assert set(places_of(as_alice.get(f"/api/me/tasks?{name}={value}"), "parameter")) == {name}


@pytest.mark.parametrize("name", BAD_QUERIES)
@pytest.mark.parametrize("value", ["%ff", "a%c0%80", "%ed%a0%80"])
def test_a_parameter_that_is_not_utf_8_is_named(as_alice: Api, name: str, value: str) -> None:
    answer = as_alice.get(f"/api/me/tasks?{name}={value}")
    assert (places_of(answer, "parameter"), answer.json()["errors"][0]["code"]) == ([name], "invalid_utf8")


@pytest.mark.parametrize("name", [name for name in BAD_QUERIES if name not in ("status", "tag")])
def test_a_repeated_parameter_is_named(as_alice: Api, name: str) -> None:
    answer = as_alice.get(f"/api/me/tasks?{name}=1&{name}=1")
    assert (places_of(answer, "parameter"), answer.json()["errors"][0]["code"]) == ([name], "repeated")


@pytest.mark.parametrize("sort, cursor", BAD_CURSORS_OF.items(), ids=list(BAD_CURSORS_OF))
def test_a_forged_cursor_of_each_sort(as_alice: Api, sort: str, cursor: str) -> None:
    assert places_of(as_alice.get(f"/api/me/tasks?sort={sort}&cursor={cursor}"), "parameter") == ["cursor"]


def test_a_cursor_goes_with_no_offset(as_alice: Api) -> None:
    answer = as_alice.get(f"/api/me/tasks?offset=1&cursor={forged('-created', CREATED, 1)}")
    assert places_of(answer, "parameter") == ["offset"]


@pytest.mark.parametrize(
    "name",
    ["", "Limit", "limit[]", "limit%00", "user_id", "id__gt", "page", "q", "a" * 3000, "sort%20", "non_field_errors"],
)  # fmt: skip
def test_an_unknown_parameter_is_refused_with_the_known_ones(as_alice: Api, name: str) -> None:
    answer = as_alice.get(f"/api/me/tasks?{name}=1")
    (error,) = problem_of(answer, 400)["errors"]
    assert error["code"] == "unknown"
    assert all(known in error["detail"] for known in BAD_QUERIES)


def test_every_bad_parameter_is_named_at_once(as_alice: Api) -> None:
    query = "Limit=5&priority=urgent&sort=title&sort=title&search=%ff&tag=&due_before=x&tag=" + "a" * 51
    answer = as_alice.get(f"/api/me/tasks?{query}&cursor={forged('-created', CREATED, 1)}&offset=0")
    assert sorted(places_of(answer, "parameter")) == ["Limit", "due_before", "priority", "search", "sort", "tag"]


def test_a_cursor_is_not_compared_with_an_order_that_was_refused(as_alice: Api) -> None:
    answer = as_alice.get(f"/api/me/tasks?sort=title&sort=title&cursor={forged('title', 'a', 1)}")
    assert places_of(answer, "parameter") == ["sort"]


def test_a_hundred_unknown_parameters_are_all_named(as_alice: Api) -> None:
    answer = as_alice.get("/api/me/tasks?" + "&".join(f"p{number}=1" for number in range(99)) + "&limit=0")
    assert len(places_of(answer, "parameter")) == 100


def test_a_thousand_parameters(as_alice: Api) -> None:
    answer = as_alice.get("/api/me/tasks?" + "&".join(f"tag={number}" for number in range(1000)))
    assert problem_of(answer, 400)["errors"][0]["code"] == "too_many"


# --- Headers ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("value", BAD_TAGS_OF_VERSIONS)
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_malformed_if_match_is_named(as_alice: Api, task: Task, method: str, value: str) -> None:
    body = b"" if method == "DELETE" else b'{"title": "New"}'
    answer = send(as_alice, method, address(method, task), body, HTTP_IF_MATCH=value)
    assert places_of(answer, "header") == ["If-Match"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("value", BAD_TAGS_OF_VERSIONS)
def test_a_malformed_if_match_of_complete_is_named(as_alice: Api, task: Task, value: str) -> None:
    answer = as_alice.patch(f"{address('PATCH', task)}/complete", if_match=value)
    assert places_of(answer, "header") == ["If-Match"]


@pytest.mark.parametrize("value", BAD_TAGS_OF_VERSIONS)
@pytest.mark.parametrize("path", ["/api/me/tasks", "/api/me/tasks/{}"])
def test_a_malformed_if_none_match_is_named(as_alice: Api, task: Task, path: str, value: str) -> None:
    assert places_of(as_alice.get(path.format(task.pk), if_none_match=value), "header") == ["If-None-Match"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "value", [f'"{2**63}"', f'"{"9" * 900}"', '"-1"', '"1.0"', 'W/"7"', '"٣"'.encode().decode("latin-1")]
)
def test_a_version_that_never_was_matches_nothing(as_alice: Api, task: Task, value: str) -> None:
    answer = as_alice.client.delete(address("DELETE", task), HTTP_IF_MATCH=value)
    assert problem_of(answer, 412)["current"]["title"] == "As it was"


# --- Path segments ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("task_id", cases(BAD_IDS))
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_what_is_no_id_answers_as_a_missing_task(as_alice: Api, method: str, task_id: str) -> None:
    def call(path: str) -> list[Any]:
        body = b'{"title": "New"}' if method in WRITES else b""
        answer = send(as_alice, method, path, body, HTTP_X_REQUEST_ID="same")
        assert problem_of(answer, 404)["code"] == "task_not_found"
        return exact(answer)

    assert call(f"/api/me/tasks/{task_id}") == call(f"/api/me/tasks/{2**63 - 1}")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("task_id", cases(BAD_IDS))
def test_complete_of_what_is_no_id(as_alice: Api, task_id: str) -> None:
    problem_of(send(as_alice, "PATCH", f"/api/me/tasks/{task_id}/complete"), 404)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_foreign_task_answers_byte_for_byte_as_a_missing_one(as_alice: Api, bob: User, method: str) -> None:
    foreign = make_task(bob, title="Bob's")
    before = stored()
    body = b'{"title": "Mine"}' if method in WRITES else b""
    answers = [
        send(as_alice, method, f"/api/me/tasks/{pk}", body, HTTP_X_REQUEST_ID="same") for pk in (foreign.pk, 2**62)
    ]
    assert problem_of(answers[0], 404)["code"] == "task_not_found"
    assert exact(answers[0]) == exact(answers[1])
    assert stored() == before


@pytest.mark.parametrize(
    "user_id",
    ["0", "-1", "%00", "Me", "ME", "me%00", "me%20", "me%0A", "null", "%ff", "9" * 4000, str(2**63), quote("١"), "*"],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_path_of_nobody_answers_as_the_path_of_another(as_alice: Api, bob: User, method: str, user_id: str) -> None:
    def call(path: str) -> list[Any]:
        answer = send(as_alice, method, path, b"{", HTTP_X_REQUEST_ID="same")
        assert problem_of(answer, 403)["code"] == "permission_denied"
        return exact(answer)

    assert call(f"/api/{user_id}/tasks") == call(f"/api/{bob.public_id}/tasks")
    assert not Task.objects.exists()


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_the_path_of_another_user_tells_nothing_about_tasks(as_alice: Api, bob: User, method: str) -> None:
    foreign = make_task(bob)
    paths = [f"/api/{user}/tasks/{pk}" for user in (bob.public_id, bob.pk + 10**6) for pk in (foreign.pk, 2**62, "x")]
    answers = [send(as_alice, method, path, b"{", HTTP_X_REQUEST_ID="same") for path in paths]
    assert problem_of(answers[0], 403)["code"] == "permission_denied"
    assert all(exact(answer) == exact(answers[0]) for answer in answers)


def test_an_own_id_in_another_spelling_is_not_the_own_id(as_alice: Api, alice: User) -> None:
    for spelling in (f"0{alice.pk}", f"{alice.pk}.0", f"%20{alice.pk}", f"{alice.pk}%00", alice.email):
        problem_of(as_alice.get(f"/api/{spelling}/tasks"), 403)


@pytest.mark.parametrize(
    "path", ["me%2F..%2F1/tasks", "me/tasks/1%2Fcomplete/x", "me%5C/tasks/", "/me/tasks", "../me/tasks"]
)
def test_encoded_slashes_and_dots_lead_nowhere(as_alice: Api, path: str) -> None:
    problem_of(as_alice.get(f"/api/{path}"), 404)
