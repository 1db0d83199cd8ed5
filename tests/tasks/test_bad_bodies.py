"""Every member and every body that is wrong: a 4xx that names its place, and nothing is changed."""

from typing import Any

import pytest

from tasks.models import Task
from tests.client import Api
from tests.problems import WRITES, address, cases, places_of, problem_of, send

NOT_TEXT = {"number": 1, "2^63": 2**63, "float": 1.5, "boolean": True, "array": ["a"], "object": {"a": "b"}}
UNSTORABLE = {"NUL": "a\0b", "lone surrogate": "a\ud800b"}
NOT_A_DATE = {
    "blank": " ",
    "word": "tomorrow",
    "year 1": "0001-01-01",
    "year 9999": "9999-12-31",
    "30 February": "2026-02-30",
    "Arabic digits": "٢٠٢٦-٠١-٠١",
    "line end": "2026-01-01\n",
    "compact": "20260101",
    "no offset": "2026-01-01T09:30:00",
    "year 1 with time": "0001-01-01T00:00:00Z",
    "year 9999 with time": "9999-12-31T23:59:59-23:59",
    "offset of a day": "2026-01-01T09:30:00+24:00",
    "second 61": "2026-01-01T09:30:61Z",
}
BAD_MEMBERS: dict[str, dict[str, Any]] = {
    "title": {**NOT_TEXT, **UNSTORABLE, "null": None, "empty": "", "blank": " \n\t", "too long": "a" * 201},
    "uid": {**NOT_TEXT, **UNSTORABLE, "null": None, "empty": "", "too long": "a" * 256},
    "description": {**NOT_TEXT, **UNSTORABLE, "too long": "a" * 20_001},
    "status": {**NOT_TEXT, **UNSTORABLE, "null": None, "empty": "", "unknown": "done", "upper case": "PENDING"},
    "completed": {"null": None, "text": "true", "zero": 0, "one": 1, "array": [True], "object": {}},
    "priority": {**NOT_TEXT, **UNSTORABLE, "empty": "", "unknown": "urgent", "blank": "high "},
    "tags": {"text": "a", "number": 1, "boolean": True, "object": {"0": "a"}, "too many": ["a"] * 21},
    "due_date": {**NOT_TEXT, **UNSTORABLE, **NOT_A_DATE},
    "due_at": {**NOT_TEXT, **UNSTORABLE, **NOT_A_DATE, "date only": "2026-01-01"},
    "titel": {"unknown member": "x"},
    "": {"unknown member": "x"},
    "a/b~c": {"unknown member": "x"},
    "_state": {"unknown member": "x"},
    "user": {"unknown member": 1},
    "deleted_at": {"unknown member": None},
}
BAD_TAGS = {
    **{name: value for name, value in NOT_TEXT.items() if name != "array"},
    **UNSTORABLE,
    "array": [["a"]],
    "null": None,
    "empty": "",
    "blank": " ",
    "too long": "a" * 51,
}
BODIES: dict[str, Any] = {
    "array": [],
    "array of tasks": [{"title": "a"}],
    "text": "title",
    "number": 1,
    "boolean": True,
    "null": None,
}
NOT_JSON = {
    "nothing but space": b" ",
    "half": b'{"title": "a"',
    "two": b'{"title": "a"} {"title": "b"}',
    "single quotes": b"{'title': 'a'}",
    "comment": b'{"title": "a"} // x',
    "trailing comma": b'{"title": "a",}',
    "raw control character": b'{"title": "a\x00b"}',
    "form": b"title=a",
    "BOM": b'\xef\xbb\xbf{"title": "a"}',
    "UTF-16": '{"title": "a"}'.encode("utf-16"),
    "UTF-16 without BOM": '{"title": "a"}'.encode("utf-16-le"),
    "Latin-1": '{"title": "é"}'.encode("latin-1"),
    "encoded surrogate": b'{"title": "\xed\xa0\x80"}',
    "overlong encoding": b'{"title": "\xc0\x80"}',
    "NaN": b'{"title": "a", "version": NaN}',
    "Infinity": b'{"title": "a", "version": -Infinity}',
    "1e400": b'{"title": "a", "version": 1e400}',
    "5,000 digits": b'{"title": "a", "version": ' + b"9" * 5000 + b"}",
    "duplicate": b'{"title": "a", "title": "b"}',
    "duplicate, escaped": b'{"title": "a", "t\\u0069tle": "b"}',
    "duplicate below": b'{"title": "a", "version": [{"x": {"y": 1, "y": 1}}]}',
    "5,000 arrays": b'{"title": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "5,000 objects": b'{"title": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001,
    "500,000 brackets": b"[" * 500_000,
}
MEDIA_TYPES = {
    "none": "",
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=x",
    "multipart without boundary": "multipart/form-data",
    "XML": "application/xml",
    "another JSON": "application/vnd.api+json",
    "Latin-1": "application/json; charset=latin1",
    "UTF-16": 'application/json; charset="utf-16"',
    "garbage": ";;;\x7f=/,",
    "unheard-of charset": "application/json; charset=\xff",
}


def members() -> list[Any]:
    return [
        pytest.param(member, value, id=f"{member}: {name}")
        for member, values in BAD_MEMBERS.items()
        for name, value in values.items()
    ]


# --- Bodies -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("member, value", members())
def test_a_bad_member_is_named(as_alice: Api, task: Task, method: str, member: str, value: Any) -> None:
    body = {member: value} if method == "PATCH" else {"title": "New", member: value}
    answer = send(as_alice, method, address(method, task), body)
    assert places_of(answer, "pointer") == ["/" + member.replace("~", "~0").replace("/", "~1")]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("value", cases(BAD_TAGS))
def test_a_bad_tag_is_named_by_its_index(as_alice: Api, task: Task, method: str, value: Any) -> None:
    answer = send(as_alice, method, address(method, task), {"title": "New", "tags": ["a", value, "b"]})
    assert places_of(answer, "pointer") == ["/tags/1"]


@pytest.mark.usefixtures("unchanged")
def test_a_missing_title_is_named(as_alice: Api) -> None:
    assert places_of(send(as_alice, "POST", "/api/me/tasks", {}), "pointer") == ["/title"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
def test_every_bad_member_is_named_at_once(as_alice: Api, task: Task, method: str) -> None:
    body = {"titel": "x", "title": 1, "status": 2, "tags": [3, "a", None], "a/b": 1}
    answer = send(as_alice, method, address(method, task), body)
    assert sorted(places_of(answer, "pointer")) == ["/a~1b", "/status", "/tags/0", "/tags/2", "/titel", "/title"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize(
    "body, pointer",
    [
        ({"status": "in_progress", "completed": True}, "/completed"),
        ({"status": "cancelled", "completed": True}, "/completed"),
        ({"due_date": "2026-01-01", "due_at": "2026-03-01T09:30:00Z"}, "/due_date"),
        ({"due_date": "2026-01-01T09:30:00Z", "due_at": "2026-03-01T09:30:00Z"}, "/due_date"),
    ],
)
def test_members_that_contradict_each_other(
    as_alice: Api, task: Task, method: str, body: dict[str, Any], pointer: str
) -> None:
    answer = send(as_alice, method, address(method, task), {"title": "New", **body})
    assert places_of(answer, "pointer") == [pointer]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_uid_cannot_be_changed(as_alice: Api, task: Task, method: str) -> None:
    answer = send(as_alice, method, address(method, task), {"title": "New", "uid": "mine"})
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (["/uid"], "immutable")
    assert answer.json()["code"] == "invalid"


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("body", cases(BODIES))
def test_a_body_that_is_no_object(as_alice: Api, task: Task, method: str, body: Any) -> None:
    assert places_of(send(as_alice, method, address(method, task), body), "pointer") == [""]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("body", cases(NOT_JSON))
def test_a_body_that_is_not_json(as_alice: Api, task: Task, method: str, body: bytes) -> None:
    problem = problem_of(send(as_alice, method, address(method, task), body), 400)
    assert (problem["code"], "errors" in problem) == ("malformed_body", False)


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        ({"title": 1}, "/title: Send a JSON string."),
        ({"tags": "home, garden"}, "/tags: Send a JSON array."),
        ({"completed": "yes"}, "/completed: Use true or false."),
        ({"due_date": "2026-02-30"}, "/due_date: Write a date that exists, as YYYY-MM-DD."),
        ({"status": "completed", "completed": False}, "completed contradicts status; send one of the two."),
    ],
)
def test_the_detail_says_what_to_send(as_alice: Api, sent: dict[str, Any], detail: str) -> None:
    answer = as_alice.post("/api/me/tasks", {"title": "A", **sent})
    assert problem_of(answer, 400)["detail"] == detail


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
@pytest.mark.parametrize("media_type", cases(MEDIA_TYPES))
def test_a_body_of_another_type(as_alice: Api, task: Task, method: str, media_type: str) -> None:
    problem = problem_of(send(as_alice, method, address(method, task), {"title": "New"}, media_type), 415)
    assert problem["code"] == "unsupported_media_type"
    assert "JSON" in problem["detail"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_merge_patch_is_only_for_patch(as_alice: Api, task: Task, method: str) -> None:
    answer = send(as_alice, method, address(method, task), {"title": "New"}, "application/merge-patch+json")
    problem_of(answer, 415)


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("method", WRITES)
def test_a_body_of_two_megabytes(as_alice: Api, task: Task, method: str) -> None:
    answer = send(as_alice, method, address(method, task), {"title": "a" * 2_000_000})
    assert problem_of(answer, 413)["code"] == "body_too_large"


@pytest.mark.usefixtures("unchanged")
def test_half_a_million_tags_are_counted_before_each_is_looked_at(as_alice: Api) -> None:
    answer = send(as_alice, "POST", "/api/me/tasks", b'{"title": "a", "tags": [0' + b",0" * 500_000 + b"]}")
    assert (places_of(answer, "pointer"), answer.json()["errors"][0]["code"]) == (["/tags"], "max_length")


@pytest.mark.usefixtures("unchanged")
def test_a_hundred_errors_are_enough(as_alice: Api) -> None:
    answer = send(as_alice, "POST", "/api/me/tasks", {"title": "a", **dict.fromkeys(map(str, range(80_000)), 0)})
    assert len(places_of(answer, "pointer")) == 100
    answer = send(as_alice, "POST", "/api/me/tasks", {"title": 1, **dict.fromkeys(map(str, range(99)), 0), "tags": 1})
    assert len(places_of(answer, "pointer")) == 100


@pytest.mark.usefixtures("unchanged")
def test_names_that_no_json_text_can_hold_are_named_nevertheless(as_alice: Api) -> None:
    answer = send(as_alice, "POST", "/api/me/tasks", {"title": "a", "\ud800": 1})
    assert places_of(answer, "pointer") == ["/?"]
    assert places_of(as_alice.get("/api/me/tasks?%ff=1"), "parameter") == ["?"]


@pytest.mark.usefixtures("unchanged")
def test_a_very_long_name_is_cut_in_the_answer(as_alice: Api) -> None:
    answer = send(as_alice, "POST", "/api/me/tasks", {"title": "a", "é" * 100_000: 1})
    assert places_of(answer, "pointer")[0].startswith("/éé")
    assert len(answer.content) < 5000


# --- PATCH complete ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "body, pointer",
    [
        *[pytest.param({"completed": bad}, "/completed", id=name) for name, bad in BAD_MEMBERS["completed"].items()],
        *[pytest.param(body, "", id=f"body: {name}") for name, body in BODIES.items()],
        pytest.param({"done": True}, "/done", id="unknown member"),
        pytest.param({"title": "New"}, "/title", id="member of the task"),
    ],
)  # fmt: skip
def test_complete_refuses_what_is_no_completion(as_alice: Api, task: Task, body: Any, pointer: str) -> None:
    assert places_of(send(as_alice, "PATCH", f"{address('PATCH', task)}/complete", body), "pointer") == [pointer]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("body", cases(NOT_JSON))
def test_complete_never_takes_a_bad_body_for_none(as_alice: Api, task: Task, body: bytes) -> None:
    problem_of(send(as_alice, "PATCH", f"{address('PATCH', task)}/complete", body), 400)
