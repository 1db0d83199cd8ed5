"""`extra`: the client's own members come back exactly as they were sent, wherever they are shown."""

import json
from typing import Any

import pytest

from tests.client import Api
from tests.problems import cases, send

KINDS = ["tasks", "projects"]
NAMES = {"tasks": "title", "projects": "name"}
KEPT = {
    "empty": {},
    "numbers": {"a": [0, 1, -1, 2**53, -(2**53), 0.1, 1.5e-7, 1e-15, 1.0, 9007199254740991.0]},
    "not numbers": {"a": True, "b": False, "c": None, "d": "1", "e": "true"},
    "texts": {"": "", "報": "\u007f \u2028 \U0001f600 \\u0000", "e\u0301": "\u00e9", "a" * 300: "\t\n"},
    "4 levels": {"a": {"b": [{"c": "d"}, []], "e": {}}},
    "8,192 bytes": {"a": "x" * (8192 - len('{"a":""}'))},
    "a thousand members": dict.fromkeys(map(str, range(1000)), 0),
}


def exactly(value: Any) -> str:
    """With the types of numbers and flags, which compare as equal."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extra", cases(KEPT))
def test_it_comes_back_as_it_was_sent(kind: str, extra: Any, as_alice: Api) -> None:
    base, name = f"/api/me/{kind}", NAMES[kind]
    created = send(as_alice, "POST", base, {name: "A", "extra": extra}).json()
    path = f"{base}/{created['id']}"
    replaced = as_alice.patch(path, {"extra": {"other": 1}})
    undone = as_alice.post("/api/me/undo", {"operation": int(replaced["Tickbase-Operation"])})
    again = as_alice.get(path).json()
    assert undone.status_code == 200
    listed = as_alice.get(base).json()[0]
    history = as_alice.get(f"{path}/history").json()
    as_alice.delete(path)
    trashed = as_alice.get("/api/me/trash").json()[0]
    restored = as_alice.post(f"{path}/restore").json()
    shown = [each["extra"] for each in (created, again, listed, trashed, restored)]
    assert [exactly(each) for each in shown] == [exactly(extra)] * 5
    told = next(entry["diff"]["extra"][1] for entry in history if entry["kind"] == "undone")
    assert exactly(told) == exactly(extra)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("before", "after"), [(1, True), (True, 1), (0, False), (1, 1.0), ("1", 1)])
def test_a_change_of_type_is_a_change(kind: str, before: Any, after: Any, as_alice: Api) -> None:
    base, name = f"/api/me/{kind}", NAMES[kind]
    created = as_alice.post(base, {name: "A", "extra": {"a": {"b": [before]}}}).json()
    path = f"{base}/{created['id']}"
    changed = as_alice.patch(path, {"extra": {"a": {"b": [after]}}})
    assert changed.json()["version"] == created["version"] + 1
    assert exactly(as_alice.get(path).json()["extra"]) == exactly({"a": {"b": [after]}})
    same = as_alice.patch(path, {"extra": {"a": {"b": [after]}}})
    assert same.json()["version"] == changed.json()["version"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_undo_sees_a_change_of_type(kind: str, as_alice: Api) -> None:
    base, name = f"/api/me/{kind}", NAMES[kind]
    path = f"{base}/{as_alice.post(base, {name: 'A', 'extra': {'a': 0}}).json()['id']}"
    first = as_alice.patch(path, {"extra": {"a": 1}})
    as_alice.patch(path, {"extra": {"a": True}})
    answer = as_alice.post("/api/me/undo", {"operation": int(first["Tickbase-Operation"])})
    assert (answer.status_code, answer.json()["changes"][0]["members"]) == (409, ["extra"])


@pytest.mark.parametrize("kind", KINDS)
def test_null_clears_it_and_a_patch_replaces_the_whole(kind: str, as_alice: Api) -> None:
    base, name = f"/api/me/{kind}", NAMES[kind]
    path = f"{base}/{as_alice.post(base, {name: 'A', 'extra': {'a': 1, 'b': 2}}).json()['id']}"
    assert as_alice.patch(path, {"extra": {"b": 3}}).json()["extra"] == {"b": 3}
    assert as_alice.patch(path, {name: "B"}).json()["extra"] == {"b": 3}
    assert as_alice.patch(path, {"extra": None}).json()["extra"] == {}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    cases(
        {
            "NaN": b'{"a": NaN}',
            "Infinity": b'{"a": -Infinity}',
            "1e400": b'{"a": 1e400}',
            "twice the same name": b'{"a": 1, "a": 2}',
            "5,000 levels": b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
            "100,000 members": json.dumps(dict.fromkeys(map(str, range(70_000)), 0)).encode(),
        }
    ),
)
def test_what_is_no_json_is_refused(kind: str, text: bytes, as_alice: Api) -> None:
    """What is JSON and no extra, is so in tests/resources/test_bad_bodies.py."""
    answer = send(as_alice, "POST", f"/api/me/{kind}", b'{"%s": "A", "extra": %s}' % (NAMES[kind].encode(), text))
    assert answer.status_code in (400, 413), answer.content
    assert as_alice.get(f"/api/me/{kind}").json() == []
